//! Flags of a port that its owner wants, or does not.

use super::*;

const INTERFACE: AggregateState = AggregateState { admin_up: true, promiscuity: 0, mac: MAC, mtu: 1500 };
const BUSY: AggregateState = AggregateState { promiscuity: 1, ..INTERFACE };
const PROMISC: LinkState = LinkState { promisc: true, ..UP };
const ALLMULTI_OFF: LinkState = LinkState { allmulti: false, ..UP };

fn of_flags(actions: Vec<Action>) -> Vec<Action> {
    let is_flag = |action: &Action| {
        let set = matches!(action, Action::SetPromisc { .. } | Action::SetAllmulti { .. });
        set || matches!(action, Action::KeepOwnFlags { .. } | Action::Notice(Notice::PutBack { .. }))
    };
    actions.into_iter().filter(is_flag).collect()
}

fn keep(promisc: bool, allmulti: bool) -> Action {
    Action::KeepOwnFlags { port: ETH0, own: OwnFlags { promisc, allmulti } }
}

fn put_back(setting: &str) -> Action {
    Action::Notice(Notice::PutBack { port: String::from("eth0"), setting: setting.to_owned() })
}

fn promisc(on: bool) -> Action {
    Action::SetPromisc { port: ETH0, on }
}

/// An aggregate with one port, whose flags are as it needs them.
fn bench() -> Bench {
    let mut bench = Bench::up(config(1));
    assert_eq!(of_flags(bench.event(Event::Aggregate(INTERFACE))), []);
    bench
}

/// The flags of the port as a controller that comes after `memory` sees them, and what it does about them.
fn adopt(memory: &Memory, own: OwnFlags, link: LinkState) -> Vec<Action> {
    let config = config(1);
    let member = Member { own, ..member(ETH0, &config.ports[0]) };
    let aggregate = Aggregate::new(config, vec![member], MAC, memory);
    let mut bench = Bench { aggregate, now: Duration::from_secs(5000) };
    let mut actions = bench.link(ETH0, link);
    actions.extend(bench.event(Event::Aggregate(INTERFACE)));
    of_flags(actions)
}

#[test]
fn what_the_owner_had_set_before_stays() {
    let config = config(1);
    let own = OwnFlags { promisc: true, allmulti: false };
    let member = Member { own, ..member(ETH0, &config.ports[0]) };
    let mut bench = Bench::unsettled(AggregateConfig { ports: Vec::new(), ..config }, &Memory::default());
    bench.event(Event::Aggregate(INTERFACE));
    bench.event(Event::PortAdded(member));
    assert_eq!(of_flags(bench.link(ETH0, PROMISC)), []);
    for interface in [BUSY, INTERFACE] {
        assert_eq!(of_flags(bench.event(Event::Aggregate(interface))), []);
    }
}

#[test]
fn what_the_owner_sets_stays_and_is_kept() {
    let mut bench = bench();
    assert_eq!(of_flags(bench.link(ETH0, PROMISC)), [keep(true, false)]);
    assert_eq!(of_flags(bench.link(ETH0, PROMISC)), []);
    for interface in [BUSY, INTERFACE] {
        assert_eq!(of_flags(bench.event(Event::Aggregate(interface))), []);
    }
    assert_eq!(of_flags(bench.link(ETH0, UP)), [keep(false, false)]);
}

#[test]
fn what_the_aggregate_needs_is_put_back_and_the_wish_is_kept() {
    let mut bench = bench();
    assert_eq!(of_flags(bench.link(ETH0, PROMISC)), [keep(true, false)]);
    bench.event(Event::Aggregate(BUSY));
    let expected = [put_back("promiscuous mode"), promisc(true), keep(false, false)];
    assert_eq!(of_flags(bench.link(ETH0, UP)), expected);
    assert_eq!(of_flags(bench.link(ETH0, PROMISC)), []);
    // The aggregate needs it no more, and the owner does not want it.
    assert_eq!(of_flags(bench.event(Event::Aggregate(INTERFACE))), [promisc(false)]);
    let again = [put_back("all-multicast mode"), Action::SetAllmulti { port: ETH0, on: true }];
    assert_eq!(of_flags(bench.link(ETH0, ALLMULTI_OFF)), again, "it was not the owner's before either");
}

#[test]
fn a_need_that_ends_before_its_effect_was_seen_is_nobodys_wish() {
    let mut bench = bench();
    assert_eq!(of_flags(bench.event(Event::Aggregate(BUSY))), [promisc(true)]);
    assert_eq!(of_flags(bench.event(Event::Aggregate(INTERFACE))), [promisc(false)]);
    assert_eq!(of_flags(bench.event(Event::Tick)), []);
    assert_eq!(of_flags(bench.link(ETH0, UP)), []);
    assert_eq!(of_flags(bench.link(ETH0, PROMISC)), [keep(true, false)], "now it was somebody else");
}

#[test]
fn what_the_owner_changed_while_nobody_watched_is_seen() {
    let mut bench = bench();
    bench.link(ETH0, UP);
    let memory = bench.aggregate.memory();
    let before = OwnFlags { promisc: false, allmulti: true };
    assert_eq!(adopt(&memory, before, PROMISC), [keep(true, true)]);
    let again = [put_back("all-multicast mode"), Action::SetAllmulti { port: ETH0, on: true }, keep(false, false)];
    assert_eq!(adopt(&memory, before, ALLMULTI_OFF), again);
}

#[test]
fn what_the_aggregate_needed_is_not_taken_for_the_wish_of_the_owner() {
    let mut bench = bench();
    bench.event(Event::Aggregate(BUSY));
    // The controller dies before, or after, it sees what came of it.
    let asked = bench.aggregate.memory();
    bench.link(ETH0, PROMISC);
    for memory in [asked, bench.aggregate.memory(), Memory::default()] {
        assert_eq!(adopt(&memory, OwnFlags::default(), PROMISC), [promisc(false)]);
    }
}

#[test]
fn a_port_that_comes_back_says_nothing_about_the_wish_of_the_owner() {
    let mut bench = bench();
    bench.link(ETH0, PROMISC);
    bench.event(Event::Gone { port: ETH0 });
    let expected = [promisc(true), Action::SetAllmulti { port: ETH0, on: true }];
    assert_eq!(of_flags(bench.link(ETH0, ALLMULTI_OFF)), expected);
}
