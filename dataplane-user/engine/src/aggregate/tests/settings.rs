//! MAC, MTU and flags of the ports.

use super::*;

const INTERFACE: AggregateState = AggregateState { admin_up: true, promiscuity: 0, mac: MAC, mtu: 1500 };

fn settings(actions: Vec<Action>) -> Vec<Action> {
    let is_setting = |action: &Action| {
        matches!(
            action,
            Action::SetPromisc { .. }
                | Action::SetAllmulti { .. }
                | Action::SetPortMac { .. }
                | Action::SetPortMtu { .. }
                | Action::Notice(Notice::PutBack { .. })
        )
    };
    actions.into_iter().filter(is_setting).collect()
}

#[test]
fn what_is_not_known_yet_is_left_alone() {
    let mut bench = Bench::up(config(1));
    assert_eq!(settings(bench.link(ETH0, LinkState { promisc: true, mtu: 9000, ..UP })), []);
    let put_right = [Action::SetPromisc { port: ETH0, on: false }, Action::SetPortMtu { port: ETH0, mtu: 1500 }];
    assert_eq!(settings(bench.event(Event::Aggregate(INTERFACE))), put_right);
}

#[test]
fn ports_follow_the_aggregate() {
    let mut bench = Bench::up(config(2));
    bench.event(Event::Aggregate(INTERFACE));
    let mac = Mac([2, 0, 0, 0, 0, 0xb]);
    let actions = bench.event(Event::Aggregate(AggregateState { mac, mtu: 9000, promiscuity: 1, ..INTERFACE }));
    let expected = [ETH0, ETH1].map(|port| {
        [
            Action::SetPromisc { port, on: true },
            Action::SetPortMac { port, mac },
            Action::SetPortMtu { port, mtu: 9000 },
        ]
    });
    assert_eq!(settings(actions.clone()), expected.concat());
    assert_eq!(announced(&actions), [ETH0]);
    let first_announcement = actions.iter().position(|action| matches!(action, Action::Announce { .. }));
    let last_mac = actions.iter().rposition(|action| matches!(action, Action::SetPortMac { .. }));
    assert!(last_mac < first_announcement, "announced before the ports had the MAC");
}

#[test]
fn what_somebody_else_changed_is_put_back_and_told() {
    let mut bench = Bench::up(config(1));
    bench.event(Event::Aggregate(INTERFACE));
    bench.link(ETH0, UP);
    let changes = [
        (LinkState { allmulti: false, ..UP }, Action::SetAllmulti { port: ETH0, on: true }, "all-multicast mode"),
        (LinkState { mtu: 1400, ..UP }, Action::SetPortMtu { port: ETH0, mtu: 1500 }, "MTU"),
        (LinkState { mac: Mac([2; 6]), ..UP }, Action::SetPortMac { port: ETH0, mac: MAC }, "MAC"),
    ];
    for (state, action, setting) in changes {
        let notice = Notice::PutBack { port: String::from("eth0"), setting: setting.to_owned() };
        assert_eq!(settings(bench.link(ETH0, state)), [Action::Notice(notice), action]);
        assert_eq!(settings(bench.link(ETH0, UP)), []);
    }
}

#[test]
fn flags_as_asked_for() {
    // option, aggregate promiscuous, VLAN filter fixed, promiscuous then
    let table = [
        (Toggle::Auto, false, false, false),
        (Toggle::Auto, true, false, true),
        (Toggle::Auto, false, true, true),
        (Toggle::On, false, false, true),
        (Toggle::Off, true, true, false),
    ];
    for (promisc, promiscuous, vlan_filter_fixed, expected) in table {
        let mut bench = Bench::unsettled(AggregateConfig { promisc, ..config(1) }, &Memory::default());
        let interface = AggregateState { promiscuity: promiscuous.into(), ..INTERFACE };
        bench.event(Event::Aggregate(interface));
        let actions = settings(bench.link(ETH0, LinkState { promisc: !expected, vlan_filter_fixed, ..UP }));
        assert!(actions.contains(&Action::SetPromisc { port: ETH0, on: expected }), "{promisc:?} {actions:?}");
    }
    for (allmulti, expected) in [(Toggle::Auto, true), (Toggle::On, true), (Toggle::Off, false)] {
        let mut bench = Bench::unsettled(AggregateConfig { allmulti, ..config(1) }, &Memory::default());
        let actions = settings(bench.link(ETH0, LinkState { allmulti: !expected, ..UP }));
        assert!(actions.contains(&Action::SetAllmulti { port: ETH0, on: expected }), "{allmulti:?} {actions:?}");
    }
}

#[test]
fn a_driver_that_refuses_is_not_asked_for_ever() {
    let mut bench = Bench::up(config(1));
    let refuses = LinkState { mac: Mac([2; 6]), ..UP };
    let asked: usize = (0..100).map(|_| settings(bench.link(ETH0, refuses)).len()).sum();
    // Three times, and a notice that somebody changed it.
    assert_eq!(asked, 4);
    assert_eq!(settings(bench.event(Event::Tick)), []);
    let other = LinkState { mac: Mac([4; 6]), ..UP };
    assert_eq!(settings(bench.link(ETH0, other)), [Action::SetPortMac { port: ETH0, mac: MAC }], "news: asked again");
}

#[test]
fn a_port_that_comes_back_is_set_right_without_a_word() {
    let mut bench = Bench::up(config(1));
    bench.event(Event::Gone { port: ETH0 });
    let fresh = LinkState { mac: Mac([2; 6]), allmulti: false, ..UP };
    let expected = [Action::SetPortMac { port: ETH0, mac: MAC }, Action::SetAllmulti { port: ETH0, on: true }];
    assert_eq!(settings(bench.link(ETH0, fresh)), expected);
}
