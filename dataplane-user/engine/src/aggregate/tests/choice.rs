//! Which port is active, and what the table says.

use super::*;

fn with_up_delay(ports: usize) -> AggregateConfig {
    AggregateConfig { link_watch: LinkWatch { up_delay_ms: 500, ..LinkWatch::default() }, ..config(ports) }
}

#[test]
fn a_failure_leads_to_one_table_that_agrees_with_the_programs() {
    let mut bench = Bench::up(config(3));
    let old = bench.aggregate.table();
    let actions = bench.link(ETH0, DOWN);
    let tables = published(&actions);
    assert_eq!(tables.len(), 1);
    assert!(matches!(actions[0], Action::Publish(_)), "the table comes first");
    assert_eq!(tables[0].choose(), Some(ETH1));
    assert_eq!(Ports { usable: old.usable & !ETH0.bit(), ..old }.choose(), Some(ETH1));
    assert_eq!(tables[0].accept, 0);
}

#[test]
fn what_is_reported_again_leads_to_nothing() {
    let mut bench = Bench::up(config(2));
    for port in [ETH0, ETH1, ETH0] {
        assert_eq!(bench.link(port, UP), []);
    }
}

#[test]
fn without_preference_the_active_port_stays_when_another_returns() {
    let mut bench = Bench::up(config(2));
    bench.link(ETH0, DOWN);
    bench.link(ETH0, UP);
    assert_eq!(bench.active(), Some(ETH1));
}

#[test]
fn carrier_needs_enough_ports() {
    let mut bench = Bench::up(AggregateConfig { min_ports: 2, ..config(3) });
    assert!(!bench.link(ETH2, DOWN).iter().any(|action| matches!(action, Action::SetCarrier(_))));
    let actions = bench.link(ETH1, DOWN);
    assert!(actions.contains(&Action::SetCarrier(false)));
    assert!(actions.contains(&Action::Notice(Notice::Carrier { carrier: false, usable: 1, min_ports: 2 })));
    assert_eq!(bench.active(), Some(ETH0));
    assert!(bench.configure(|config| config.min_ports = 1).contains(&Action::SetCarrier(true)));
}

#[test]
fn the_up_delay_is_skipped_while_nothing_else_is_usable() {
    let mut bench = Bench::up(with_up_delay(2));
    bench.link(ETH0, DOWN);
    bench.link(ETH1, DOWN);
    bench.link(ETH1, UP);
    assert_eq!(bench.active(), Some(ETH1));
    bench.link(ETH0, UP);
    assert!(bench.aggregate.table().usable & ETH0.bit() == 0, "the second one waits");
    let done = bench.run_for(499);
    assert!(!done.iter().any(|(_, action)| matches!(action, Action::Publish(_))));
    bench.run_for(1);
    assert_eq!(bench.aggregate.table().usable, 0b11);
}

#[test]
fn a_running_up_delay_ends_when_the_last_usable_port_fails() {
    let mut bench = Bench::up(with_up_delay(3));
    bench.link(ETH1, DOWN);
    bench.link(ETH2, DOWN);
    bench.link(ETH2, UP);
    bench.run_for(100);
    bench.link(ETH1, UP);
    bench.run_for(100);
    bench.link(ETH0, DOWN);
    assert_eq!(bench.active(), Some(ETH2), "the one that waited longest");
    assert_eq!(bench.aggregate.table().usable, ETH2.bit(), "and no other");
}

#[test]
fn a_down_delay_keeps_the_port_but_not_when_it_is_disabled_or_gone() {
    let watch = LinkWatch { down_delay_ms: 100, ..LinkWatch::default() };
    let mut bench = Bench::up(AggregateConfig { link_watch: watch, ..config(2) });
    bench.link(ETH0, DOWN);
    assert_eq!(bench.active(), Some(ETH0));
    assert_eq!(bench.aggregate.table().order[..2], [1, 0], "nobody falls back to it");
    bench.run_for(100);
    assert_eq!(bench.active(), Some(ETH1));
    bench.link(ETH0, UP);
    bench.link(ETH1, DISABLED);
    assert_eq!(bench.active(), Some(ETH0));
    bench.link(ETH1, UP);
    bench.event(Event::Gone { port: ETH0 });
    assert_eq!(bench.active(), Some(ETH1));
}

