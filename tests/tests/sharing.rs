//! Modes in which all ports carry traffic, and changes of the mode while frames pass.
#![allow(clippy::unwrap_used, reason = "tests end at the first surprise")]

use std::{collections::BTreeMap, time::Duration};

use aggctl_tests::{
    Case, HostState, Lab, Ping, TcpSession, cases,
    group::{FAR, Group, NEAR},
    matrix::SOON,
    wait, wait_for,
};

/// Flows by which a port's share is judged.
const FLOWS: u16 = 3000;

/// The flows that are sent.
fn flows(count: u16) -> std::ops::Range<u16> {
    10_000..10_000 + count
}

/// How many of these flows each cable has.
fn shares(cables: &BTreeMap<u16, usize>, ports: usize) -> Vec<usize> {
    (0..ports).map(|port| cables.values().filter(|cable| **cable == port).count()).collect()
}

cases!(packets_take_turns: VETH_TCX, VETH_CLSACT, DIRECT_VETH_TCX);
fn packets_take_turns(case: Case) {
    let group = Group::new(case, 3);
    group.attach(&group.near, "--mode round-robin");
    let receivers = group.listen();
    let mut sender = group.sender();
    let counts = || receivers.received().iter().map(Vec::len).collect::<Vec<_>>();
    sender.send_all(std::iter::repeat_n(1, 3000));
    let even = counts();
    // Each CPU counts for itself, and the sender may have moved.
    assert!(even.iter().all(|count| (990..=1010).contains(count)) && even.iter().sum::<usize>() == 3000, "{even:?}");

    receivers.clear();
    group.near.aggctl("port set agg0 eth2,weight=2").ok();
    sender.send_all(std::iter::repeat_n(1, 4000));
    let weighted = counts();
    assert!((1980..=2020).contains(&weighted[2]) && weighted.iter().sum::<usize>() == 4000, "{weighted:?}");

    receivers.clear();
    group.near.aggctl("set agg0 mode=random").ok();
    sender.send_all(std::iter::repeat_n(1, 4000));
    let chance = counts();
    // Seven standard deviations.
    assert!((1780..=2220).contains(&chance[2]) && chance.iter().sum::<usize>() == 4000, "{chance:?}");
}

cases!(flows_are_spread_and_each_stays_on_one_port: VETH_TCX, VETH_CLSACT, DIRECT_VETH_TCX);
fn flows_are_spread_and_each_stays_on_one_port(case: Case) {
    let group = Group::new(case, 3);
    group.attach(&group.near, "--mode hash");
    let receivers = group.listen();
    let mut sender = group.sender();
    sender.send_all(flows(1000).chain(flows(1000)));
    let cables = receivers.cables();
    let even = shares(&cables, 3);
    assert!(cables.len() == 1000 && even.iter().all(|share| *share >= 270), "{even:?}");

    receivers.clear();
    group.near.aggctl("port set agg0 eth0,weight=2").ok();
    sender.send_all(flows(FLOWS));
    let weighted = shares(&receivers.cables(), 3);
    assert!((1350..=1650).contains(&weighted[0]), "{weighted:?} with weights 2, 1, 1");
}

cases!(a_lost_port_moves_its_own_flows_and_gets_them_back: VETH_TCX, VETH_CLSACT, DIRECT_VETH_CLSACT);
fn a_lost_port_moves_its_own_flows_and_gets_them_back(case: Case) {
    const PORTS: usize = 4;
    let group = Group::new(case, PORTS);
    group.attach(&group.near, "--mode hash");
    let receivers = group.listen();
    let mut sender = group.sender();
    let mut cables = || {
        receivers.clear();
        sender.send_all(flows(FLOWS));
        let cables = receivers.cables();
        assert_eq!(cables.len(), usize::from(FLOWS));
        cables
    };
    let before = cables();
    group.cut(1);
    let without = cables();
    for (flow, cable) in &before {
        if *cable == 1 { assert_ne!(without[flow], 1) } else { assert_eq!(without[flow], *cable, "flow {flow}") }
    }
    let heirs = shares(&without, PORTS);
    assert!([0, 2, 3].iter().all(|port| (850..=1150).contains(&heirs[*port])), "{heirs:?}");
    for flow in flows(FLOWS).step_by(300) {
        let explained = explain(&group, flow);
        assert_eq!(explained["port"], format!("eth{}", without[&flow]), "{explained}");
    }
    group.restore(1);
    assert_eq!(cables(), before);
    for flow in flows(FLOWS).step_by(300) {
        let explained = explain(&group, flow);
        assert_eq!(explained["port"], format!("eth{}", before[&flow]), "{explained}");
        let failures = explained["failures"].as_array().unwrap();
        let second = failures.iter().find(|failure| failure["port"] == "eth1").unwrap();
        assert_eq!(second["then"], format!("eth{}", without[&flow]), "{explained}");
    }
    // A port that is removed and added again is one that is lost and found.
    group.near.aggctl("port remove agg0 eth1").ok();
    assert_eq!(cables(), without);
    group.near.aggctl("port add agg0 eth1").ok();
    group.near.wait_for_show("agg0", "eth1 usable", |show| show.port("eth1")["usable"] == true);
    assert_eq!(cables(), before);
}

