//! Field scenario S3: change it while it runs.
#![allow(clippy::unwrap_used, reason = "tests end at the first surprise")]

use std::{process::Command, time::Duration};

use aggctl_tests::{
    Case, HostState, Lab, Ping, cases, command, holds_for,
    lab::{CLIENT_V4, HOST_V4},
    matrix::SOON,
    wait::{patience, patient},
    wait_for,
};

/// The rhythm of the pings: nothing that lasts longer than this goes unseen.
const RHYTHM: Duration = Duration::from_millis(2);

cases!(
    switching_by_hand_loses_nothing:
    VETH_TCX, VETH_CLSACT, TAP_TCX, TAP_CLSACT, DIRECT_VETH_TCX, DIRECT_VETH_CLSACT
);
fn switching_by_hand_loses_nothing(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach("--reselect failure");
    let pings = [lab.ping(RHYTHM), lab.ping6(RHYTHM), Ping::start(&lab.host, &lab.client, CLIENT_V4, None, RHYTHM)];
    undisturbed(&lab, &pings, "switching by hand", || {
        for port in ["eth1", "eth0", "eth1", "eth0", "eth1"] {
            lab.host.aggctl(&format!("set agg0 active-port={port}")).ok();
            let show = lab.host.show("agg0");
            assert_eq!((show.active(), show.state(port)), (Some(port), "active"));
            pings[0].run(100);
        }
    });
    let show = lab.host.show("agg0");
    assert_eq!((show.counter("eth0", "link_failures"), show.counter("eth1", "link_failures")), (0, 0));
}

cases!(a_port_without_link_is_not_made_active_by_hand: VETH_TCX);
fn a_port_without_link_is_not_made_active_by_hand(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach("");
    lab.cut("eth1");
    lab.host.wait_for_show("agg0", "eth1 is down", |show| show.state("eth1") == "down");
    let refused = lab.host.aggctl("set agg0 active-port=eth1");
    assert_eq!(refused.code, Some(1), "{refused}");
    assert_eq!(refused.complaints().len(), 1, "{refused}");
    assert_eq!(lab.host.show("agg0").active(), Some("eth0"));
}

cases!(addresses_of_the_aggregate_change_under_traffic: VETH_TCX, TAP_CLSACT, DIRECT_VETH_TCX);
fn addresses_of_the_aggregate_change_under_traffic(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach("");
    let ping = lab.ping(RHYTHM);
    let ((), stats) = ping.during(|| {
        lab.host.ip("addr add 10.0.0.99/24 dev agg0");
        Ping::start(&lab.client, &lab.host, "10.0.0.99", None, RHYTHM).run(50);
        lab.host.ip("addr del 10.0.0.99/24 dev agg0");
    });
    assert_eq!(stats.lost, 0, "{stats:?}");
    // The address itself is another: a new one takes its place, and a failover takes it along.
    lab.host.ip("addr add 10.0.0.98/25 dev agg0");
    lab.host.ip(&format!("addr del {HOST_V4}/24 dev agg0"));
    let moved = Ping::start(&lab.client, &lab.host, "10.0.0.98", None, RHYTHM);
    lab.cut("eth0");
    moved.wait_for_answer(SOON);
    lab.restore("eth0");
    lab.host.wait_for_show("agg0", "eth0 waits", |show| show.port("eth0")["usable"] == true);
    lab.host.aggctl("detach agg0").ok();
    let addresses = lab.host.ip("-4 addr show dev eth0");
    assert!(addresses.contains("10.0.0.98/25") && !addresses.contains("10.0.0.2/24"), "{addresses}");
    moved.wait_for_answer(SOON);
}