#[test]
fn a_choice_by_hand_stands_until_a_preferred_port_comes_back() {
    let mut bench = Bench::up(AggregateConfig { primary: Some(String::from("eth0")), ..config(2) });
    bench.activate(ETH1).unwrap();
    bench.link(ETH0, UP);
    bench.run_for(60_000);
    assert_eq!(bench.active(), Some(ETH1));
    bench.link(ETH0, DOWN);
    bench.link(ETH0, UP);
    assert_eq!(bench.active(), Some(ETH0));
}

#[test]
fn new_settings_of_the_ports_end_a_choice_by_hand() {
    let mut bench = Bench::up(config(2));
    bench.configure(|config| config.ports[0].priority = 5);
    bench.activate(ETH1).unwrap();
    bench.configure(|config| config.announce.count = 1);
    assert_eq!(bench.active(), Some(ETH1));
    bench.configure(|config| config.ports[0].priority = 10);
    assert_eq!(bench.active(), Some(ETH0));
}

#[test]
fn the_up_delay_applies_to_a_port_that_is_added() {
    let mut bench = Bench::up(with_up_delay(1));
    bench.event(Event::PortAdded(member(ETH1, &PortConfig::new("eth1"))));
    bench.link(ETH1, UP);
    assert_eq!(bench.why(ETH1), "link is up for 0 of 500 ms (up-delay)");
}

#[test]
fn a_port_that_cannot_carry_is_not_chosen_and_the_refusal_says_why() {
    let mut bench = Bench::up(config(2));
    bench.link(ETH1, DOWN);
    let refusal = bench.activate(ETH1).unwrap_err();
    assert_eq!(refusal.to_string(), "eth1 cannot be made the active port: link is down");
    assert_eq!(bench.activate(ETH2), Err(EventRefusal::NoSuchPort(ETH2)));
    assert_eq!(bench.active(), Some(ETH0));
    let mut bench = Bench::unsettled(config(2), &Memory::default());
    bench.link(ETH0, UP);
    assert!(bench.activate(ETH0).unwrap_err().to_string().contains("only just been asked"));
}

#[test]
fn a_port_whose_delay_has_just_ended_can_be_chosen_and_one_that_is_failing_cannot() {
    let mut bench = Bench::up(with_up_delay(2));
    bench.link(ETH1, DOWN);
    bench.link(ETH1, UP);
    bench.now += Duration::from_millis(500);
    bench.activate(ETH1).unwrap();
    assert_eq!(bench.active(), Some(ETH1));
    bench.configure(|config| config.link_watch.down_delay_ms = 100);
    bench.link(ETH0, DOWN);
    let refusal = bench.activate(ETH0).unwrap_err();
    assert!(refusal.to_string().ends_with("link is down for 0 of 100 ms (down-delay)"), "{refusal}");
}

#[test]
fn a_refusal_does_not_swallow_a_deadline() {
    let mut bench = Bench::up(with_up_delay(2));
    bench.link(ETH1, DOWN);
    bench.link(ETH1, UP);
    bench.now += Duration::from_millis(500);
    bench.activate(ETH2).unwrap_err();
    assert!(bench.aggregate.deadline().is_some());
    bench.event(Event::Tick);
    assert_eq!(bench.aggregate.table().usable, 0b11);
}

#[test]
fn the_port_that_was_active_accepts_unicast_for_a_while() {
    let mut bench = Bench::up(config(2));
    bench.activate(ETH1).unwrap();
    let table = bench.aggregate.table();
    assert!(table.accepts(ETH0, false) && !table.accepts(ETH0, true));
    bench.run_for(249);
    assert_eq!(bench.aggregate.table().accept, ETH0.bit());
    bench.run_for(1);
    assert_eq!(bench.aggregate.table().accept, 0);
    bench.activate(ETH0).unwrap();
    bench.link(ETH1, DOWN);
    assert_eq!(bench.aggregate.table().accept, 0, "not when it fails");
}

