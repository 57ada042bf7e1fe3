//! From the state of the ports to what follows from it: the one place where the aggregate decides.

use aggctl_common::{Destination, PortId, Ports};

use crate::{
    action::{Action, Notice},
    aggregate::{
        ACCEPT_GRACE, Aggregate, Circumstances, Demand,
        port::{Port, Presence, WantedSettings},
        rounds::Rounds,
        table,
    },
    config::{Partner, Toggle},
    select::{self, Candidate},
    watch::WatchedLink,
};

impl Aggregate {
    /// Draws the conclusions. The table comes first among the actions: it is what ends a failure.
    pub(super) fn reconcile(&mut self, circumstances: &Circumstances, actions: &mut Vec<Action>) {
        let first_table = !self.settled && self.ports.iter().all(|port| port.presence != Presence::Unknown);
        self.settled |= first_table;
        let held = self.end_delays();
        actions.append(&mut self.tell_held(&held));
        if !self.settled {
            self.settle_settings(circumstances.fresh, actions);
            return;
        }
        let mut notices = Vec::new();
        let (before, usable) = (self.active, self.usable_mask());
        self.update_usable(&mut notices);
        if first_table && self.by_hand {
            self.passed_over = self.usable_mask();
        }
        let moved = self.select(circumstances.removed.as_deref(), &mut notices);
        self.end_graces();
        self.publish(first_table, actions);
        self.share_out(first_table, actions);
        self.tell_driver(actions);
        self.settle_settings(circumstances.fresh, actions);
        self.settle_mac(circumstances.interface, actions);
        self.update_carrier(actions, &mut notices);
        actions.append(&mut notices);
        let new_mac = std::mem::take(&mut self.new_mac);
        let tell = match (self.config.mode.shares(), self.config.partner()) {
            (false, _) => moved,
            (true, _) if !self.config.wiring.has_pair() => false,
            // The partner knows by itself which of its ports reach us.
            (true, Partner::Lag) => moved && before.is_none(),
            // What it learnt about a lost port is wrong now.
            (true, Partner::Plain) => moved || usable & !self.usable_mask() != 0,
        };
        if tell || new_mac || self.active.is_none() {
            self.rounds = self.active.and_then(|port| Rounds::start(self.now, port, &self.config.announce));
        }
        self.announce(actions);
    }

    /// Ends the delays whose time has come, and one up-delay early if no port is usable. Returns which ports are held
    /// down from now on.
    pub(super) fn end_delays(&mut self) -> Vec<PortId> {
        let (now, settings) = (self.now, self.config.link_watch);
        for port in &mut self.ports {
            port.watch.advance(now, &settings);
            if port.presence != Presence::Unknown {
                port.forget_if_lost();
            }
        }
        let held = self.damp();
        let may_be_used = |port: &&Port| port.config.enabled && self.is_well(port);
        if !self.settled || self.ports.iter().filter(may_be_used).any(|port| port.watch.is_up()) {
            return held;
        }
        let order = self.order();
        let rank = |id: PortId| order.iter().position(|other| *other == id);
        let rising = self.ports.iter().filter(may_be_used).filter_map(|port| match port.watch.link() {
            WatchedLink::Rising { since } => Some((port.damper.hold().is_some(), since, rank(port.id), port.id)),
            WatchedLink::Down | WatchedLink::Up | WatchedLink::Failing { .. } => None,
        });
        let longest = rising.min().map(|(.., id)| id);
        if let Some(port) = longest.and_then(|id| self.port_mut(id)) {
            port.watch.trust_now();
        }
        held
    }

    pub(super) fn update_usable(&mut self, notices: &mut Vec<Action>) {
        let mut changed = Vec::new();
        let fits = self.fits_driver();
        let is_able = |port: &Port| fits && port.watch.is_up() && self.is_well(port);
        let able: Vec<_> = self.ports.iter().map(is_able).collect();
        let spare = self.find_spare(|port| port.config.enabled && is_able(port));
        self.spare = spare;
        for (port, able) in self.ports.iter_mut().zip(able) {
            let usable = able && port.config.enabled && (port.damper.hold().is_none() || spare == Some(port.id));
            port.able = able;
            if port.usable != usable {
                port.usable = usable;
                changed.push(port.id);
            }
            if !port.usable {
                self.passed_over &= !port.id.bit();
            }
        }
        for port in changed.into_iter().filter_map(|id| self.port(id)) {
            let (name, why) = (port.config.name.clone(), self.health(port));
            notices.push(Action::Notice(Notice::Usable { port: name, usable: port.usable, why }));
        }
    }

