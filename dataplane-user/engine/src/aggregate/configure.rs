//! What the owner asks of a running aggregate.

use aggctl_common::{MAX_PORTS, PortId};

use crate::{
    aggregate::{ACCEPT_GRACE, Aggregate, Demand, EventRefusal, LeftFlags, port::Port},
    config::{AggregateConfig, PortConfig},
    event::Member,
};

impl Aggregate {
    /// Takes in a port.
    pub(super) fn add(&mut self, member: Member) -> Result<(), EventRefusal> {
        if member.id.index() >= MAX_PORTS {
            return Err(EventRefusal::NoSuchSlot(member.id));
        }
        if let Some(port) = self.name(member.id) {
            return Err(EventRefusal::SlotTaken { slot: member.id, port });
        }
        if self.rules().is_primary(&member.config) {
            self.joining = Some(member.id);
        }
        self.config.ports.push(member.config.clone());
        self.ports.push(Port::new(member, 0, LeftFlags::default(), false));
        Ok(())
    }

    /// Forgets a port; says what it was called.
    pub(super) fn remove(&mut self, id: PortId) -> Option<String> {
        let name = self.name(id)?;
        self.config.ports.retain(|port| port.name != name);
        let own = self.port(id).map(|port| port.own_mac);
        own.into_iter().for_each(|own| self.forget_mac(own));
        self.ports.retain(|port| port.id != id);
        self.passed_over &= !id.bit();
        self.joining = self.joining.filter(|joining| *joining != id);
        if !self.settled && self.active == Some(id) {
            // What was remembered of it is worth nothing now.
            (self.active, self.by_hand) = (None, false);
        }
        Some(name)
    }

    /// Makes a port the active one, if it is usable. As in bonding, one that only its down-delay keeps usable will not
    /// do.
    pub(super) fn activate(&mut self, id: PortId) -> Result<(), EventRefusal> {
        if self.config.mode.shares() {
            return Err(EventRefusal::NoActivePort);
        }
        // Looks at what is true now, without changing anything if it is refused.
        let mut present = self.clone();
        present.end_delays();
        present.update_usable(&mut Vec::new());
        let port = present.port(id).ok_or(EventRefusal::NoSuchPort(id))?;
        let why = if !present.settled {
            String::from("the ports have only just been asked for their state, try again")
        } else if !port.able || !port.config.enabled || port.is_failing() || present.is_held(port) {
            present.health(port)
        } else {
            self.demand = Some(Demand::ByHand(id));
            return Ok(());
        };
        Err(EventRefusal::NotUsable { port: port.config.name.clone(), why })
    }

    /// Gives up a choice by hand.
    pub(super) fn choose_again(&mut self) -> Result<(), EventRefusal> {
        if self.config.mode.shares() {
            return Err(EventRefusal::NoActivePort);
        }
        self.demand = Some(Demand::ByRule);
        Ok(())
    }

    /// Takes over the live options.
    pub(super) fn configure(&mut self, config: AggregateConfig) {
        // A primary that was only renamed is the same port, hence by slot.
        let (old_primary, old_reselect) = (self.primary(), self.config.reselect);
        if self.config.mode.shares() && !config.mode.shares() {
            // What the partner sent to all of them is still on its way.
            let until = self.now.saturating_add(ACCEPT_GRACE);
            self.ports.iter_mut().for_each(|port| port.accept_until = Some(until));
        }
        if self.settled {
            // A watch that is new to a port begins with what its others say.
            self.ports.iter_mut().for_each(|port| port.trusted = port.usable);
        }
        if self.config.hold_down != config.hold_down {
            self.ports.iter_mut().for_each(|port| port.damper.forget());
        }
        self.config = config;
        let changed = self.reconfigure_ports();
        for port in &mut self.ports {
            let watches = self.config.watches_of(&port.config).all();
            port.findings.retain(|finding| watches.contains(&finding.watch));
        }
        let primary = self.primary();
        if changed || primary != old_primary || old_reselect != self.config.reselect {
            self.passed_over = 0;
        }
        if primary != old_primary {
            self.joining = None;
            let sound = |id: &PortId| self.port(*id).is_some_and(|port| !port.is_failing());
            self.demand = primary.filter(sound).map(Demand::Primary);
        }
    }

    fn primary(&self) -> Option<PortId> {
        let rules = self.rules();
        self.ports.iter().find(|port| rules.is_primary(&port.config)).map(|port| port.id)
    }

    /// Gives each port its settings in the new configuration. A port is known by its name; those whose names are not
    /// found (a rename) get what is left, in order. Says whether anything that the choice depends on changed.
    fn reconfigure_ports(&mut self) -> bool {
        let is_named = |ports: &[Port], config: &PortConfig| ports.iter().any(|port| port.config.name == config.name);
        let mut left = self.config.ports.iter().filter(|config| !is_named(&self.ports, config)).cloned();
        let settings: Vec<_> = self
            .ports
            .iter()
            .map(|port| self.config.ports.iter().find(|config| config.name == port.config.name).cloned())
            .collect();
        let settings: Vec<_> = settings.into_iter().map(|found| found.or_else(|| left.next())).collect();
        let mut changed = false;
        for (port, config) in self.ports.iter_mut().zip(settings) {
            let Some(config) = config else { continue };
            changed |= (port.config.priority, port.config.sticky) != (config.priority, config.sticky);
            port.config = config;
        }
        changed
    }
}