#[test]
fn a_new_primary_takes_over_at_once_and_a_new_priority_by_the_rules() {
    let mut bench = Bench::up(AggregateConfig { reselect: Reselect::Failure, ..config(3) });
    bench.configure(|config| config.primary = Some(String::from("eth1")));
    assert_eq!(bench.active(), Some(ETH1));
    bench.configure(|config| config.primary = None);
    assert_eq!(bench.active(), Some(ETH1));
    bench.configure(|config| config.ports[2].priority = 10);
    assert_eq!(bench.active(), Some(ETH1));
    bench.configure(|config| config.reselect = Reselect::Always);
    assert_eq!(bench.active(), Some(ETH2));
}

#[test]
fn a_renamed_port_keeps_its_place() {
    let mut bench = Bench::up(config(2));
    let rename = |config: &mut AggregateConfig| config.ports[1] = PortConfig { priority: 5, ..PortConfig::new("lan1") };
    bench.configure(rename);
    assert_eq!(bench.aggregate.status().ports[1].name, "lan1");
    assert_eq!(bench.active(), Some(ETH1));
}

#[test]
fn a_renamed_primary_does_not_move_the_traffic() {
    let mut bench = Bench::up(AggregateConfig { primary: Some(String::from("eth0")), ..config(2) });
    bench.activate(ETH1).unwrap();
    let actions = bench.configure(|config| {
        config.ports[0].name = String::from("lan0");
        config.primary = Some(String::from("lan0"));
    });
    assert_eq!((actions, bench.active()), (vec![], Some(ETH1)));
}

#[test]
fn a_port_comes_and_goes() {
    let mut bench = Bench::up(config(1));
    let added =
        |port, name: &str| Event::PortAdded(Member { ifindex: IfIndex(11), ..member(port, &PortConfig::new(name)) });
    let table = published(&bench.event(added(ETH1, "eth1"))).pop().unwrap();
    assert_eq!((table.usable, table.count, table.ifindex[1]), (ETH0.bit(), 2, IfIndex(11)));
    let taken = bench.aggregate.on_event(bench.now, added(ETH1, "eth7")).unwrap_err();
    assert_eq!(taken.to_string(), "slot 1 is taken by eth1");
    assert!(bench.aggregate.on_event(bench.now, added(PortId(64), "eth64")).is_err());
    bench.link(ETH1, UP);
    assert_eq!(bench.aggregate.table().usable, 0b11);
    // It is out of use before its slot is emptied.
    let tables = published(&bench.event(Event::PortRemoved { port: ETH0 }));
    let seen: Vec<_> = tables.iter().map(|table| (table.choose(), table.ifindex[0])).collect();
    assert_eq!(seen, [(Some(ETH1), IfIndex(10)), (Some(ETH1), IfIndex::NONE)]);
    assert_eq!(bench.link(ETH0, UP), [], "a late report of a removed port");
    assert_eq!(bench.event(Event::PortRemoved { port: ETH0 }), []);
}

#[test]
fn a_port_plugged_in_again_unseen_is_not_used_under_its_old_number() {
    let mut bench = Bench::up(config(2));
    let again = LinkState { ifindex: IfIndex(99), ..UP };
    let actions = bench.event(Event::Link { port: ETH0, link: again });
    let tables = published(&actions);
    assert!(tables[0].usable & ETH0.bit() == 0);
    let last = tables.last().unwrap();
    assert_eq!((last.ifindex[0], last.usable, bench.active()), (IfIndex(99), 0b11, Some(ETH1)));
    assert_eq!(bench.aggregate.memory().link_failures[&ETH0], 1);
}

#[test]
fn time_that_runs_backwards_does_no_harm() {
    let mut bench = Bench::up(with_up_delay(2));
    bench.link(ETH1, DOWN);
    bench.link(ETH1, UP);
    let deadline = bench.aggregate.deadline();
    bench.now = Duration::ZERO;
    bench.link(ETH1, DOWN);
    bench.link(ETH1, UP);
    assert_eq!(bench.aggregate.deadline(), deadline);
}