cases!(ports_come_and_go_under_traffic: VETH_TCX, VETH_CLSACT, TAP_TCX, TAP_CLSACT, DIRECT_VETH_TCX, DIRECT_TAP_CLSACT);
fn ports_come_and_go_under_traffic(case: Case) {
    let lab = Lab::two_ports(case).with_port("eth2");
    let before = HostState::of(&lab.host);
    lab.attach("--reselect failure");
    let pings = [lab.ping(RHYTHM), lab.ping6(RHYTHM)];
    let permanent = lab.host.show("agg0").port("eth1")["permanent_mac"].clone();
    undisturbed(&lab, &pings, "adding a port", || {
        lab.host.aggctl("port add agg0 eth2,priority=5").ok();
        pings[0].run(50);
    });
    let show = lab.host.wait_for_show("agg0", "eth2 waits", |show| show.state("eth2") == "standby");
    assert_eq!((show.active(), show.counter("eth2", "priority")), (Some("eth0"), 5));
    assert_eq!(show.port("eth1")["permanent_mac"], permanent);

    undisturbed(&lab, &pings, "using the new port", || {
        lab.host.aggctl("set agg0 active-port=eth2").ok();
        pings[0].run(50);
    });
    undisturbed(&lab, &pings, "removing a standby port", || {
        lab.host.aggctl("port remove agg0 eth1").ok();
        pings[0].run(50);
    });
    assert_eq!(lab.host.show("agg0").0["ports"].as_array().unwrap().len(), 2);
    undisturbed(&lab, &pings, "removing the active port", || {
        lab.host.aggctl("port remove agg0 eth2").ok();
        pings[0].run(50);
    });
    assert_eq!(lab.host.show("agg0").active(), Some("eth0"));
    undisturbed(&lab, &pings, "adding a port again", || {
        lab.host.aggctl("port add agg0 eth1").ok();
        lab.host.wait_for_show("agg0", "eth1 waits", |show| show.state("eth1") == "standby");
    });
    lab.cut("eth0");
    pings.iter().for_each(|ping| ping.wait_for_answer(SOON));
    lab.host.wait_for_show("agg0", "eth1 took over", |show| show.active() == Some("eth1"));
    lab.restore("eth0");
    lab.host.wait_for_show("agg0", "eth0 waits", |show| show.state("eth0") == "standby");
    lab.host.aggctl("detach agg0").ok();
    before.expect_again(&lab.host, "ports came and went");
}

cases!(preferences_decide_who_carries: VETH_TCX, TAP_CLSACT);
fn preferences_decide_who_carries(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach("--primary eth0");
    let ping = lab.ping(RHYTHM);
    lab.cut("eth0");
    lab.host.wait_for_show("agg0", "eth1 took over", |show| show.active() == Some("eth1"));
    lab.restore("eth0");
    lab.host.wait_for_show("agg0", "the primary took back", |show| show.active() == Some("eth0"));
    let ((), stats) = ping.during(|| {
        lab.host.aggctl("set agg0 primary=eth1").ok();
        lab.host.wait_for_show("agg0", "the new primary took over", |show| show.active() == Some("eth1"));
        lab.host.aggctl("set agg0 primary=none reselect=failure").ok();
        lab.host.aggctl("port set agg0 eth0,priority=10").ok();
        let stays = || lab.host.show("agg0").active() == Some("eth1");
        holds_for("eth1 stays active", Duration::from_millis(300), stays);
        lab.host.aggctl("set agg0 reselect=always").ok();
        lab.host.wait_for_show("agg0", "the better port took over", |show| show.active() == Some("eth0"));
    });
    assert_eq!(stats.lost, 0, "{stats:?}");
}

cases!(the_primary_leaves_and_is_the_primary_again: VETH_TCX, TAP_CLSACT, DIRECT_VETH_TCX);
fn the_primary_leaves_and_is_the_primary_again(case: Case) {
    let lab = Lab::two_ports(case).with_port("eth2");
    let before = HostState::of(&lab.host);
    lab.attach("--port eth2 --primary eth1");
    lab.host.wait_for_show("agg0", "the primary is active", |show| show.active() == Some("eth1"));
    let removed = lab.host.aggctl("port remove agg0 eth1");
    assert!(removed.succeeded() && removed.stderr.is_empty(), "{removed}");
    let show = lab.host.wait_for_show("agg0", "another is active", |show| show.active() == Some("eth0"));
    assert_eq!((&show.0["primary"], &show.0["primary_is_port"]), (&"eth1".into(), &false.into()));
    let text = lab.host.aggctl("show agg0").ok();
    assert!(text.contains("primary eth1: not a port yet"), "{text}");
    // All else can be changed meanwhile.
    lab.host.aggctl("set agg0 up-delay=1").ok();
    lab.host.aggctl("port add agg0 eth1").ok();
    let show = lab.host.wait_for_show("agg0", "the primary is active again", |show| show.active() == Some("eth1"));
    assert_eq!(show.0["primary_is_port"], true);
    assert!(!lab.host.aggctl("show agg0").ok().contains("not a port yet"));
    lab.host.aggctl("detach agg0").ok();
    before.expect_again(&lab.host, "the primary left and came back");
}