    /// Chooses the active port. Says whether it is another one, and there is one.
    fn select(&mut self, removed: Option<&str>, notices: &mut Vec<Action>) -> bool {
        let before = self.active;
        let is_usable = |id: PortId| id.bit() & self.usable_mask() != 0;
        let is_sound = |id: &PortId| self.port(*id).is_some_and(|port| port.usable && !port.is_failing());
        let joined = self.joining.filter(is_sound);
        let demand = self.demand.filter(|demand| demand.port().is_none_or(is_usable));
        let demand = demand.or(joined.map(Demand::Primary));
        (self.demand, self.joining) = (None, self.joining.filter(|_| joined.is_none()));
        let (next, by_hand) = match demand {
            Some(Demand::ByHand(id)) => {
                self.passed_over = self.usable_mask();
                (Some(id), true)
            }
            Some(Demand::Primary(id)) => (Some(id), false),
            Some(Demand::ByRule) => (select::choose(&self.rules(), None, &self.candidates()), false),
            None => {
                let next = select::choose(&self.rules(), before, &self.candidates());
                (next, self.by_hand && next == before && next.is_some())
            }
        };
        self.active = next;
        self.by_hand = by_hand;
        if !by_hand {
            self.passed_over = 0;
        }
        if next == before {
            return false;
        }
        let from = before.and_then(|id| self.name(id).or(removed.map(str::to_owned)));
        let to = next.and_then(|id| self.name(id));
        let why = match demand {
            Some(Demand::ByRule) => String::from("the choice by hand was given up"),
            Some(Demand::ByHand(_) | Demand::Primary(_)) | None => self.why_changed(before),
        };
        match (self.config.mode.shares(), self.config.partner()) {
            (false, _) => notices.push(Action::Notice(Notice::Active { from, to, why })),
            (true, Partner::Plain) => notices.push(Action::Notice(Notice::Designated { from, to, why })),
            (true, Partner::Lag) => {}
        }
        let until = self.now.saturating_add(ACCEPT_GRACE);
        if let Some(port) = before.and_then(|id| self.port_mut(id)) {
            port.accept_until = Some(until);
        }
        next.is_some()
    }

    /// Ends the graces that are over, or pointless: the port cannot be used, or is active again.
    fn end_graces(&mut self) {
        let (now, active) = (self.now, self.active);
        for port in &mut self.ports {
            if !port.able || active == Some(port.id) {
                port.accept_until = None;
            }
            port.accept_until = port.accept_until.filter(|until| *until > now);
        }
    }

    pub(super) fn publish(&mut self, first_table: bool, actions: &mut Vec<Action>) {
        #[allow(clippy::cast_possible_truncation, reason = "written from a slot")]
        let active = self.active.unwrap_or(PortId(self.published.active as u8));
        let new = Ports {
            mac: Destination::from(self.mac).word(),
            former_mac: self.former_mac(),
            ..table::build(&self.ports, &self.order(), active)
        };
        if new == self.published && !first_table {
            return;
        }
        let between = table::between(&self.published, &new);
        self.published = new;
        let tables = between.into_iter().chain([new]);
        actions.extend(tables.map(|table| Action::Publish(Box::new(table))));
    }

    fn settle_settings(&mut self, fresh: Option<PortId>, actions: &mut Vec<Action>) {
        if !self.config.wiring.has_pair() {
            return;
        }
        self.agree_on_mtu();
        let (now, mtu, foreign_macs) = (self.now, self.wanted_mtu(), self.config.mac_policy.needs_all_frames());
        let macs: Vec<_> = self.ports.iter().map(|port| self.mac_for(port)).collect();
        let promiscuous = self.interface.map(|interface| interface.promiscuity > 0);
        for (port, mac) in self.ports.iter_mut().zip(macs) {
            let filtered = port.reported().is_some_and(|state| state.vlan_filter_fixed);
            let wish = WantedSettings {
                promisc: match self.config.promisc {
                    Toggle::Auto if filtered || foreign_macs => Some(true),
                    Toggle::Auto => promiscuous,
                    Toggle::On => Some(true),
                    Toggle::Off => Some(false),
                },
                allmulti: match self.config.allmulti {
                    Toggle::Auto | Toggle::On => true,
                    Toggle::Off => false,
                },
                mac,
                mtu,
            };
            port.settle_settings(now, &wish, fresh == Some(port.id), actions);
        }
    }

    fn update_carrier(&mut self, actions: &mut Vec<Action>, notices: &mut Vec<Action>) {
        let usable = self.ports.iter().filter(|port| port.usable).count();
        let min_ports = self.config.min_ports;
        let carrier = usable >= usize::from(min_ports);
        if self.carrier == Some(carrier) {
            return;
        }
        if self.config.wiring.has_pair() {
            actions.push(Action::SetCarrier(carrier));
        }
        if self.carrier.replace(carrier).is_some() {
            notices.push(Action::Notice(Notice::Carrier { carrier, usable, min_ports }));
        }
    }

    fn announce(&mut self, actions: &mut Vec<Action>) {
        let Some(mut rounds) = self.rounds.take() else { return };
        let Some(name) = self.name(rounds.port) else { return };
        while let Some(round) = rounds.due(self.now) {
            let announcement = rounds.announcement(round, self.announces_own());
            actions.push(Action::Announce { port: rounds.port, announcement });
            if announcement.addresses {
                let notice = Notice::Announcing { port: name.clone(), round, rounds: rounds.total };
                actions.push(Action::Notice(notice));
            }
        }
        self.rounds = (!rounds.is_over()).then_some(rounds);
    }

    pub(super) fn usable_mask(&self) -> u64 {
        self.ports.iter().filter(|port| port.usable).fold(0, |mask, port| mask | port.id.bit())
    }

    fn candidates(&self) -> Vec<Candidate<'_>> {
        self.ports.iter().map(|port| port.candidate(self.passed_over)).collect()
    }

    pub(super) fn order(&self) -> Vec<PortId> {
        select::order(&self.rules(), &self.candidates())
    }
}
