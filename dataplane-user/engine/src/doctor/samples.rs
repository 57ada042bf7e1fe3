//! Pictures for the tests of the checks.

use std::collections::{BTreeMap, BTreeSet};

use aggctl_common::IfIndex;

use super::{AggregateFacts, ControllerFacts, Facts, FrameCounts, Guardian, KernelFacts, PortFacts, Sample, examine};
use crate::{
    config::{AggregateConfig, Hook, PortConfig, Wiring},
    host::{Host, Link},
    record::Phase,
    status::PortState,
};

/// The aggregate's interface.
pub(super) const AGG0: IfIndex = IfIndex(10);
/// An interface that has nothing to do with it.
pub(super) const OTHER: IfIndex = IfIndex(20);

/// An aggregate of two ports with which all is well.
pub(super) fn healthy() -> AggregateFacts {
    let names = ["eth0", "eth1"];
    let config =
        AggregateConfig { wiring: Wiring::Shared, ..AggregateConfig::new("agg0", names.map(PortConfig::new).to_vec()) };
    let states = [PortState::Active, PortState::Standby];
    let port = |(at, (name, state)): (u32, (&str, PortState))| PortFacts {
        name: name.to_owned(),
        config: PortConfig::new(name),
        link: Some(link(IfIndex(2 + at), name)),
        usable: true,
        state,
        why: "carries the traffic".to_owned(),
        speed_mbps: Some(1000),
        full_duplex: Some(true),
        link_failures: 0,
        share: None,
        counters: Some(FrameCounts { sent: 1000, received: 1000 }),
        rx_drops: BTreeMap::new(),
        sample: Some(Sample::default()),
        foreign_xdp: None,
        foreign: BTreeSet::new(),
    };
    AggregateFacts {
        name: "agg0".to_owned(),
        unreadable: None,
        config,
        phase: Phase::Attached,
        link: Some(link(AGG0, "agg0")),
        confirm_within: None,
        record_behind: None,
        record_damage: None,
        controller: ControllerFacts::Answers(100),
        guardian: Guardian::Lives,
        driver_decides: None,
        asks_kernel: true,
        wrong: Vec::new(),
        rp_filter: Some(0),
        hook: Hook::Tcx,
        conflicts: Vec::new(),
        tx_drops: BTreeMap::new(),
        vlan_drops_now: 0,
        ports: (0..).zip(names.into_iter().zip(states)).map(port).collect(),
    }
}

fn link(index: IfIndex, name: &str) -> Link {
    Link { index, name: name.to_owned(), ethernet: true, admin_up: true, carrier: true, mtu: 1500, ..Link::default() }
}

/// A picture with this aggregate.
pub(super) fn facts(aggregate: AggregateFacts) -> Facts {
    let links = [(AGG0, "agg0"), (OTHER, "other0")].map(|(index, name)| (index, link(index, name)));
    Facts {
        kernel: KernelFacts { release: "6.18.0".to_owned(), ..KernelFacts::default() },
        host: Host { links: links.into_iter().collect(), ..Host::default() },
        aggregates: vec![aggregate],
    }
}

/// What is found of an aggregate with which all is well, after this change: the words.
pub(super) fn found(change: impl FnOnce(&mut AggregateFacts)) -> Vec<&'static str> {
    let mut aggregate = healthy();
    change(&mut aggregate);
    examine(&facts(aggregate)).into_iter().map(|finding| finding.id).collect()
}
