//! What the neighbours are told.

use super::*;
use crate::config::Announce;

fn rounds(count: u8, interval_ms: u32) -> AggregateConfig {
    AggregateConfig { announce: Announce { count, interval_ms, groups: 0 }, ..config(3) }
}

/// When, and from where, addresses are announced within ten seconds.
fn later(bench: &mut Bench) -> Vec<(u128, PortId)> {
    let done = bench.run_for(10_000).into_iter();
    done.filter_map(|(ms, action)| announced(&[action]).first().map(|port| (ms, *port))).collect()
}

#[test]
fn a_failover_is_announced_as_often_as_asked_the_first_time_at_once() {
    let mut bench = Bench::up(rounds(3, 100));
    assert_eq!(announced(&bench.link(ETH0, DOWN)), [ETH1]);
    assert_eq!(later(&mut bench), [(100, ETH1), (200, ETH1)]);
}

#[test]
fn a_new_change_starts_anew_on_the_new_port() {
    let mut bench = Bench::up(rounds(3, 100));
    bench.link(ETH0, DOWN);
    bench.run_for(150);
    assert_eq!(announced(&bench.activate(ETH2).unwrap()), [ETH2]);
    assert_eq!(later(&mut bench), [(100, ETH2), (200, ETH2)]);
}

#[test]
fn nothing_is_announced_without_a_port_and_again_when_one_comes() {
    let mut bench = Bench::up(AggregateConfig { ports: config(1).ports, ..rounds(3, 100) });
    bench.activate(ETH0).unwrap();
    assert_eq!(announced(&bench.link(ETH0, DOWN)), []);
    assert_eq!(later(&mut bench), []);
    assert_eq!(announced(&bench.link(ETH0, UP)), [ETH0]);
    bench.link(ETH0, DOWN);
    assert_eq!(later(&mut bench), []);
}

#[test]
fn no_rounds_and_no_pause() {
    let mut bench = Bench::up(rounds(0, 100));
    assert_eq!(announced(&bench.link(ETH0, DOWN)), []);
    assert_eq!(later(&mut bench), []);
    let mut bench = Bench::up(rounds(2, 0));
    assert_eq!(announced(&bench.link(ETH0, DOWN)), [ETH1, ETH1]);
    assert_eq!(later(&mut bench), []);
}

#[test]
fn a_late_tick_sends_one_round_and_not_a_burst() {
    let mut bench = Bench::up(rounds(3, 100));
    bench.link(ETH0, DOWN);
    bench.now += Duration::from_secs(5);
    assert_eq!(announced(&bench.event(Event::Tick)), [ETH1]);
    assert_eq!(later(&mut bench), [(100, ETH1)]);
}

#[test]
fn a_standby_port_that_fails_is_no_news() {
    let mut bench = Bench::up(rounds(3, 100));
    assert_eq!(announced(&bench.link(ETH1, DOWN)), []);
    assert_eq!(announced(&bench.link(ETH1, UP)), []);
    assert_eq!(later(&mut bench), []);
}

#[test]
fn groups_are_reported_in_as_many_of_the_first_rounds_as_asked() {
    let told = |count, groups| {
        let settings = Announce { count, interval_ms: 100, groups };
        let mut bench = Bench::up(AggregateConfig { announce: settings, ..config(3) });
        let first = bench.link(ETH0, DOWN).into_iter().map(|action| (0, action)).collect::<Vec<_>>();
        let all = first.into_iter().chain(bench.run_for(10_000));
        all.filter_map(|(ms, action)| match action {
            Action::Announce { announcement, .. } => Some((ms, announcement.addresses, announcement.groups)),
            _ => None,
        })
        .collect::<Vec<_>>()
    };
    assert_eq!(told(3, 1), [(0, true, true), (100, true, false), (200, true, false)]);
    assert_eq!(told(1, 2), [(0, true, true), (100, false, true)]);
    assert_eq!(told(0, 1), [(0, false, true)]);
}