cases!(a_list_of_fields_says_what_tells_flows_apart: VETH_TCX, VETH_CLSACT, DIRECT_VETH_TCX);
fn a_list_of_fields_says_what_tells_flows_apart(case: Case) {
    let group = Group::new(case, 3);
    group.attach(&group.near, "--mode hash --hash dst_ip,src_ip,proto,dport");
    let receivers = group.listen();
    let mut sender = group.sender();
    let mut cables = || {
        receivers.clear();
        sender.send_all(flows(900));
        receivers.cables()
    };
    let agree = |cables: &BTreeMap<u16, usize>| {
        for flow in flows(900).step_by(100) {
            assert_eq!(explain(&group, flow)["port"], format!("eth{}", cables[&flow]), "flow {flow}");
        }
    };
    let one = cables();
    agree(&one);
    assert_eq!(shares(&one, 3).iter().filter(|share| **share > 0).count(), 1, "source ports are not in the list");

    group.near.aggctl("set agg0 hash=l3/24,l4,symmetric seed=3").ok();
    let spread = cables();
    agree(&spread);
    assert!(shares(&spread, 3).iter().all(|share| *share >= 230), "{:?}", shares(&spread, 3));
    let explained = explain(&group, 10_000);
    assert_eq!(explained["fields"][2], "sport 10000", "{explained}");
    assert_eq!(group.near.show("agg0").0["hash"], "src-ip/24,dst-ip/24,sport,dport,symmetric");

    group.near.kill_all();
    group.near.aggctl("adopt agg0").ok();
    assert_eq!(cables(), spread);
    let refused = group.near.aggctl("set agg0 hash=sport,symmetric");
    assert!(refused.code == Some(2) && refused.stderr.contains("needs sport and dport"), "{refused}");
    group.near.aggctl("set agg0 hash=mpls,skb-hash").ok();
    assert_eq!(explain(&group, 10_000)["fields"][0], "no mpls");
    group.near.aggctl("set agg0 hash=src-mac,inner-vlan table=kernel-compat seed=0").ok();
    agree(&cables());
}

/// What `explain` says of a flow, which has the MACs that the frames of senders have.
fn explain(group: &Group, flow: u16) -> serde_json::Value {
    let macs = "src-mac=02:00:00:00:00:01,dst-mac=02:00:00:00:00:02";
    let line = format!("explain agg0 --json --flow src={NEAR},dst={FAR},proto=udp,sport={flow},dport=7777,{macs}");
    serde_json::from_str(&group.near.aggctl(&line).ok()).unwrap()
}

cases!(two_aggregates_talk_and_lose_cables: VETH_TCX, VETH_CLSACT, DIRECT_VETH_TCX);
fn two_aggregates_talk_and_lose_cables(case: Case) {
    let group = Group::new(case, 3);
    let before = HostState::of(&group.near);
    group.attach(&group.near, "--mode hash");
    group.attach(&group.far, "--mode hash --seed 9");
    let ping = Ping::start(&group.far, &group.near, NEAR, None, Duration::from_millis(10));
    ping.wait_for_answer(SOON);
    let session = TcpSession::start(&group.near, &group.far, NEAR, 1 << 16, Duration::from_millis(5));
    for port in 0..3 {
        group.cut(port);
        session.expect_alive();
        group.restore(port);
        group.far.wait_for_show("agg0", "both ends know", |show| show.port(&format!("eth{port}"))["usable"] == true);
        session.expect_alive();
    }
    for mode in ["round-robin", "random", "hash"] {
        for end in [&group.near, &group.far] {
            end.aggctl(&format!("set agg0 mode={mode}")).ok();
        }
        session.expect_alive();
    }
    drop((session, ping));
    group.near.aggctl("detach agg0").ok();
    before.expect_again(&group.near, "detach");
}

