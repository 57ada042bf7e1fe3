//! One run: events go in, actions are carried out, and after each event the invariants are checked.

use std::{collections::BTreeSet, iter::Sum, time::Duration};

use aggctl_common::{Destination, IfIndex, MAX_PORTS, Mac, PortId, Ports};
use aggctl_engine::{
    Action, Event,
    action::{Announcement, Notice},
    aggregate::Aggregate,
    config::{MacPolicy, PortConfig, Reselect},
    status::{AggregateStatus, PortState},
};

use crate::{
    model::Model,
    world::{Nic, World, name},
};

/// What happened in a run: to compare runs, and to see that something did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    pub events: u64,
    pub failovers: u64,
    pub by_hand: u64,
    pub preferred: u64,
    pub again: u64,
    pub joined: u64,
    pub announcements: u64,
    pub skipped_delays: u64,
    pub unwell: u64,
    pub held: u64,
    pub spared: u64,
    /// A digest of all actions in their order.
    actions: u64,
}

impl Sum for Trace {
    fn sum<I: Iterator<Item = Self>>(traces: I) -> Self {
        traces.fold(Self::default(), |a, b| Self {
            events: a.events + b.events,
            failovers: a.failovers + b.failovers,
            by_hand: a.by_hand + b.by_hand,
            preferred: a.preferred + b.preferred,
            again: a.again + b.again,
            joined: a.joined + b.joined,
            announcements: a.announcements + b.announcements,
            skipped_delays: a.skipped_delays + b.skipped_delays,
            unwell: a.unwell + b.unwell,
            held: a.held + b.held,
            spared: a.spared + b.spared,
            actions: a.actions ^ b.actions,
        })
    }
}

/// What was promised to the neighbours and not yet sent.
#[derive(Clone, Copy, Debug, Default)]
struct Promise {
    addresses: u8,
    groups: u8,
    interval: Duration,
    last: Option<Duration>,
}

struct Run {
    world: World,
    engine: Aggregate,
    model: Model,
    /// After the last event.
    status: AggregateStatus,
    /// Whether every port had been reported before the present event.
    was_settled: bool,
    /// The table that the programs use.
    table: Option<Ports>,
    carrier: Option<bool>,
    /// The active port, as far as the notices tell.
    told: Option<String>,
    promise: Promise,
    /// The aggregate's MAC, as the engine was told.
    mac: Mac,
    /// Whether that was not announced yet.
    new_mac: bool,
    /// The ports that the owner passed over, while the choice by hand stands.
    passed_over: BTreeSet<PortId>,
    /// The primary that joined and was not usable yet.
    joining: Option<PortId>,
    /// It, if it was usable for the first time after the present event.
    joined: Option<PortId>,
    /// The primary before the present event.
    primary: Option<String>,
    trace: Trace,
    /// What came of actions, and the engine was not told yet.
    replies: Vec<Event>,
}

pub fn run(seed: u64, events: u64) -> Trace {
    let mut world = World::new(seed);
    let memory = world.memory();
    let members = world.members();
    let mac = world.interface.mac;
    let engine = Aggregate::new(world.config.clone(), members, mac, &memory);
    let remembered = memory.active.filter(|id| world.nics.iter().any(|nic| nic.id == *id));
    let mut run = Run {
        model: Model::new(world.nics.iter().map(|nic| nic.id), &memory, &world.config),
        status: AggregateStatus::default(),
        was_settled: false,
        told: remembered.map(name),
        world,
        engine,
        table: None,
        carrier: None,
        promise: Promise::default(),
        mac,
        new_mac: false,
        passed_over: BTreeSet::new(),
        joining: None,
        joined: None,
        primary: None,
        trace: Trace::default(),
        replies: Vec::new(),
    };
    for event in 0..events {
        run.let_time_pass();
        let what = run.world.happen();
        if run.is_about_this_link(&what) {
            run.feed(&what);
        }
        if event % 100 == 99 {
            run.come_to_rest();
        }
    }
    run.trace.skipped_delays = run.model.skipped_delays;
    run.trace.unwell = run.model.unwell;
    run.trace.held = run.model.held;
    run.trace.spared = run.model.spared;
    run.trace
}

