//! Wiring `over`: the driver's word counts, and it is told and never fought.

use super::*;
use crate::{
    config::{Mode, Wiring},
    driver::{DriverKind, DriverMembership, DriverMode, DriverState},
};

fn over(mode: Mode) -> AggregateConfig {
    AggregateConfig { wiring: Wiring::Over, mode, ..config(2) }
}

fn member(link: bool, in_use: bool) -> LinkState {
    LinkState { membership: Some(DriverMembership { link, in_use }), ..UP }
}

/// The driver, with this port active.
fn driver(active: Option<PortId>) -> Event {
    let active = active.map(|id| IfIndex(u32::from(id.0) + 10));
    Event::Driver(DriverState { kind: DriverKind::Bonding, mode: DriverMode::ActiveBackup, active })
}

/// The driver, in a mode in which no port is the active one.
fn sharing(mode: DriverMode) -> Event {
    Event::Driver(DriverState { kind: DriverKind::Bonding, mode, active: None })
}

fn told(actions: &[Action]) -> Vec<PortId> {
    let ports = actions.iter().filter_map(|action| match action {
        Action::SetDriverActive { port } => Some(*port),
        _ => None,
    });
    ports.collect()
}

/// Both ports up, eth0 active, which the driver knows.
fn backup() -> Bench {
    let mut bench = Bench::unsettled(over(Mode::ActiveBackup), &Memory::default());
    bench.event(driver(Some(ETH0)));
    bench.link(ETH0, member(true, true));
    bench.link(ETH1, member(true, false));
    assert_eq!(bench.active(), Some(ETH0));
    bench
}

#[test]
fn the_driver_is_told_once_which_port_took_over() {
    let mut bench = backup();
    let actions = bench.link(ETH0, LinkState { carrier: false, ..member(true, true) });
    assert_eq!((told(&actions), bench.active()), (vec![ETH1], Some(ETH1)));
    assert_eq!(told(&bench.link(ETH1, member(true, false))), [], "it was asked already");
    assert_eq!(told(&bench.event(driver(Some(ETH1)))), []);
}

#[test]
fn what_is_the_devices_own_bonding_announces_itself() {
    for (kind, expected) in [(DriverKind::Bonding, false), (DriverKind::Team, true)] {
        let mut bench = backup();
        let active = Some(IfIndex(u32::from(ETH0.0) + 10));
        bench.event(Event::Driver(DriverState { kind, mode: DriverMode::ActiveBackup, active }));
        let actions = bench.link(ETH0, LinkState { carrier: false, ..member(true, true) });
        let own = actions.iter().filter_map(|action| match action {
            Action::Announce { announcement, .. } => Some(announcement.own),
            _ => None,
        });
        assert_eq!(own.collect::<Vec<_>>(), [expected], "{kind:?}");
    }
}

#[test]
fn a_driver_that_refused_is_asked_again_until_it_has_the_port() {
    let mut bench = backup();
    bench.link(ETH0, LinkState { carrier: false, ..member(true, true) });
    let again: Vec<_> =
        bench.run_for(2_500).into_iter().filter(|(_, action)| !told(std::slice::from_ref(action)).is_empty()).collect();
    assert_eq!(again.len(), 2, "{again:?}");
    bench.event(driver(Some(ETH1)));
    let more: Vec<_> = bench.run_for(2_500).into_iter().map(|(_, action)| action).collect();
    assert_eq!(told(&more), []);
}

#[test]
fn a_port_that_the_driver_chose_is_ours_from_then_on() {
    let mut bench = backup();
    let actions = bench.event(driver(Some(ETH1)));
    assert_eq!((told(&actions), bench.active()), (vec![], Some(ETH1)));
    assert!(bench.why(ETH1).contains("by hand"), "{}", bench.why(ETH1));
    // Told again, and it stays.
    assert_eq!(told(&bench.event(driver(Some(ETH1)))), []);
    assert_eq!(bench.active(), Some(ETH1));
}

#[test]
fn what_the_driver_had_at_the_start_goes_on() {
    let mut bench = Bench::unsettled(over(Mode::ActiveBackup), &Memory::default());
    bench.event(driver(Some(ETH1)));
    bench.link(ETH0, member(true, false));
    let actions = bench.link(ETH1, member(true, true));
    assert_eq!((told(&actions), bench.active()), (vec![], Some(ETH1)));
}

#[test]
fn nothing_of_a_port_or_the_carrier_is_ours_to_set() {
    let mut bench = Bench::unsettled(over(Mode::Hash), &Memory::default());
    let odd = LinkState { mac: Mac([2; 6]), mtu: 9000, allmulti: false, promisc: true, ..member(true, true) };
    let mut actions = bench.link(ETH0, odd);
    actions.extend(bench.link(ETH1, odd));
    actions.extend(bench.event(Event::Aggregate(AggregateState {
        admin_up: true,
        promiscuity: 1,
        mac: MAC,
        mtu: 1500,
    })));
    let ours = |action: &&Action| {
        matches!(
            action,
            Action::SetCarrier(_)
                | Action::SetPromisc { .. }
                | Action::SetAllmulti { .. }
                | Action::SetPortMac { .. }
                | Action::SetPortMtu { .. }
                | Action::Announce { .. }
        )
    };
    assert_eq!(actions.iter().filter(ours).collect::<Vec<_>>(), Vec::<&Action>::new());
    assert_eq!(published(&actions).last().unwrap().usable, 0b11);
}

#[test]
fn a_port_that_the_driver_does_not_use_is_not_usable_and_says_why() {
    let mut bench = Bench::unsettled(over(Mode::Hash), &Memory::default());
    bench.link(ETH0, member(true, true));
    bench.link(ETH1, member(true, false));
    assert_eq!(bench.aggregate.table().usable, 0b01);
    assert!(bench.why(ETH1).contains("LACP"), "{}", bench.why(ETH1));
    bench.link(ETH1, member(true, true));
    assert_eq!(bench.aggregate.table().usable, 0b11);
    bench.link(ETH0, member(false, true));
    assert!(bench.why(ETH0).contains("driver's watch"), "{}", bench.why(ETH0));
    bench.link(ETH1, UP);
    assert_eq!(bench.aggregate.table().usable, 0, "it is no member");
}

#[test]
fn all_is_left_to_a_driver_whose_mode_became_another() {
    let mut bench = Bench::unsettled(over(Mode::Hash), &Memory::default());
    bench.link(ETH0, member(true, true));
    bench.link(ETH1, member(true, true));
    bench.event(sharing(DriverMode::Broadcast));
    assert_eq!(bench.aggregate.table().usable, 0);
    bench.event(sharing(DriverMode::Lacp));
    assert_eq!(bench.aggregate.table().usable, 0b11);
}
