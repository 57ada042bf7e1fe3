//! What the engine must believe about the ports, worked out in another way: from how long ago each link changed.

use std::{collections::BTreeMap, time::Duration};

use aggctl_common::{IfIndex, PortId};
use aggctl_engine::{
    Event,
    aggregate::Memory,
    config::{AggregateConfig, PortConfig},
    event::{LinkState, Member},
    hold_down::HoldDown,
    prober::WatchFinding,
    status::AggregateStatus,
    watches::{WatchKind, WatchPolicy, Watches},
};

use crate::world::name;

#[derive(Clone, Debug, Default)]
struct Known {
    reported: bool,
    link: Option<LinkState>,
    /// When the carrier was last seen to change, while administratively up.
    since: Duration,
    /// Whether its link may be used.
    up: bool,
    /// What its watches beyond the link said since that came up.
    findings: Vec<WatchFinding>,
    /// Whether one that has not spoken is taken to find it well.
    trusted: bool,
    /// Whether it was usable after the last event.
    usable: bool,
    failures: u64,
    /// Whether link and watches let it be used, before any delay; `None`: not known yet.
    sound: Option<bool>,
    /// When that changed, since the rule was the present one.
    changes: Vec<Duration>,
    /// When it changed once too often.
    held: Option<Duration>,
}

/// The ports as reported so far.
#[derive(Clone, Debug, Default)]
pub struct Model {
    ports: BTreeMap<PortId, Known>,
    pub settled: bool,
    /// How often a port was usable before its up-delay was over.
    pub skipped_delays: u64,
    /// How often a port with a link was not usable because of its other watches.
    pub unwell: u64,
    /// How often a port that could have been used was not, since it was held down.
    pub held: u64,
    /// How often one was all the same, since no other had a link.
    pub spared: u64,
    hold_down: HoldDown,
    /// The port that was used although it was held down.
    spare: Option<PortId>,
}

impl Model {
    pub fn new(members: impl Iterator<Item = PortId>, memory: &Memory, config: &AggregateConfig) -> Self {
        let known = |id: PortId| Known { trusted: !memory.unwell.contains(&id), ..Known::default() };
        let ports = members.map(|id| (id, known(id))).collect();
        Self { ports, hold_down: config.hold_down, ..Self::default() }
    }

    /// Takes in an event that the engine did not refuse, and compares.
    pub fn check(&mut self, now: Duration, event: &Event, config: &AggregateConfig, status: &AggregateStatus) {
        let mut replaced = None;
        match event {
            Event::Link { port, link } => {
                if self.is_replaced(*port, link.ifindex) {
                    replaced = Some(*port);
                    self.gone(*port);
                    self.count_changes(now, config);
                    self.spare = self.spare.filter(|spare| spare != port);
                }
                self.link(now, *port, *link);
            }
            Event::Gone { port } => self.gone(*port),
            Event::PortAdded(Member { id: port, .. }) => {
                self.ports.insert(*port, Known::default());
            }
            Event::PortRemoved { port } => {
                self.ports.remove(port);
            }
            // What is said about a former link was told apart before.
            Event::Watched(news) => {
                if let Some(known) = self.ports.get_mut(&news.port) {
                    known.findings.clone_from(&news.findings);
                }
            }
            Event::Configure(_) => {
                if config.hold_down != self.hold_down {
                    self.hold_down = config.hold_down;
                    self.ports.values_mut().for_each(|known| known.changes.clear());
                }
                for (id, known) in &mut self.ports {
                    known.trusted = if self.settled { known.usable } else { known.trusted };
                    let watches = watches_of(*id, config);
                    known.findings.retain(|finding| watches.all().contains(&finding.watch));
                }
            }
            Event::Aggregate(_)
            | Event::MtuRefused { .. }
            | Event::Activate { .. }
            | Event::ChooseAgain
            | Event::Driver(_)
            | Event::Tick => {}
        }
        self.settled |= self.ports.values().all(|port| port.reported);
        self.expect(now, config, status, replaced);
        for port in &status.ports {
            let known = &self.ports[&port.id];
            assert_eq!(port.link_failures, known.failures, "link failures of {}", port.name);
            assert_eq!(port.link, known.link.is_some_and(|link| link.admin_up && link.carrier));
        }
    }

