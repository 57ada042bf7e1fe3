//! Ports that are held down, since they changed too often.

use super::*;
use crate::{
    config::Mode,
    hold_down::{FlapRule, HoldDown},
    prober::{PortFindings, WatchFinding},
};

const RULE: HoldDown = HoldDown::By(FlapRule { changes: 4, window_s: 10, for_s: 60 });

fn damped(ports: usize) -> AggregateConfig {
    AggregateConfig { hold_down: RULE, primary: Some(String::from("eth0")), ..config(ports) }
}

impl Bench {
    /// The link of a port goes and comes so many times, a second apart. All that was asked for.
    fn flap(&mut self, port: PortId, times: usize) -> Vec<Action> {
        let mut actions = Vec::new();
        for _ in 0..times {
            for state in [DOWN, UP] {
                self.now += Duration::from_secs(1);
                actions.extend(self.link(port, state));
            }
        }
        actions
    }

    fn usable(&self) -> u64 {
        self.aggregate.table().usable
    }
}

#[test]
fn a_port_that_flaps_is_not_taken_until_its_time_is_over() {
    let mut bench = Bench::up(damped(2));
    bench.flap(ETH0, 1);
    assert_eq!(bench.active(), Some(ETH0), "two changes are not too many");
    let actions = bench.flap(ETH0, 1);
    assert_eq!((bench.active(), bench.usable()), (Some(ETH1), ETH1.bit()));
    let told = Notice::HeldDown { port: String::from("eth0"), changes: 4, window_s: 10, for_s: 60 };
    assert_eq!(actions.iter().filter(|action| **action == Action::Notice(told.clone())).count(), 1);
    let status = bench.aggregate.status();
    assert!(status.ports[0].link && !status.ports[0].usable);
    assert_eq!((bench.state(ETH0), bench.why(ETH0).as_str()), (PortState::Down, "link is up"));
    assert_eq!(status.ports[0].held.unwrap().until, bench.now + Duration::from_secs(60));
    assert_eq!(status.ports[0].held.unwrap().to_string(), "4 changes in 10 s");
    let refusal = bench.activate(ETH0).unwrap_err().to_string();
    assert!(refusal.ends_with("held down for another 60 s: 4 changes in 10 s"), "{refusal}");
    bench.run_for(59_999);
    assert_eq!(bench.active(), Some(ETH1));
    bench.run_for(1);
    assert_eq!((bench.active(), bench.usable()), (Some(ETH0), 0b11));
}

#[test]
fn without_the_option_nothing_is_counted() {
    let mut bench = Bench::up(AggregateConfig { hold_down: HoldDown::Off, ..damped(2) });
    bench.flap(ETH0, 50);
    assert_eq!(bench.active(), Some(ETH0));
    bench.configure(|config| config.hold_down = RULE);
    bench.flap(ETH0, 1);
    assert_eq!(bench.active(), Some(ETH0), "counted from then on");
}

#[test]
fn a_held_port_is_used_while_no_other_has_a_link() {
    let mut bench = Bench::up(damped(2));
    bench.flap(ETH0, 2);
    let actions = bench.link(ETH1, DOWN);
    assert_eq!((bench.active(), bench.usable()), (Some(ETH0), ETH0.bit()));
    assert_eq!(published(&actions).len(), 1);
    assert!(!actions.iter().any(|action| matches!(action, Action::SetCarrier(_))), "one port was usable all the time");
    assert_eq!(bench.why(ETH0), "carries the traffic, since no other port has a link");
    assert!(bench.aggregate.status().ports[0].held.is_some());
    bench.link(ETH1, UP);
    assert_eq!((bench.active(), bench.usable()), (Some(ETH1), ETH1.bit()), "whatever is preferred");
    assert_eq!(bench.aggregate.table().accept, ETH0.bit(), "what is still on its way to it is not lost");
    bench.run_for(250);
    assert_eq!(bench.aggregate.table().accept, 0);
}

#[test]
fn the_only_port_is_used_however_often_it_flaps() {
    let mut bench = Bench::up(damped(1));
    bench.flap(ETH0, 50);
    assert_eq!(bench.active(), Some(ETH0));
    bench.link(ETH0, DOWN);
    assert_eq!(bench.active(), None);
}