impl Run {
    /// Some milliseconds, with the engine woken when it asked for it; now and then too late.
    fn let_time_pass(&mut self) {
        let pause = self.world.rng.pick(&[0, 0, 1, 5, 50, 300, 1000]);
        let until = self.world.now + Duration::from_millis(pause);
        while let Some(deadline) = self.engine.deadline().filter(|deadline| *deadline <= until) {
            let late = self.world.rng.once_in(20);
            self.world.now = if late { until } else { deadline };
            self.feed(&Event::Tick);
        }
        self.world.now = until;
    }

    /// With nothing happening, everything promised is done, every willing port is set right, and then there is peace.
    fn come_to_rest(&mut self) {
        self.world.keeps_mac = false;
        self.feed(&Event::Aggregate(self.world.interface));
        for _ in 0..5 {
            self.poll_all();
        }
        let mut ticks = 0;
        while let Some(deadline) = self.engine.deadline() {
            self.world.now = deadline;
            self.feed(&Event::Tick);
            ticks += 1;
            assert!(ticks < 100, "the engine asks for one tick after another");
        }
        assert_eq!((self.promise.addresses, self.promise.groups), (0, 0), "announcements are missing");
        // What was changed by others again and again is put back after the longest pause.
        self.world.now += Duration::from_secs(65);
        for _ in 0..3 {
            self.feed(&Event::Aggregate(self.world.interface));
            self.poll_all();
        }
        while let Some(deadline) = self.engine.deadline() {
            self.world.now = deadline;
            self.feed(&Event::Tick);
        }
        let before = self.trace.actions;
        self.poll_all();
        assert_eq!(self.trace.actions, before, "the engine does not come to rest");
        for nic in self.world.nics.iter().filter(|nic| nic.member && nic.present && !nic.stubborn) {
            let interface = self.world.interface;
            self.check_mac(nic);
            let (needed, own) = (self.world.needs(nic), nic.own);
            assert_eq!(nic.state.promisc, needed.promisc || own.promisc, "promiscuous mode of {nic:?}");
            assert_eq!(nic.state.allmulti, needed.allmulti || own.allmulti, "all-multicast mode of {nic:?}");
            // One that came back, or was added, need not take what all others have.
            assert!(nic.state.mtu == interface.mtu || !nic.takes(interface.mtu), "MTU of {nic:?}");
        }
    }

    /// A port that takes settings has the MAC that the policy says, and the aggregate too.
    fn check_mac(&self, nic: &Nic) {
        let (mac, own) = (self.world.interface.mac, nic.own_mac());
        let active = self.status.active.and_then(|active| self.world.nics.iter().find(|nic| nic.id == active));
        let expected = match (self.world.config.mac_policy, active) {
            (MacPolicy::SameAll, _) => mac,
            (MacPolicy::ByActive, _) => own,
            (MacPolicy::OnlyActive, None) => return,
            (MacPolicy::OnlyActive, Some(active)) if active.id == nic.id => mac,
            (MacPolicy::OnlyActive, Some(active)) if own == mac => active.own_mac(),
            (MacPolicy::OnlyActive, Some(_)) => own,
        };
        assert_eq!(nic.state.mac, expected, "MAC of {nic:?}");
        if let (MacPolicy::ByActive, Some(active)) = (self.world.config.mac_policy, active) {
            assert_eq!(mac, active.own_mac(), "the aggregate's MAC");
        }
        let table = self.engine.table();
        assert_eq!(table.mac, Destination::from(mac).word(), "the programs know another MAC");
        assert!(table.former_mac == 0 || self.world.config.mac_policy == MacPolicy::ByActive);
    }

    /// What watches say of the present link; what is about a former one must change nothing.
    fn is_about_this_link(&mut self, event: &Event) -> bool {
        let Event::Watched(news) = event else { return true };
        let wish = self.engine.probe_wish(|_| Mac::default());
        let epoch = wish.ports.iter().find(|port| port.id == news.port).map(|port| port.epoch);
        if epoch != Some(news.epoch) {
            // What time alone brings is no matter of theirs.
            self.feed(&Event::Tick);
            let before = self.engine.memory();
            let actions = self.engine.on_event(self.world.now, event.clone()).expect("news are never refused");
            assert_eq!((actions, self.engine.memory()), (Vec::new(), before), "{event:?}");
        }
        epoch == Some(news.epoch)
    }

