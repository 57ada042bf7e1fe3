//! An MTU that not every port takes.

use super::*;

const LARGE: u32 = 9000;
const INTERFACE: AggregateState = AggregateState { admin_up: true, promiscuity: 0, mac: MAC, mtu: 1500 };

fn of_mtu(actions: Vec<Action>) -> Vec<Action> {
    let is_mtu = |action: &Action| {
        let what = matches!(action, Action::SetPortMtu { .. } | Action::SetAggregateMtu { .. });
        what || matches!(action, Action::Notice(Notice::MtuRefused { .. } | Notice::PutBack { .. }))
    };
    actions.into_iter().filter(is_mtu).collect()
}

fn told(port: &str, why: &str) -> Action {
    Action::Notice(Notice::MtuRefused { port: port.to_owned(), mtu: LARGE, back: 1500, why: why.to_owned() })
}

fn refuses(port: PortId) -> Event {
    Event::MtuRefused { port, mtu: LARGE, why: String::from("no") }
}

/// The aggregate is given a large MTU by somebody.
fn enlarged(bench: &mut Bench) -> Vec<Action> {
    of_mtu(bench.event(Event::Aggregate(AggregateState { mtu: LARGE, ..INTERFACE })))
}

fn bench(ports: usize) -> Bench {
    let mut bench = Bench::up(config(ports));
    assert_eq!(of_mtu(bench.event(Event::Aggregate(INTERFACE))), []);
    bench
}

#[test]
fn a_port_that_says_what_it_takes_is_not_tried() {
    let mut bench = bench(2);
    let limited = LinkState { mtu_limits: MtuLimits { min: 68, max: 8000 }, ..UP };
    bench.link(ETH1, limited);
    let back = Action::SetAggregateMtu { mtu: 1500 };
    assert_eq!(enlarged(&mut bench), [back.clone(), told("eth1", "its driver takes 68 to 8000")]);
    assert_eq!(enlarged(&mut bench), [back], "still there: once more, without a word");
    assert_eq!(of_mtu(bench.event(Event::Aggregate(INTERFACE))), []);
    let small = AggregateState { mtu: 8000, ..INTERFACE };
    let all = [ETH0, ETH1].map(|port| Action::SetPortMtu { port, mtu: 8000 });
    assert_eq!(of_mtu(bench.event(Event::Aggregate(small))), all, "another one that it takes");
}

#[test]
fn what_one_port_refuses_is_taken_back_from_the_others() {
    let mut bench = bench(3);
    let all = [ETH0, ETH1, ETH2].map(|port| Action::SetPortMtu { port, mtu: LARGE });
    assert_eq!(enlarged(&mut bench), all);
    let back = [ETH0, ETH1, ETH2].map(|port| Action::SetPortMtu { port, mtu: 1500 });
    let expected = [&[Action::SetAggregateMtu { mtu: 1500 }, told("eth1", "no")][..], &back].concat();
    assert_eq!(of_mtu(bench.event(refuses(ETH1))), expected);
    assert_eq!(of_mtu(bench.event(refuses(ETH2))), [], "that is known");
    assert_eq!(of_mtu(bench.link(ETH0, UP)), []);
    assert_eq!(of_mtu(bench.event(Event::Aggregate(INTERFACE))), []);
    // The port may take it now.
    assert_eq!(enlarged(&mut bench), all);
}

#[test]
fn what_was_set_while_nobody_watched_is_taken_back_too() {
    for remembered in [None, Some(1500)] {
        let memory = Memory { mtu: remembered, ..Memory::default() };
        let mut bench = Bench::unsettled(config(2), &memory);
        bench.link(ETH0, LinkState { mtu: LARGE, ..UP });
        bench.link(ETH1, UP);
        assert_eq!(enlarged(&mut bench), [Action::SetPortMtu { port: ETH1, mtu: LARGE }]);
        let actions = of_mtu(bench.event(refuses(ETH1)));
        assert!(actions.contains(&Action::SetAggregateMtu { mtu: 1500 }), "{actions:?}");
        assert!(actions.contains(&Action::SetPortMtu { port: ETH0, mtu: 1500 }), "{actions:?}");
    }
}

#[test]
fn a_port_that_comes_back_does_not_change_what_all_others_have() {
    let mut bench = bench(2);
    bench.event(Event::Gone { port: ETH1 });
    enlarged(&mut bench);
    bench.link(ETH0, LinkState { mtu: LARGE, ..UP });
    assert_eq!(of_mtu(bench.link(ETH1, UP)), [Action::SetPortMtu { port: ETH1, mtu: LARGE }]);
    assert_eq!(of_mtu(bench.event(refuses(ETH1))), []);
    let asked: usize = (0..100).map(|_| of_mtu(bench.link(ETH1, UP)).len()).sum();
    assert_eq!(asked, 2, "three times in all");
    assert_eq!(bench.aggregate.unfulfilled(), ["MTU of eth1 is not 9000: its driver does not do it"]);
    bench.now += Duration::from_secs(64);
    let asked: usize = (0..100).map(|_| of_mtu(bench.link(ETH1, UP)).len()).sum();
    assert_eq!(asked, 1, "a minute later once more");
    // The next controller does not take it for a new one.
    assert_eq!(bench.aggregate.memory().mtu, Some(LARGE));
}