#[test]
fn of_several_held_ports_the_calmest_is_used_and_stays() {
    let mut bench = Bench::up(damped(3));
    bench.flap(ETH1, 2);
    bench.flap(ETH0, 2);
    bench.link(ETH2, DOWN);
    assert_eq!((bench.active(), bench.usable()), (Some(ETH1), ETH1.bit()));
    bench.flap(ETH0, 1);
    assert_eq!((bench.active(), bench.usable()), (Some(ETH1), ETH1.bit()));
    bench.link(ETH1, DOWN);
    assert_eq!((bench.active(), bench.usable()), (Some(ETH0), ETH0.bit()));
    bench.link(ETH1, UP);
    assert_eq!((bench.active(), bench.usable()), (Some(ETH0), ETH0.bit()), "no change without need");
}

#[test]
fn a_held_port_stands_by_while_the_last_other_is_in_its_down_delay() {
    let watch = LinkWatch { down_delay_ms: 1_000, ..LinkWatch::default() };
    let mut bench = Bench::up(AggregateConfig { link_watch: watch, ..damped(2) });
    bench.flap(ETH0, 2);
    bench.link(ETH1, DOWN);
    assert_eq!((bench.active(), bench.usable()), (Some(ETH1), 0b11));
    assert_eq!(bench.aggregate.table().order[..2], [0, 1], "the programs pass over a port without link");
    bench.link(ETH1, UP);
    assert_eq!((bench.active(), bench.usable()), (Some(ETH1), ETH1.bit()));
    bench.link(ETH1, DOWN);
    bench.run_for(1_000);
    assert_eq!((bench.active(), bench.usable()), (Some(ETH0), ETH0.bit()));
}

#[test]
fn an_up_delay_runs_while_a_held_port_carries_the_traffic() {
    let watch = LinkWatch { up_delay_ms: 5_000, ..LinkWatch::default() };
    let mut bench = Bench::up(damped(2));
    bench.flap(ETH0, 2);
    bench.link(ETH1, DOWN);
    bench.configure(|config| config.link_watch = watch);
    bench.link(ETH1, UP);
    assert_eq!(bench.active(), Some(ETH0));
    bench.run_for(5_000);
    assert_eq!(bench.active(), Some(ETH1));
}

#[test]
fn verdicts_of_watches_count_and_an_interface_that_goes_and_comes() {
    let mut bench = Bench::up(AggregateConfig { watches: "traffic".parse().unwrap(), ..damped(2) });
    let watch: crate::watches::WatchConfig = "traffic".parse().unwrap();
    for up in [false, true, false, true] {
        let epoch = bench.aggregate.port(ETH0).unwrap().epoch;
        let findings = vec![WatchFinding { watch: watch.clone(), up, why: String::from("so it is") }];
        bench.event(Event::Watched(PortFindings { port: ETH0, epoch, findings }));
    }
    assert_eq!(bench.active(), Some(ETH1));
    let mut bench = Bench::up(damped(2));
    for _ in 0..2 {
        bench.event(Event::Gone { port: ETH0 });
        bench.link(ETH0, UP);
    }
    assert_eq!(bench.active(), Some(ETH1));
}

#[test]
fn where_all_share_a_held_port_has_no_share() {
    let mut bench = Bench::up(AggregateConfig { mode: Mode::Hash, ..damped(3) });
    bench.flap(ETH1, 2);
    assert_eq!(bench.usable(), ETH0.bit() | ETH2.bit());
    bench.link(ETH0, DOWN);
    bench.link(ETH2, DOWN);
    assert_eq!(bench.usable(), ETH1.bit());
    assert_eq!(bench.why(ETH1), "carries its share of the traffic, since no other port has a link");
}

#[test]
fn to_switch_it_off_lets_go_at_once_and_another_time_holds_at_once() {
    let mut bench = Bench::up(damped(2));
    bench.flap(ETH0, 2);
    bench.configure(|config| config.hold_down = HoldDown::By(FlapRule { changes: 9, window_s: 10, for_s: 90 }));
    bench.run_for(89_999);
    assert_eq!(bench.active(), Some(ETH1));
    bench.configure(|config| config.hold_down = HoldDown::Off);
    assert_eq!((bench.active(), bench.aggregate.deadline().is_some()), (Some(ETH0), true));
    bench.run_for(10_000);
    assert_eq!(bench.aggregate.deadline(), None);
}

#[test]
fn it_outlives_the_controller() {
    let mut bench = Bench::up(damped(2));
    bench.flap(ETH0, 2);
    bench.run_for(30_000);
    let mut next = Bench::unsettled(damped(2), &bench.aggregate.memory());
    next.now = bench.now;
    next.link(ETH0, UP);
    next.link(ETH1, UP);
    assert_eq!(next.active(), Some(ETH1));
    next.run_for(29_999);
    assert_eq!(next.active(), Some(ETH1));
    next.run_for(1);
    assert_eq!(next.active(), Some(ETH0));
}
