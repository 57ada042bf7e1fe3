//! One run: events go in, actions are carried out, and after each event the invariants are checked.

mod checks;

use std::{collections::BTreeSet, iter::Sum, time::Duration};

use aggctl_common::{IfIndex, MAX_PORTS, Mac, PortId, Ports};
use aggctl_engine::{
    Action, Event,
    action::{Announcement, Notice},
    aggregate::Aggregate,
    config::MacPolicy,
    status::AggregateStatus,
};

use crate::{
    model::Model,
    world::{World, name},
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