    fn poll_all(&mut self) {
        for nic in 0..self.world.nics.len() {
            let report = self.world.report(nic);
            self.feed(&report);
        }
    }

    fn feed(&mut self, event: &Event) {
        let now = self.world.now;
        self.trace.events += 1;
        let before = std::mem::take(&mut self.status);
        let was_due = self.engine.deadline().is_some_and(|deadline| deadline <= now);
        let table = self.engine.table();
        let new_mac = matches!(event, Event::Aggregate(state) if state.mac != self.mac);
        if new_mac {
            self.mac = self.world.interface.mac;
        }
        let actions = match self.engine.on_event(now, event.clone()) {
            Ok(actions) => actions,
            Err(refusal) => {
                self.check_refusal(event, &before, &refusal.to_string());
                self.status = before;
                return;
            }
        };
        let after = self.engine.status();
        self.was_settled = self.model.settled;
        self.model.check(now, event, &self.world.config, &after);
        self.follow(event, &actions, &after, new_mac);
        self.check_status(&after);
        self.check_joining(event, &after);
        self.check_choice(event, &table, &before, &after);
        if !was_due {
            self.check_fallback(event, &table, &before, &after);
        }
        let deadline = self.engine.deadline();
        assert!(deadline.is_none_or(|deadline| deadline > now), "{deadline:?} at {now:?} after {event:?}");
        self.status = after;
        for reply in std::mem::take(&mut self.replies) {
            // What is told is asked for when it is told.
            let is_report = matches!(reply, Event::Aggregate(_));
            let reply = if is_report { Event::Aggregate(self.world.interface) } else { reply };
            self.feed(&reply);
        }
    }

    fn check_refusal(&self, event: &Event, before: &AggregateStatus, refusal: &str) {
        assert!(!refusal.contains('\n') && refusal.len() > 10);
        let Event::Activate { port } = event else { panic!("{event:?} was refused: {refusal}") };
        let sound = before.ports.iter().find(|status| status.id == *port).is_some_and(|port| port.usable && port.link);
        assert!(!sound || !self.model.settled, "{event:?} was refused: {refusal}; {before:?}");
        assert_eq!(&self.engine.status().active, &before.active);
    }

    /// Carries out the actions, as a controller would, and checks each.
    fn follow(&mut self, event: &Event, actions: &[Action], after: &AggregateStatus, new_mac: bool) {
        if let (Event::PortRemoved { port }, false) = (event, self.was_settled) {
            self.told = self.told.take().filter(|told| *told != name(*port));
        }
        self.new_mac |= new_mac;
        if self.new_mac && self.model.settled {
            self.new_mac = false;
            self.promise();
        }
        for action in actions {
            self.replies.extend(self.world.apply(action));
            self.trace.actions = (self.trace.actions.rotate_left(5) ^ digest(action)).wrapping_mul(0x9e37_79b9);
            match action {
                Action::Publish(table) => self.publish(table),
                Action::SetAggregateMac { mac } => {
                    assert_eq!(self.world.config.mac_policy, MacPolicy::ByActive);
                    if self.mac != *mac {
                        self.mac = *mac;
                        self.promise();
                    }
                }
                Action::SetCarrier(carrier) => assert_ne!(self.carrier.replace(*carrier), Some(*carrier)),
                Action::Announce { port, announcement } => self.announced(*port, *announcement),
                Action::Notice(Notice::Active { from, to, .. }) => {
                    assert_eq!(from, &self.told, "after {event:?}");
                    assert_ne!(from, to);
                    self.told.clone_from(to);
                    self.promise();
                }
                Action::PublishFallbackOrders(_) | Action::PublishBuckets(_) | Action::PublishRotation(_) => {
                    panic!("{action:?}, while one port carries all");
                }
                Action::Notice(_)
                | Action::SetPromisc { .. }
                | Action::SetAllmulti { .. }
                | Action::SetPortMac { .. }
                | Action::SetPortMtu { .. }
                | Action::SetAggregateMtu { .. }
                | Action::SetDriverActive { .. }
                | Action::KeepOwnFlags { .. } => {}
            }
        }
        if !self.model.settled {
            assert_eq!((self.table, self.carrier), (None, None), "acted before all ports were reported");
            return;
        }
        assert_eq!(self.told, after.active.map(name), "a change of the active port was not told");
        assert_eq!(self.table, Some(self.engine.table()));
        assert_eq!(self.carrier, Some(after.carrier));
        let Promise { addresses, groups, last, .. } = self.promise;
        assert!(addresses.max(groups) == 0 || last.is_some(), "the first announcement is late");
    }