cases!(the_port_whose_mac_stays_leaves_with_a_warning: VETH_TCX, DIRECT_TAP_CLSACT);
fn the_port_whose_mac_stays_leaves_with_a_warning(case: Case) {
    let lab = Lab::two_ports(case);
    let mac = lab.host.link("eth0")["address"].clone();
    lab.attach("");
    let removed = lab.host.aggctl("port remove agg0 eth0");
    assert!(removed.succeeded(), "{removed}");
    let [line] = removed.stderr.lines().collect::<Vec<_>>()[..] else { panic!("{removed}") };
    let parts = ["warning: ", mac.as_str().unwrap(), "eth0", "agg0"];
    assert!(parts.iter().all(|part| line.contains(part)), "{line}");
    assert_eq!((&lab.host.link("eth0")["address"], &lab.host.link("agg0")["address"]), (&mac, &mac));
}

cases!(delays_are_kept: VETH_TCX, TAP_TCX);
fn delays_are_kept(case: Case) {
    let lab = Lab::two_ports(case);
    let (up, down) = (1500 * patience(), 1000 * patience());
    lab.attach(&format!("--watch link,up-delay={up},down-delay={down} --primary eth0"));
    let ping = lab.ping(RHYTHM);
    // A flap that is shorter than the delay changes nothing.
    lab.cut("eth0");
    lab.host.wait_for_show("agg0", "the link is down", |show| show.port("eth0")["link"] == "down");
    lab.restore("eth0");
    let stays = || lab.host.show("agg0").active() == Some("eth0");
    holds_for("eth0 stays active", patient(Duration::from_millis(1200)), stays);
    // A cut that lasts is noticed after the delay, and a return only after its own.
    lab.host.aggctl("set agg0 down-delay=0").ok();
    lab.cut("eth0");
    ping.wait_for_answer(SOON);
    lab.host.wait_for_show("agg0", "eth1 took over", |show| show.active() == Some("eth1"));
    lab.restore("eth0");
    lab.host.wait_for_show("agg0", "the link is up", |show| show.port("eth0")["link"] == "up");
    let waits = || lab.host.show("agg0").active() == Some("eth1");
    holds_for("eth0 waits for its delay", patient(Duration::from_millis(700)), waits);
    lab.host.wait_for_show("agg0", "eth0 took back", |show| show.active() == Some("eth0"));
    // When nothing else is usable there is no reason to wait.
    lab.host.aggctl("set agg0 up-delay=300000").ok();
    lab.cut("eth0");
    lab.cut("eth1");
    ping.expect_silence();
    lab.restore("eth1");
    ping.wait_for_answer(SOON);
}

cases!(carrier_follows_min_ports: VETH_TCX, DIRECT_VETH_TCX, DIRECT_VETH_CLSACT);
fn carrier_follows_min_ports(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach("--min-ports 2");
    assert!(lab.host.show("agg0").carrier());
    lab.cut("eth1");
    lab.host.wait_for_show("agg0", "too few ports", |show| !show.carrier());
    wait_for("agg0 without carrier", SOON, || !lab.host.has_carrier("agg0"));
    lab.host.aggctl("set agg0 min-ports=1").ok();
    lab.host.wait_for_show("agg0", "enough ports", |show| show.carrier());
    lab.ping(RHYTHM).run(20);
}

/// Does `work`; no ping may be lost.
#[track_caller]
fn undisturbed(lab: &Lab, pings: &[Ping], what: &str, work: impl FnOnce()) {
    let marks: Vec<_> = pings.iter().map(Ping::mark).collect();
    work();
    for (ping, mark) in pings.iter().zip(marks) {
        let stats = ping.since(mark);
        if stats.lost > 0 {
            // Who thinks the host where?
            let learned = command::run(Command::new("bridge").args(["-n", lab.switch.name(), "fdb"]));
            let neighbours = [&lab.client, &lab.host].map(|end| end.ip("neigh show"));
            let links = lab.host.ip("-s link");
            panic!("{what}: {stats:?}\n{learned:?}\n{neighbours:#?}\n{links}");
        }
    }
}