cases!(access_ports_at_both_ends_carry_tcp: VETH_TCX, VETH_CLSACT, DIRECT_VETH_TCX);
fn access_ports_at_both_ends_carry_tcp(case: Case) {
    let group = Group::new(case, 2);
    for end in [&group.near, &group.far] {
        group.attach(end, "--mode hash --vlan access=42");
    }
    let ping = Ping::start(&group.far, &group.near, NEAR, None, Duration::from_millis(10));
    ping.wait_for_answer(SOON);
    let session = TcpSession::start(&group.near, &group.far, NEAR, 1 << 18, Duration::from_millis(5));
    session.expect_alive();
    // In another VLAN our frames reach nobody, and those that we receive are not ours.
    group.near.aggctl("set agg0 vlan=access=43").ok();
    wait_for("frames of another VLAN", SOON, || {
        let show = group.near.show("agg0");
        ["eth0", "eth1"].iter().any(|port| show.port(port)["rx_drops"]["vlan"].as_u64().unwrap_or_default() > 0)
    });
    group.near.aggctl("set agg0 vlan=access=42").ok();
    session.expect_alive();
}

cases!(a_plain_switch_floods_and_reflects_in_vain: VETH_TCX, DIRECT_VETH_TCX);
fn a_plain_switch_floods_and_reflects_in_vain(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach("--mode hash --partner plain");
    let show = lab.host.wait_for_show("agg0", "a designated port", |show| show.0["designated_port"] == "eth0");
    assert!(show.active().is_none());
    let ping = lab.ping(Duration::from_millis(20));
    ping.wait_for_answer(SOON);
    // Broadcast from the host comes back by the other port; from the client it comes by both.
    let dropped = |reason: &str| {
        let show = lab.host.show("agg0");
        let of = |port: &str| show.port(port)["rx_drops"][reason].as_u64().unwrap_or_default();
        of("eth0") + of("eth1")
    };
    wait_for("a question that both ports receive, and one that comes back", SOON, || {
        lab.client.exec("ping -c 1 -W 1 10.0.0.77");
        lab.host.exec("ping -c 1 -W 1 10.0.0.78");
        dropped("duplicate") > 0 && dropped("reflected") > 0
    });
    lab.cut("eth0");
    lab.host.wait_for_show("agg0", "another designated port", |show| show.0["designated_port"] == "eth1");
    ping.wait_for_answer(SOON);
}

cases!(a_hundred_changes_lose_nothing_and_double_nothing: VETH_TCX, VETH_CLSACT, DIRECT_VETH_TCX);
fn a_hundred_changes_lose_nothing_and_double_nothing(case: Case) {
    const CHANGES: usize = 100;
    const WISHES: [&str; 14] = [
        "set agg0 mode=round-robin",
        "set agg0 stride=7",
        "set agg0 mode=hash",
        "set agg0 hash=layer2+3 seed=5",
        "port set agg0 eth1,weight=3",
        "set agg0 buckets=256 hash=l3,l4,dscp,vlan",
        "set agg0 mode=random",
        "port remove agg0 eth2",
        "set agg0 mode=hash seed=0 table=kernel-compat",
        "port add agg0 eth2",
        "set agg0 mode=active-backup",
        "set agg0 partner=plain mode=hash table=stable buckets=4096",
        "port set agg0 eth1,weight=1",
        "set agg0 partner=lag stride=1",
    ];
    let group = Group::new(case, 3);
    group.attach(&group.near, "--mode hash");
    let receivers = group.listen();
    // An emulated machine is slower than the frames.
    let sent = group.sender().during(20_000 / wait::patience(), 500, || {
        for wish in WISHES.iter().cycle().take(CHANGES) {
            group.near.aggctl(wish).ok();
        }
    });
    let mut numbers: Vec<u64> = receivers.received().into_iter().flatten().map(|(_, number)| number).collect();
    numbers.sort_unstable();
    let total = numbers.len() as u64;
    numbers.dedup();
    let unique = numbers.len() as u64;
    println!("{sent} frames during {CHANGES} changes");
    assert_eq!((sent - unique, total - unique), (0, 0), "lost and doubled, of {sent}");
}
