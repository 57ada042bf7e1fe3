//! What an aggregate does, told as stories: each line is an event and what must follow.

use super::*;
use crate::{
    config::{LinkWatch, PortConfig, Reselect, Toggle},
    event::OwnFlags,
    host::MtuLimits,
    status::PortState,
};

mod adopt;
mod announcements;
mod choice;
mod flags;
mod held;
mod macs;
mod mtu;
mod over;
mod settings;
mod sharing;
mod status;
mod watched;

const MAC: Mac = Mac([2, 0, 0, 0, 0, 0xa]);
const ETH0: PortId = PortId(0);
const ETH1: PortId = PortId(1);
const ETH2: PortId = PortId(2);

const UP: LinkState = LinkState {
    ifindex: IfIndex::NONE,
    admin_up: true,
    carrier: true,
    promisc: false,
    allmulti: true,
    mac: MAC,
    mtu: 1500,
    mtu_limits: MtuLimits::NONE,
    membership: None,
    speed_mbps: None,
    full_duplex: None,
    vlan_filter_fixed: false,
};
const DOWN: LinkState = LinkState { carrier: false, ..UP };
const DISABLED: LinkState = LinkState { admin_up: false, carrier: false, ..UP };

/// An aggregate, and a clock.
struct Bench {
    aggregate: Aggregate,
    now: Duration,
}

fn config(ports: usize) -> AggregateConfig {
    AggregateConfig::new("agg0", (0..ports).map(|id| PortConfig::new(format!("eth{id}"))).collect())
}

/// A port under the number that it has by default, whose owner wants none of its flags.
fn member(id: PortId, config: &PortConfig) -> Member {
    let (ifindex, config) = (IfIndex(u32::from(id.0) + 10), config.clone());
    Member { id, ifindex, config, own: OwnFlags::default(), mac: own_mac(id) }
}

/// The MAC that a port had before it was one.
fn own_mac(id: PortId) -> Mac {
    Mac([2, 0, 0, 0, 1, id.0])
}

impl Bench {
    /// Not yet told of any port.
    fn unsettled(config: AggregateConfig, memory: &Memory) -> Self {
        let members = (0..).zip(&config.ports).map(|(id, config)| member(PortId(id), config)).collect();
        Self { aggregate: Aggregate::new(config, members, MAC, memory), now: Duration::from_secs(1000) }
    }

    /// All ports found up.
    fn up(config: AggregateConfig) -> Self {
        let count = config.ports.len();
        let mut bench = Self::unsettled(config, &Memory::default());
        for id in 0..count {
            bench.link(PortId(u8::try_from(id).unwrap()), UP);
        }
        bench.run_for(10_000);
        bench
    }

    fn event(&mut self, event: Event) -> Vec<Action> {
        self.aggregate.on_event(self.now, event).unwrap()
    }

    /// Reports a link, under the number that the port has.
    fn link(&mut self, port: PortId, state: LinkState) -> Vec<Action> {
        let ifindex = IfIndex(u32::from(port.0) + 10);
        self.event(Event::Link { port, link: LinkState { ifindex, ..state } })
    }

    fn activate(&mut self, port: PortId) -> Result<Vec<Action>, EventRefusal> {
        self.aggregate.on_event(self.now, Event::Activate { port })
    }

    fn configure(&mut self, change: impl FnOnce(&mut AggregateConfig)) -> Vec<Action> {
        let mut config = self.aggregate.config.clone();
        change(&mut config);
        self.event(Event::Configure(config))
    }

    /// Lets time pass, with a tick at each deadline. All that was asked for, with the time since the start.
    fn run_for(&mut self, ms: u64) -> Vec<(u128, Action)> {
        let start = self.now;
        let end = start + Duration::from_millis(ms);
        let mut done = Vec::new();
        while let Some(deadline) = self.aggregate.deadline().filter(|deadline| *deadline <= end) {
            self.now = deadline;
            let elapsed = (deadline - start).as_millis();
            done.extend(self.event(Event::Tick).into_iter().map(|action| (elapsed, action)));
        }
        self.now = end;
        done
    }

    fn active(&self) -> Option<PortId> {
        self.aggregate.status().active
    }

    fn why(&self, port: PortId) -> String {
        self.aggregate.status().ports[port.index()].why.clone()
    }

    fn state(&self, port: PortId) -> PortState {
        self.aggregate.status().ports[port.index()].state
    }
}

fn published(actions: &[Action]) -> Vec<Ports> {
    let tables = actions.iter().filter_map(|action| match action {
        Action::Publish(table) => Some(**table),
        _ => None,
    });
    tables.collect()
}

fn announced(actions: &[Action]) -> Vec<PortId> {
    let ports = actions.iter().filter_map(|action| match action {
        Action::Announce { port, announcement } => announcement.addresses.then_some(*port),
        _ => None,
    });
    ports.collect()
}