    /// From now on as many announcements as the owner wants are owed.
    fn promise(&mut self) {
        let settings = self.world.config.announce;
        let [addresses, groups] = if self.told.is_some() { [settings.count, settings.groups] } else { [0, 0] };
        let interval = Duration::from_millis(settings.interval_ms.into());
        self.promise = Promise { addresses, groups, interval, last: None };
    }

    fn announced(&mut self, port: PortId, announcement: Announcement) {
        self.trace.announcements += 1;
        assert_eq!(Some(name(port)), self.told, "announced from a port that is not active");
        assert!(announcement.addresses || announcement.groups, "nothing is announced");
        for (told, rounds) in
            [(announcement.addresses, &mut self.promise.addresses), (announcement.groups, &mut self.promise.groups)]
        {
            assert!(*rounds > 0 || !told, "announced once too often");
            *rounds -= u8::from(told);
        }
        if let Some(last) = self.promise.last.replace(self.world.now) {
            assert!(self.world.now - last >= self.promise.interval, "announced too early");
        }
    }

    fn publish(&mut self, table: &Ports) {
        assert_ne!(self.table, Some(*table), "published what is already there");
        if let Some(old) = self.table.replace(*table) {
            for slot in 0..MAX_PORTS {
                let in_use = (old.usable | old.accept) >> slot & 1 == 1;
                assert!(!in_use || old.ifindex[slot] == table.ifindex[slot], "slot {slot} was changed while in use");
            }
        }
        let count = table.count as usize;
        assert!(table.order[count..].iter().all(|slot| *slot == 0));
        for slot in 0..MAX_PORTS {
            let times = table.order[..count].iter().filter(|entry| usize::from(**entry) == slot).count();
            assert!(times <= 1 && (times == 1 || (table.usable | table.accept) >> slot & 1 == 0));
            assert!(times == 1 || table.ifindex[slot] == IfIndex::NONE || table.usable == 0 || count > 0);
        }
    }

    fn check_status(&self, status: &AggregateStatus) {
        if !self.model.settled {
            assert_eq!(status.active, None);
            return;
        }
        let usable = status.ports.iter().filter(|port| port.usable).count();
        assert_eq!(status.carrier, usable >= usize::from(self.world.config.min_ports), "{status:?}");
        assert_eq!(status.active.is_some(), usable > 0, "one port is active while any is usable: {status:?}");
        let table = self.engine.table();
        assert_eq!(table.choose(), status.active, "the table says otherwise: {table:?} {status:?}");
        for port in &status.ports {
            let active = status.active == Some(port.id);
            assert_eq!(port.state == PortState::Active, active);
            assert!(!active || port.usable, "an unusable port is active: {status:?}");
            let accepts = table.accept & port.id.bit() != 0;
            let is_left_alone = port.held.is_some() || !self.settings(port.id).enabled;
            assert!(!accepts || port.usable || is_left_alone, "an unusable port accepts: {status:?}");
            assert_eq!(table.usable & port.id.bit() != 0, port.usable);
            assert!(!port.why.is_empty());
        }
    }

    fn settings(&self, id: PortId) -> &PortConfig {
        self.world.config.ports.iter().find(|port| port.name == name(id)).expect("settings of each port")
    }

    /// A primary that joined takes over as soon as it is usable, once, unless the owner chose another just then.
    fn check_joining(&mut self, event: &Event, after: &AggregateStatus) {
        let primary = self.world.config.primary.clone();
        let is_port = |name: &String| after.ports.iter().any(|port| port.name == *name);
        match event {
            Event::PortAdded(member) if primary.as_ref() == Some(&member.config.name) => {
                self.joining = Some(member.id);
            }
            Event::PortRemoved { port } => self.joining = self.joining.filter(|joining| joining != port),
            Event::Configure(_) if primary.as_ref().filter(|name| is_port(name)) != self.primary.as_ref() => {
                self.joining = None;
            }
            _ => {}
        }
        self.primary = primary.filter(is_port);
        self.joined = None;
        let Some(joining) = self.joining.filter(|_| self.model.settled) else { return };
        if after.ports.iter().any(|port| port.id == joining && port.usable && port.link) {
            let is_order = matches!(event, Event::Activate { .. } | Event::ChooseAgain);
            assert!(is_order || after.active == Some(joining), "{joining} joined: {event:?} {after:?}");
            self.joining = None;
            self.joined = Some(joining);
        }
    }