    fn is_replaced(&self, port: PortId, ifindex: IfIndex) -> bool {
        self.ports.get(&port).and_then(|known| known.link).is_some_and(|link| link.ifindex != ifindex)
    }

    fn link(&mut self, now: Duration, port: PortId, link: LinkState) {
        let first_look = !self.settled;
        let Some(known) = self.ports.get_mut(&port) else { return };
        let is_up = |link: LinkState| link.admin_up && link.carrier;
        let before = known.link.replace(link);
        known.failures += u64::from(before.is_some_and(is_up) && !is_up(link));
        if before.map(is_up) != Some(is_up(link)) {
            known.since = now;
        }
        if !known.reported && first_look {
            known.up = is_up(link);
        }
        known.reported = true;
        known.up &= link.admin_up;
    }

    fn gone(&mut self, port: PortId) {
        let Some(known) = self.ports.get_mut(&port) else { return };
        known.failures += u64::from(known.link.take().is_some_and(|link| link.admin_up && link.carrier));
        known.reported = true;
        known.up = false;
        known.trusted = false;
        known.findings.clear();
    }

    /// Whether the watches of a port let it be used, by the policy.
    fn is_well(&self, id: PortId, config: &AggregateConfig) -> bool {
        let known = &self.ports[&id];
        let mut wells = Vec::new();
        for watch in watches_of(id, config).all() {
            let said = known.findings.iter().find(|finding| finding.watch == *watch).map(|finding| finding.up);
            wells.push(watch.kind == WatchKind::Link || said.unwrap_or(known.trusted));
        }
        match config.watch_policy {
            WatchPolicy::All => !wells.contains(&false),
            WatchPolicy::Any => wells.contains(&true),
        }
    }

    /// Counts who changed, and holds down who did so too often.
    fn count_changes(&mut self, now: Duration, config: &AggregateConfig) {
        let sound = |known: &Known, well: bool| known.link.is_some_and(|link| link.admin_up && link.carrier) && well;
        let all: Vec<_> = self.ports.iter().map(|(id, known)| (*id, sound(known, self.is_well(*id, config)))).collect();
        for (id, sound) in all {
            let known = self.ports.get_mut(&id).expect("a port that exists");
            let HoldDown::By(rule) = config.hold_down else {
                known.held = None;
                known.sound = known.reported.then_some(sound);
                continue;
            };
            if known.held.is_some_and(|since| now - since >= Duration::from_secs(rule.for_s.into())) {
                known.held = None;
            }
            let before = known.sound.filter(|_| known.reported);
            known.sound = known.reported.then_some(sound);
            if before.is_none_or(|before| before == sound) {
                continue;
            }
            known.changes.push(now);
            let window = Duration::from_secs(rule.window_s.into());
            let lately = known.changes.iter().filter(|at| now - **at <= window).count();
            if lately >= usize::from(rule.changes) {
                known.held = Some(now);
            }
        }
    }

    /// The port that is used although it is held down, as the engine says; whether there may be one, and which, is
    /// checked.
    fn spare(&self, said: &[PortId], well: &BTreeMap<PortId, bool>) -> Option<PortId> {
        let has_link = |known: &Known| known.link.is_some_and(|link| link.carrier);
        let able = || self.ports.iter().filter(|(id, known)| known.up && well[id]);
        let free = || able().filter(|(_, known)| known.held.is_none());
        let held = || able().filter(|(_, known)| known.held.is_some());
        let spares: Vec<_> = held().map(|(id, _)| *id).filter(|id| said.contains(id)).collect();
        let held_link = held().any(|(_, known)| has_link(known));
        let needed = !free().any(|(_, known)| has_link(known)) && (held_link || free().count() == 0);
        let expected = usize::from(needed && held().count() > 0);
        assert_eq!(spares.len(), expected, "ports that are used although they are held down: {said:?} {self:?}");
        let spare = *spares.first()?;
        assert!(!held_link || has_link(&self.ports[&spare]), "{spare} has no link, another one has: {self:?}");
        let before = self.spare.filter(|id| held().any(|(held, known)| held == id && has_link(known) == held_link));
        assert!(before.is_none_or(|before| before == spare), "{before:?} was used and could be: {spare} {self:?}");
        Some(spare)
    }