#[test]
fn a_choice_by_hand_is_given_up_and_the_rule_chooses_as_if_no_port_were_active() {
    for reselect in [Reselect::Always, Reselect::Failure] {
        let mut bench = Bench::up(AggregateConfig { reselect, ..config(3) });
        bench.configure(|config| config.ports[0].sticky = true);
        bench.activate(ETH1).unwrap();
        let actions = bench.event(Event::ChooseAgain);
        assert_eq!((bench.active(), announced(&actions)), (Some(ETH0), vec![ETH0]));
        let told = actions.iter().any(|action| {
            matches!(action, Action::Notice(Notice::Active { why, .. }) if why == "the choice by hand was given up")
        });
        assert!(told, "{actions:?}");
        assert_eq!(bench.why(ETH0), "carries the traffic");
        assert_eq!(bench.event(Event::ChooseAgain), [], "it is chosen already");
    }
}

#[test]
fn a_port_that_is_chosen_by_hand_and_by_the_rule_is_not_chosen_by_hand_any_more() {
    let mut bench = Bench::up(config(2));
    bench.activate(ETH0).unwrap();
    bench.event(Event::ChooseAgain);
    assert_eq!((bench.active(), bench.why(ETH0).as_str()), (Some(ETH0), "carries the traffic"));
    assert!(!bench.aggregate.memory().by_hand);
}

#[test]
fn where_all_ports_carry_traffic_there_is_no_choice_to_give_up() {
    let mut bench = Bench::up(AggregateConfig { mode: crate::config::Mode::Hash, ..config(2) });
    let refused = bench.aggregate.on_event(bench.now, Event::ChooseAgain);
    assert_eq!(refused, Err(EventRefusal::NoActivePort));
}

#[test]
fn a_primary_that_joins_later_takes_over_when_it_is_usable() {
    for reselect in [Reselect::Always, Reselect::Failure] {
        let mut bench = Bench::up(AggregateConfig { reselect, primary: Some(String::from("eth9")), ..config(2) });
        assert_eq!(bench.active(), Some(ETH0));
        bench.event(Event::PortAdded(member(ETH2, &PortConfig::new("eth9"))));
        assert_eq!(bench.active(), Some(ETH0), "its link is not known yet");
        bench.link(ETH2, UP);
        assert_eq!(bench.active(), Some(ETH2));
        assert_eq!(bench.why(ETH0), "waits: eth9 is active and preferred (primary)");
        // It joined once; from then on the rule counts.
        bench.link(ETH2, DOWN);
        bench.link(ETH2, UP);
        assert_eq!(bench.active() == Some(ETH2), reselect == Reselect::Always);
    }
}

#[test]
fn a_port_that_is_disabled_by_hand_is_not_used_whatever_its_link() {
    let mut bench = Bench::up(config(2));
    bench.configure(|config| config.ports[0].enabled = false);
    assert_eq!((bench.active(), bench.aggregate.table().usable), (Some(ETH1), ETH1.bit()));
    assert_eq!(bench.aggregate.table().accept, ETH0.bit(), "what is still on its way to it is not lost");
    let why = "disabled by hand (enabled=off); link is up";
    assert_eq!((bench.state(ETH0), bench.why(ETH0).as_str()), (PortState::Disabled, why));
    assert!(bench.activate(ETH0).unwrap_err().to_string().ends_with(why));
    bench.link(ETH1, DOWN);
    assert_eq!((bench.active(), bench.aggregate.table().usable), (None, 0));
    bench.link(ETH0, DOWN);
    bench.link(ETH0, UP);
    assert_eq!(bench.active(), None);
    bench.configure(|config| config.ports[0].enabled = true);
    assert_eq!(bench.active(), Some(ETH0));
}

#[test]
fn no_up_delay_is_skipped_for_a_disabled_port_and_a_disabled_one_is_no_other() {
    let mut bench = Bench::up(with_up_delay(2));
    bench.configure(|config| config.ports[0].enabled = false);
    bench.link(ETH1, DOWN);
    bench.link(ETH1, UP);
    assert_eq!(bench.active(), Some(ETH1), "eth0 has a link but does not count");
    bench.link(ETH1, DOWN);
    bench.link(ETH0, DOWN);
    bench.link(ETH0, UP);
    assert_eq!(bench.active(), None);
}

#[test]
fn where_all_share_a_disabled_port_has_no_share() {
    let mut bench = Bench::up(AggregateConfig { mode: crate::config::Mode::Hash, ..config(3) });
    bench.configure(|config| config.ports[1].enabled = false);
    assert_eq!(bench.aggregate.table().usable, 0b101);
}
