//! The start: what a new controller does with what it finds.

use super::*;

fn remembers(active: PortId) -> Memory {
    Memory { active: Some(active), ..Memory::default() }
}

#[test]
fn nothing_is_published_before_every_member_was_reported() {
    let mut bench = Bench::unsettled(config(3), &Memory::default());
    assert_eq!(bench.link(ETH0, UP), []);
    assert_eq!(bench.link(ETH2, UP), []);
    assert_eq!(bench.event(Event::Tick), []);
    assert_eq!(bench.active(), None);
    let actions = bench.event(Event::Gone { port: ETH1 });
    assert_eq!(published(&actions).len(), 1);
    assert_eq!(bench.active(), Some(ETH0));
    let table = bench.aggregate.table();
    assert_eq!((table.usable, table.count), (0b101, 3));
    assert_eq!(table.ifindex[..4], [IfIndex(10), IfIndex::NONE, IfIndex(12), IfIndex::NONE]);
    assert!(actions.contains(&Action::SetCarrier(true)));
}

#[test]
fn a_remembered_active_port_that_is_usable_goes_on_in_silence() {
    let mut bench = Bench::unsettled(config(2), &remembers(ETH1));
    bench.link(ETH0, UP);
    let actions = bench.link(ETH1, UP);
    assert_eq!(bench.active(), Some(ETH1));
    assert_eq!(announced(&actions), []);
    assert!(!actions.iter().any(|action| matches!(action, Action::Notice(Notice::Active { .. }))));
    assert_eq!(bench.run_for(10_000), []);
}

#[test]
fn a_remembered_active_port_that_is_down_is_followed_by_another_which_is_announced() {
    let mut bench = Bench::unsettled(config(2), &remembers(ETH1));
    bench.link(ETH0, UP);
    let actions = bench.link(ETH1, DOWN);
    assert_eq!(bench.active(), Some(ETH0));
    assert_eq!(announced(&actions), [ETH0]);
}

#[test]
fn a_choice_by_hand_outlives_the_controller() {
    let preferred = AggregateConfig { primary: Some(String::from("eth0")), ..config(2) };
    let mut bench = Bench::up(preferred.clone());
    bench.activate(ETH1).unwrap();
    let memory = bench.aggregate.memory();
    let mut next = Bench::unsettled(preferred, &memory);
    next.link(ETH0, UP);
    next.link(ETH1, UP);
    assert_eq!(next.active(), Some(ETH1));
    // It was passed over; when it comes back, it is preferred again.
    next.link(ETH0, DOWN);
    next.link(ETH0, UP);
    assert_eq!(next.active(), Some(ETH0));
}

#[test]
fn a_preferred_port_that_came_back_unseen_takes_over() {
    let preferred = AggregateConfig { primary: Some(String::from("eth0")), ..config(2) };
    let mut bench = Bench::unsettled(preferred, &remembers(ETH1));
    bench.link(ETH0, UP);
    let actions = bench.link(ETH1, UP);
    assert_eq!(bench.active(), Some(ETH0));
    assert_eq!(announced(&actions), [ETH0]);
}

#[test]
fn the_up_delay_does_not_apply_to_what_is_found() {
    let delayed = LinkWatch { up_delay_ms: 5000, ..LinkWatch::default() };
    let mut bench = Bench::unsettled(AggregateConfig { link_watch: delayed, ..config(2) }, &Memory::default());
    bench.link(ETH0, UP);
    bench.link(ETH1, UP);
    assert_eq!(bench.aggregate.table().usable, 0b11);
}

#[test]
fn link_failures_go_on_from_where_they_were_and_the_first_report_is_none() {
    let memory = Memory { link_failures: [(ETH0, 7)].into(), ..Memory::default() };
    let mut bench = Bench::unsettled(config(2), &memory);
    bench.link(ETH0, DOWN);
    bench.link(ETH1, UP);
    bench.link(ETH0, UP);
    bench.link(ETH0, DISABLED);
    bench.link(ETH0, DISABLED);
    bench.event(Event::Gone { port: ETH1 });
    assert_eq!(bench.aggregate.memory().link_failures, [(ETH0, 8), (ETH1, 1)].into());
}

#[test]
fn a_remembered_port_that_is_no_member_any_more_is_forgotten() {
    let mut bench = Bench::unsettled(config(1), &remembers(ETH2));
    let actions = bench.link(ETH0, UP);
    assert_eq!(announced(&actions), [ETH0]);
}

#[test]
fn a_mac_that_changed_while_nobody_watched_is_announced() {
    let mut bench = Bench::unsettled(config(1), &remembers(ETH0));
    let mac = Mac([2, 0, 0, 0, 0, 0xb]);
    bench.event(Event::Aggregate(AggregateState { admin_up: true, promiscuity: 0, mac, mtu: 1500 }));
    assert_eq!(announced(&bench.link(ETH0, UP)), [ETH0]);
}
