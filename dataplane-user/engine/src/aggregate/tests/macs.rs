//! Who has which MAC.

use super::*;
use crate::{config::MacPolicy, event::AggregateState};

const OWN0: Mac = Mac([2, 0, 0, 0, 1, 0]);
const OWN1: Mac = Mac([2, 0, 0, 0, 1, 1]);

/// Two ports, each with its own MAC; the aggregate has that of the first.
fn bench(policy: MacPolicy) -> Bench {
    let mut config = config(2);
    config.mac_policy = policy;
    let mut bench = Bench::unsettled(config, &Memory::default());
    bench.aggregate.mac = OWN0;
    bench.seen(OWN0);
    for id in [ETH0, ETH1] {
        bench.link(id, has(own_mac(id)));
    }
    bench.run_for(10_000);
    assert_eq!(bench.active(), Some(ETH0));
    bench
}

/// A port that is up and promiscuous, with this MAC.
fn has(mac: Mac) -> LinkState {
    LinkState { mac, promisc: true, ..UP }
}

impl Bench {
    /// The aggregate is reported with this MAC.
    fn seen(&mut self, mac: Mac) -> Vec<Action> {
        self.event(Event::Aggregate(AggregateState { admin_up: true, promiscuity: 0, mac, mtu: 1500 }))
    }
}

/// What becomes of MACs.
fn set(actions: &[Action]) -> Vec<Action> {
    let sets = |action: &&Action| matches!(action, Action::SetAggregateMac { .. } | Action::SetPortMac { .. });
    actions.iter().filter(sets).cloned().collect()
}

fn words(mac: Mac, former: Mac) -> (u64, u64) {
    let [mac, former] = [mac, former].map(|mac| aggctl_common::Destination::from(mac).word());
    (mac, former)
}

#[test]
fn the_aggregate_has_the_mac_of_the_active_port_and_tells_it_once_it_has() {
    let mut bench = bench(MacPolicy::ByActive);
    let actions = bench.link(ETH0, LinkState { carrier: false, ..has(OWN0) });
    assert_eq!(set(&actions), [Action::SetAggregateMac { mac: OWN1 }]);
    let tables = published(&actions);
    // First the other port, which ends the failure; then both MACs are taken.
    assert_eq!(
        tables.iter().map(|table| (table.active, table.mac)).collect::<Vec<_>>(),
        [(1, words(OWN0, OWN1).0), (1, words(OWN1, OWN0).0)]
    );
    assert_eq!((tables[0].former_mac, tables[1].former_mac), (0, words(OWN1, OWN0).1));
    let position = |wanted: fn(&Action) -> bool| actions.iter().position(wanted).unwrap();
    let given = position(|action| matches!(action, Action::SetAggregateMac { .. }));
    assert!(position(|action| matches!(action, Action::Publish(_))) < given);
    assert!(given < position(|action| matches!(action, Action::Announce { .. })));
    assert_eq!((announced(&actions), set(&bench.seen(OWN1))), (vec![ETH1], vec![]));
    assert_eq!(set(&bench.link(ETH0, has(OWN0))), [], "nothing changes while the active port stays");
}

#[test]
fn a_mac_that_somebody_else_gives_to_the_aggregate_is_put_back_where_it_is_the_active_ports() {
    let mut bench = bench(MacPolicy::ByActive);
    assert_eq!(set(&bench.seen(MAC)), [Action::SetAggregateMac { mac: OWN0 }]);
    assert_eq!(set(&bench.seen(OWN0)), []);
}

#[test]
fn an_aggregate_that_keeps_its_mac_is_told_of_and_not_asked_for_ever() {
    let mut bench = bench(MacPolicy::ByActive);
    bench.activate(ETH1).unwrap();
    let asked = (0..10).filter(|_| !set(&bench.seen(OWN0)).is_empty()).count();
    assert!(asked < 5, "{asked}");
    assert_eq!(bench.aggregate.table().mac, words(OWN0, OWN0).0, "the programs go by what it has");
    let told = bench.aggregate.unfulfilled();
    assert!(told[0].contains("MAC of agg0 is not 02:00:00:00:01:01"), "{told:?}");
}

#[test]
fn the_mac_of_a_port_that_was_removed_is_not_received_any_more() {
    let mut bench = bench(MacPolicy::ByActive);
    bench.activate(ETH1).unwrap();
    bench.seen(OWN1);
    assert_eq!(bench.aggregate.table().former_mac, words(OWN1, OWN0).1);
    bench.event(Event::PortRemoved { port: ETH0 });
    assert_eq!(bench.aggregate.table().former_mac, 0);
}

#[test]
fn the_active_port_alone_has_the_aggregates_mac() {
    let mut bench = bench(MacPolicy::OnlyActive);
    let actions = bench.activate(ETH1).unwrap();
    // The first port would have it as its own: as in bonding it gets that of the active one meanwhile.
    assert_eq!(
        set(&actions),
        [Action::SetPortMac { port: ETH0, mac: OWN1 }, Action::SetPortMac { port: ETH1, mac: OWN0 }]
    );
    assert_eq!(bench.aggregate.table().former_mac, 0);
    for (port, mac) in [(ETH0, OWN1), (ETH1, OWN0)] {
        assert_eq!(set(&bench.link(port, has(mac))), []);
    }
    let back = bench.activate(ETH0).unwrap();
    assert_eq!(set(&back).len(), 2, "{back:?}");
}

#[test]
fn every_policy_can_follow_every_other() {
    let mut bench = bench(MacPolicy::SameAll);
    bench.link(ETH1, LinkState { promisc: false, ..has(OWN0) });
    bench.activate(ETH1).unwrap();
    let actions = bench.configure(|config| config.mac_policy = MacPolicy::ByActive);
    assert_eq!(set(&actions), [Action::SetPortMac { port: ETH1, mac: OWN1 }, Action::SetAggregateMac { mac: OWN1 }]);
    let promisc = actions.iter().position(|action| *action == Action::SetPromisc { port: ETH1, on: true });
    let mac = actions.iter().position(|action| matches!(action, Action::SetPortMac { .. }));
    assert!(promisc.is_some() && promisc < mac, "{actions:?}");
    assert_eq!(bench.aggregate.table().former_mac, words(OWN1, OWN0).1);
    bench.seen(OWN1);
    bench.link(ETH1, has(OWN1));
    let actions = bench.configure(|config| config.mac_policy = MacPolicy::OnlyActive);
    assert_eq!(set(&actions), [], "the active port has the aggregate's already");
    assert_eq!(bench.aggregate.table().former_mac, 0);
    let actions = bench.configure(|config| config.mac_policy = MacPolicy::SameAll);
    assert_eq!(set(&actions), [Action::SetPortMac { port: ETH0, mac: OWN1 }]);
}