    /// A port that could have stayed active yields only to one that the owner chose, or that is preferred and may.
    fn check_choice(&mut self, event: &Event, table: &Ports, before: &AggregateStatus, after: &AggregateStatus) {
        let usable = |id: PortId| after.ports.iter().any(|port| port.id == id && port.usable);
        match event {
            Event::Activate { .. } => {
                self.passed_over = after.ports.iter().filter(|port| port.usable).map(|port| port.id).collect();
            }
            Event::Configure(_) | Event::ChooseAgain => self.passed_over.clear(),
            _ => self.passed_over.retain(|id| usable(*id)),
        }
        let replugged = match event {
            Event::Link { port, link } => {
                Some(*port).filter(|_| ![IfIndex::NONE, link.ifindex].contains(&table.ifindex[port.index()]))
            }
            _ => None,
        };
        self.passed_over.retain(|id| Some(*id) != replugged);
        let (Some(from), Some(to)) = (before.active, after.active) else { return };
        if let Event::Activate { port } = event {
            self.trace.by_hand += 1;
            assert_eq!(to, *port, "the owner's choice");
        }
        if from == to {
            return;
        }
        let link = |id: PortId| after.ports.iter().any(|port| port.id == id && port.link);
        if !usable(from) || replugged == Some(from) {
            self.trace.failovers += 1;
            self.passed_over.clear();
            let better = after.ports.iter().any(|port| port.usable && port.link && port.id != from);
            assert!(link(to) || !better, "{to} is failing itself: {after:?}");
            return;
        }
        let config = &self.world.config;
        let primary = |id| config.primary == Some(name(id));
        match event {
            Event::Activate { .. } => {}
            Event::ChooseAgain => {
                self.trace.again += 1;
                let merit = |id| (link(id), primary(id), self.settings(id).priority);
                let usable = after.ports.iter().filter(|port| port.usable);
                assert!(usable.map(|port| merit(port.id)).all(|other| other <= merit(to)), "{to} is not the best");
            }
            Event::Configure(_) if primary(to) => {}
            _ if self.joined == Some(to) => {
                self.trace.joined += 1;
                self.passed_over.clear();
            }
            _ => {
                self.trace.preferred += 1;
                let (old, new) = (self.settings(from), self.settings(to));
                assert!(!old.sticky && config.reselect != Reselect::Failure, "{from} had to stay: {event:?}");
                let preferred = (primary(to), new.priority) > (primary(from), old.priority);
                assert!(link(to), "{to} is failing: {event:?} {after:?}");
                assert!(!self.passed_over.contains(&to), "{to} was passed over: {event:?}");
                self.passed_over.clear();
                assert!(preferred, "{to} is not preferred to {from}: {event:?}");
            }
        }
    }

    /// What the programs fall back to is what the engine chooses when the active port alone fails.
    fn check_fallback(&self, event: &Event, table: &Ports, before: &AggregateStatus, after: &AggregateStatus) {
        let (Some(failed), Event::Link { port, .. } | Event::Gone { port } | Event::PortRemoved { port }) =
            (before.active, event)
        else {
            return;
        };
        let left = Ports { usable: table.usable & !failed.bit(), ..*table };
        if *port != failed || self.engine.table().usable != left.usable {
            return;
        }
        if let Some(fallback) = left.choose() {
            assert_eq!(after.active, Some(fallback), "the programs fell back to another port: {event:?} {table:?}");
        }
    }
}

/// A number that most likely differs for different actions.
fn digest(action: &Action) -> u64 {
    if let Action::Publish(table) = action {
        let order = table.order.iter().fold(0_u64, |order, slot| order.rotate_left(5) ^ u64::from(*slot));
        return table.usable ^ table.accept.rotate_left(16) ^ u64::from(table.active).rotate_left(32) ^ order;
    }
    format!("{action:?}")
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}
