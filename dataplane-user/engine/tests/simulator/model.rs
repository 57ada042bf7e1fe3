//! What the engine must believe about the ports, worked out in another way: from how long ago each link changed.

use std::{collections::BTreeMap, time::Duration};

use aggctl_common::{IfIndex, PortId};
use aggctl_engine::{
    Event,
    config::LinkWatch,
    event::{LinkState, Member},
    status::AggregateStatus,
};

#[derive(Clone, Debug, Default)]
struct Known {
    reported: bool,
    link: Option<LinkState>,
    /// When the carrier was last seen to change, while administratively up.
    since: Duration,
    usable: bool,
    failures: u64,
}

/// The ports as reported so far.
#[derive(Clone, Debug, Default)]
pub struct Model {
    ports: BTreeMap<PortId, Known>,
    pub settled: bool,
    /// How often a port was usable before its up-delay was over.
    pub skipped_delays: u64,
}

impl Model {
    pub fn new(members: impl Iterator<Item = PortId>) -> Self {
        Self { ports: members.map(|id| (id, Known::default())).collect(), ..Self::default() }
    }

    /// Takes in an event that the engine did not refuse, and compares.
    pub fn check(&mut self, now: Duration, event: &Event, watch: &LinkWatch, status: &AggregateStatus) {
        match event {
            Event::Link { port, link } => {
                if self.is_replaced(*port, link.ifindex) {
                    self.gone(*port);
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
            Event::Aggregate(_)
            | Event::MtuRefused { .. }
            | Event::Activate { .. }
            | Event::Configure(_)
            | Event::Driver(_)
            | Event::Tick => {}
        }
        self.settled |= self.ports.values().all(|port| port.reported);
        self.expect(now, watch, status);
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
            known.usable = is_up(link);
        }
        known.reported = true;
        known.usable &= link.admin_up;
    }

    fn gone(&mut self, port: PortId) {
        let Some(known) = self.ports.get_mut(&port) else { return };
        known.failures += u64::from(known.link.take().is_some_and(|link| link.admin_up && link.carrier));
        known.reported = true;
        known.usable = false;
    }

    /// Ends delays; then compares with what the engine says, and lets it skip an up-delay where it may.
    fn expect(&mut self, now: Duration, watch: &LinkWatch, status: &AggregateStatus) {
        let over = |since: Duration, delay: u32| now.saturating_sub(since) >= Duration::from_millis(delay.into());
        for known in self.ports.values_mut() {
            let Some(link) = known.link.filter(|link| link.admin_up) else { continue };
            if link.carrier && over(known.since, watch.up_delay_ms) {
                known.usable = true;
            }
            if !link.carrier && over(known.since, watch.down_delay_ms) {
                known.usable = false;
            }
        }
        let nothing_usable = self.ports.values().all(|known| !known.usable);
        let is_waiting = |known: &Known| known.link.is_some_and(|link| link.admin_up && link.carrier);
        if !self.settled {
            return;
        }
        let said: Vec<_> = status.ports.iter().filter(|port| port.usable).map(|port| port.id).collect();
        if nothing_usable && self.ports.values().any(is_waiting) {
            assert_eq!(said.len(), 1, "exactly one up-delay is skipped while nothing is usable: {status:?}");
            let known = self.ports.get_mut(&said[0]).expect("a port that exists");
            assert!(is_waiting(known), "an up-delay is skipped for a port that is not up: {status:?}");
            known.usable = true;
            self.skipped_delays += 1;
        }
        let expected: Vec<_> = self.ports.iter().filter(|(_, known)| known.usable).map(|(id, _)| *id).collect();
        assert_eq!(said, expected, "usable ports at {now:?} with {watch:?}: {status:?}\n{self:?}");
    }
}