    /// Ends delays; then compares with what the engine says, and lets it skip an up-delay where it may.
    /// `replaced`: a port that was another interface until now; it was gone for a moment.
    fn expect(&mut self, now: Duration, config: &AggregateConfig, status: &AggregateStatus, replaced: Option<PortId>) {
        let over = |since: Duration, delay: u32| now.saturating_sub(since) >= Duration::from_millis(delay.into());
        let watch = &config.link_watch;
        for known in self.ports.values_mut() {
            let link = known.link.filter(|link| link.admin_up);
            let carrier = link.is_some_and(|link| link.carrier);
            if carrier && over(known.since, watch.up_delay_ms) {
                known.up = true;
            }
            if link.is_some() && !carrier && over(known.since, watch.down_delay_ms) {
                known.up = false;
            }
            if known.reported && !known.up && !carrier {
                known.trusted = false;
                known.findings.clear();
            }
        }
        self.count_changes(now, config);
        let may_be_used = |id: PortId| settings(id, config).enabled && self.is_well(id, config);
        let well: BTreeMap<_, _> = self.ports.keys().map(|id| (*id, may_be_used(*id))).collect();
        let nothing_usable = self.ports.iter().all(|(id, known)| !known.up || !well[id]);
        let is_waiting =
            |id: &PortId, known: &Known| known.link.is_some_and(|link| link.admin_up && link.carrier) && well[id];
        if !self.settled {
            return;
        }
        let said: Vec<_> = status.ports.iter().filter(|port| port.usable).map(|port| port.id).collect();
        if nothing_usable && self.ports.iter().any(|(id, known)| is_waiting(id, known)) {
            assert_eq!(said.len(), 1, "exactly one up-delay is skipped while nothing is usable: {status:?}");
            let mut was_there = self.ports.iter().filter(|(id, _)| Some(**id) != replaced);
            let calm = was_there.any(|(id, known)| is_waiting(id, known) && known.held.is_none());
            let known = self.ports.get_mut(&said[0]).expect("a port that exists");
            assert!(is_waiting(&said[0], known), "an up-delay is skipped for a port that is not up: {status:?}");
            assert!(!calm || known.held.is_none(), "an up-delay is skipped for a port that is held down: {status:?}");
            known.up = true;
            self.skipped_delays += 1;
        }
        let spare = self.spare(&said, &well);
        for (id, known) in &mut self.ports {
            let able = known.up && well[id];
            known.usable = able && (known.held.is_none() || spare == Some(*id));
            self.unwell += u64::from(known.up && !well[id]);
            self.held += u64::from(able && !known.usable);
        }
        self.spared += u64::from(spare.is_some());
        self.spare = spare;
        let expected: Vec<_> = self.ports.iter().filter(|(_, known)| known.usable).map(|(id, _)| *id).collect();
        assert_eq!(said, expected, "usable ports at {now:?} with {watch:?}: {status:?}\n{self:?}");
    }
}

fn settings(id: PortId, config: &AggregateConfig) -> &PortConfig {
    config.ports.iter().find(|port| port.name == name(id)).expect("settings of each port")
}

/// What a port is watched by.
fn watches_of(id: PortId, config: &AggregateConfig) -> &Watches {
    settings(id, config).watches.as_ref().unwrap_or(&config.watches)
}
