//! Who has which MAC: `--mac-policy`.
//!
//! `AGGCTL_FAULT=mac:PORT` is a port whose driver does not change its MAC.
#![allow(clippy::unwrap_used, reason = "tests end at the first surprise")]

use std::time::Duration;

use aggctl_tests::{
    Case, HostState, Lab, Namespace, Outcome, Ping, cases,
    lab::{CLIENT_V4, HOST_V4},
    matrix::SOON,
    processes::kill,
    skip, wait, wait_for,
};

/// The rhythm of pings.
const RHYTHM: Duration = Duration::from_millis(10);
/// What may be lost when the aggregate gets another MAC: its interface has it a moment before the programs know. And
/// a machine that is busy with other things may make that moment longer.
const MOMENT: u64 = 1;

/// The MAC of an interface.
fn mac(namespace: &Namespace, name: &str) -> String {
    namespace.link(name)["address"].as_str().unwrap().to_owned()
}

/// Waits until aggregate and ports have these MACs, in the order agg0, eth0, eth1.
#[track_caller]
fn expect_macs(lab: &Lab, wanted: [&str; 3]) {
    let names = ["agg0", "eth0", "eth1"];
    let have = || names.map(|name| mac(&lab.host, name));
    wait_for(&format!("MACs {wanted:?}"), SOON, || have() == wanted);
    let show = lab.host.show("agg0");
    assert_eq!(show.0["mac"], wanted[0], "{:#}", show.0);
    assert_eq!(
        [show.port("eth0")["mac"].as_str(), show.port("eth1")["mac"].as_str()],
        [Some(wanted[1]), Some(wanted[2])]
    );
}

/// Waits until the client knows the host by this MAC.
#[track_caller]
fn expect_known_by(lab: &Lab, wanted: &str) {
    wait_for("the client knows the new MAC", SOON, || lab.client.ip(&format!("neigh show {HOST_V4}")).contains(wanted));
}

/// Makes a port active by hand, or what else changes who has which MAC, while pings run.
#[track_caller]
fn change(lab: &Lab, line: &str) {
    let (ping, ping6) = (lab.ping(RHYTHM), lab.ping6(RHYTHM));
    let ((), stats6) = ping6.during(|| {
        let ((), stats) = ping.during(|| {
            lab.host.aggctl(line).ok();
            ping.run(30);
        });
        assert!(stats.lost <= wait::lossy(MOMENT), "{line}: {stats:?}");
    });
    assert!(stats6.lost <= wait::lossy(MOMENT), "{line}: {stats6:?}");
}

/// Waits until both ports may carry traffic.
#[track_caller]
fn both_usable(lab: &Lab) {
    lab.host.wait_for_show("agg0", "both ports usable", |show| {
        ["eth0", "eth1"].iter().all(|port| show.port(port)["usable"] == true)
    });
}

/// By hand, by a cut cable with a controller, and with none; then a controller comes, and all is taken apart.
/// `expected`: which MACs there are by `(own of eth0, own of eth1)` and the number of the active port.
fn every_failover(case: Case, policy: &str, expected: fn([&str; 2], usize) -> [&str; 3]) {
    let lab = Lab::two_ports(case);
    let before = HostState::of(&lab.host);
    let own = ["eth0", "eth1"].map(|port| mac(&lab.host, port));
    let expect = |active: usize| {
        let macs = expected([&own[0], &own[1]], active);
        expect_macs(&lab, macs);
        expect_known_by(&lab, macs[0]);
    };
    lab.attach(&format!("--mac-policy {policy} --reselect failure"));
    assert_eq!(lab.host.show("agg0").0["mac_policy"], policy);
    both_usable(&lab);
    expect(0);

    change(&lab, "set agg0 active-port=eth1");
    expect(1);
    change(&lab, "set agg0 active-port=eth0");
    expect(0);

    let ping = lab.ping(RHYTHM);
    lab.cut("eth0");
    lab.host.wait_for_show("agg0", "eth1 took over", |show| show.active() == Some("eth1"));
    ping.wait_for_answer(SOON);
    expect(1);
    lab.restore("eth0");
    both_usable(&lab);

    // With nobody there to change a MAC, the other port sends and receives as the aggregate is.
    let asks = lab.host.show("agg0").0["failover_path"] == "kernel";
    if asks {
        lab.host.kill_all();
        let from_host = Ping::start(&lab.host, &lab.client, CLIENT_V4, None, RHYTHM);
        let ((), stats) = from_host.during(|| {
            from_host.run(10);
            lab.cut("eth1");
            from_host.run(100);
        });
        assert!(stats.lost <= case.failover_limit() + wait::lossy(2), "{stats:?}");
        assert_eq!(mac(&lab.host, "agg0"), expected([&own[0], &own[1]], 1)[0]);
        lab.host.aggctl("adopt agg0").ok();
        lab.host.wait_for_show("agg0", "eth0 took over", |show| show.active() == Some("eth0"));
        expect(0);
        ping.wait_for_answer(SOON);
        lab.restore("eth1");
        both_usable(&lab);
    }
    // A guardian starts another controller, which goes by the same policy.
    let controller = lab.host.wait_for_controller("agg0");
    kill(controller.pid);
    lab.host
        .wait_for_show("agg0", "another controller", |show| show.controller().is_some_and(|pid| pid != controller.pid));
    both_usable(&lab);
    change(&lab, if asks { "set agg0 active-port=eth1" } else { "set agg0 active-port=eth0" });
    expect(usize::from(asks));
    lab.host.aggctl("detach agg0").ok();
    before.expect_again(&lab.host, "detach");
}

cases!(
    the_aggregate_has_the_mac_of_the_active_port:
    VETH_TCX, VETH_CLSACT, VETH_TCX_VETH, TAP_TCX, DIRECT_VETH_TCX, DIRECT_VETH_CLSACT, DIRECT_TAP_CLSACT
);
fn the_aggregate_has_the_mac_of_the_active_port(case: Case) {
    every_failover(case, "by-active", |own, active| [own[active], own[0], own[1]]);
}

cases!(
    the_active_port_alone_has_the_aggregates_mac:
    VETH_TCX, VETH_CLSACT, TAP_CLSACT, DIRECT_VETH_TCX, DIRECT_TAP_TCX
);
fn the_active_port_alone_has_the_aggregates_mac(case: Case) {
    // The port that the aggregate has its MAC from gets that of the active one.
    every_failover(case, "only-active", |own, active| match active {
        0 => [own[0], own[0], own[1]],
        _ => [own[0], own[1], own[0]],
    });
}

cases!(the_policy_is_changed_under_traffic: VETH_TCX, VETH_CLSACT, TAP_TCX, DIRECT_VETH_TCX, DIRECT_TAP_CLSACT);
fn the_policy_is_changed_under_traffic(case: Case) {
    let lab = Lab::two_ports(case);
    let before = HostState::of(&lab.host);
    let own = ["eth0", "eth1"].map(|port| mac(&lab.host, port));
    let [first, second] = [own[0].as_str(), own[1].as_str()];
    lab.attach("--reselect failure");
    both_usable(&lab);
    let steps = [
        ("active-port=eth1", [first, first, first]),
        ("mac-policy=by-active", [second, first, second]),
        ("mac-policy=only-active", [second, first, second]),
        ("active-port=eth0", [second, second, first]),
        ("mac-policy=same-all", [second, second, second]),
        ("mac-policy=only-active", [second, second, first]),
        ("mac-policy=by-active", [first, first, second]),
        ("mac-policy=same-all", [first, first, first]),
    ];
    for (change_to, macs) in steps {
        change(&lab, &format!("set agg0 {change_to}"));
        expect_macs(&lab, macs);
        expect_known_by(&lab, macs[0]);
        let promiscuous = ["eth0", "eth1"].map(|port| lab.host.link(port)["promiscuity"] != 0);
        let same = lab.host.show("agg0").0["mac_policy"] == "same-all";
        assert_eq!(promiscuous, [!same; 2], "after {change_to}: any port must be able to take over");
    }
    lab.host.aggctl("set agg0 mac-policy=by-active").ok();
    let refused = lab.host.aggctl("set agg0 mode=hash");
    assert_eq!((refused.code, refused.complaints().len()), (Some(1), 1), "{refused}");
    assert!(refused.stderr.contains("need mode active-backup"), "{refused}");
    change(&lab, "set agg0 mode=hash mac-policy=same-all");
    lab.host.aggctl("detach agg0").ok();
    before.expect_again(&lab.host, "detach");
}

cases!(frames_to_the_former_mac_are_received: VETH_TCX, VETH_CLSACT, TAP_TCX, DIRECT_VETH_TCX, DIRECT_TAP_CLSACT);
fn frames_to_the_former_mac_are_received(case: Case) {
    let lab = Lab::two_ports(case);
    let former = mac(&lab.host, "eth0");
    lab.attach("--mac-policy by-active --reselect failure --partner plain");
    both_usable(&lab);
    // Somebody who does not listen to announcements.
    lab.client.ip(&format!("neigh replace {HOST_V4} lladdr {former} nud permanent dev eth0"));
    lab.host.aggctl("set agg0 active-port=eth1").ok();
    expect_macs(&lab, [&mac(&lab.host, "eth1"), &former, &mac(&lab.host, "eth1")]);
    // The switch does not know the former MAC any more, and sends it everywhere.
    lab.switch.ip("link set br0 type bridge fdb_flush");
    let ping = lab.ping(RHYTHM);
    // Until the former port accepts nothing more, each frame comes twice.
    wait_for("every ping answered, and once", SOON, || {
        let ((), stats) = ping.during(|| ping.run(20));
        (stats.lost, stats.doubled) == (0, 0)
    });
    assert!(lab.client.ip(&format!("neigh show {HOST_V4}")).contains(&former));
    // It is the MAC of somebody else once the port is none any more.
    lab.host.aggctl("port remove agg0 eth0").ok();
    // It would answer for the aggregate's address by itself.
    lab.host.ip("link set eth0 down");
    lab.switch.ip("link set br0 type bridge fdb_flush");
    ping.expect_silence();
    lab.client.ip(&format!("neigh del {HOST_V4} dev eth0"));
    ping.wait_for_answer(SOON);
    expect_known_by(&lab, &mac(&lab.host, "eth1"));
}

/// A command in a host with a port whose driver does not change its MAC.
fn with_stuck(lab: &Lab, port: &str, line: &str) -> Outcome {
    lab.host.aggctl_with(&[("AGGCTL_FAULT", &format!("mac:{port}"))], line)
}

cases!(a_port_that_keeps_its_mac_is_done_with: VETH_TCX, TAP_CLSACT, DIRECT_VETH_TCX);
fn a_port_that_keeps_its_mac_is_done_with(case: Case) {
    let lab = Lab::two_ports(case).with_port("eth2");
    let before = HostState::of(&lab.host);
    let own = ["eth0", "eth1"].map(|port| mac(&lab.host, port));
    // Where all ports carry traffic nothing can be done about it.
    let refused = with_stuck(&lab, "eth1", &lab.attach_line("--mode hash"));
    assert_eq!((refused.code, refused.complaints().len()), (Some(1), 1), "{refused}");
    assert!(refused.stderr.contains("eth1: set MAC") && refused.stderr.contains("undone"), "{refused}");
    before.expect_unchanged(&lab.host, "an attach that was refused");

    // eth2 has got the aggregate's MAC when eth1 turns out to keep its own.
    let line = lab.attach_line("--port eth2 --reselect failure").replace("--port eth1 --wiring", "--wiring");
    let line = format!("{line} --port eth1");
    let attached = with_stuck(&lab, "eth1", &line);
    assert!(attached.succeeded() && attached.complaints().is_empty(), "{attached}");
    assert!(attached.stderr.contains("eth1: set MAC") && attached.stderr.contains("by-active"), "{attached}");
    let show = lab.host.show("agg0");
    assert_eq!(show.0["mac_policy"], "by-active");
    assert!(show.0["mac_policy_why"].as_str().unwrap().contains("eth1"), "{:#}", show.0);
    assert!(lab.host.aggctl("show agg0").ok().contains("mac-policy by-active, since a port keeps its MAC: eth1"));
    both_usable(&lab);
    expect_macs(&lab, [&own[0], &own[0], &own[1]]);
    change(&lab, "set agg0 active-port=eth1");
    expect_macs(&lab, [&own[1], &own[0], &own[1]]);
    expect_known_by(&lab, &own[1]);

    change(&lab, "set agg0 active-port=eth0");
    let back = lab.host.aggctl("set agg0 mac-policy=same-all");
    assert_eq!((back.code, back.complaints().len()), (Some(1), 1), "{back}");
    assert!(back.stderr.contains("eth1: set MAC"), "{back}");
    expect_macs(&lab, [&own[0], &own[0], &own[1]]);
    // What was asked for is what runs.
    lab.host.kill_all();
    lab.host.wait_for_show("agg0", "no controller", |show| show.controller().is_none());
    lab.host.aggctl(&line).ok();
    lab.host.wait_for_controller("agg0");
    // This one does not know that the port keeps its MAC: so it is given it.
    both_usable(&lab);
    change(&lab, "set agg0 mac-policy=same-all");
    expect_macs(&lab, [&own[0], &own[0], &own[0]]);
    assert_eq!(lab.host.show("agg0").0["mac_policy_why"], serde_json::Value::Null);
    lab.host.aggctl("detach agg0").ok();
    before.expect_again(&lab.host, "detach");
}

cases!(a_port_that_keeps_its_mac_is_not_added: VETH_CLSACT, DIRECT_TAP_TCX);
fn a_port_that_keeps_its_mac_is_not_added(case: Case) {
    let lab = Lab::two_ports(case).with_port("eth2");
    let own = ["eth1", "eth2"].map(|port| mac(&lab.host, port));
    let line = lab.attach_line("");
    with_stuck(&lab, "eth2", &line).ok();
    both_usable(&lab);
    let before = HostState::of(&lab.host);
    let refused = lab.host.aggctl("port add agg0 eth2");
    assert_eq!((refused.code, refused.complaints().len()), (Some(1), 1), "{refused}");
    assert!(refused.stderr.contains("eth2: set MAC") && refused.stderr.contains("mac-policy=by-active"), "{refused}");
    before.expect_again(&lab.host, "a port that was refused");
    lab.host.aggctl("set agg0 mac-policy=by-active").ok();
    lab.host.aggctl("port add agg0 eth2").ok();
    lab.host.wait_for_show("agg0", "eth2 usable", |show| show.port("eth2")["usable"] == true);
    change(&lab, "set agg0 active-port=eth2");
    wait_for("the MAC of eth2", SOON, || mac(&lab.host, "agg0") == own[1]);
    lab.host.aggctl("port remove agg0 eth2").ok();
    wait_for("the MAC of another port", SOON, || mac(&lab.host, "agg0") != own[1]);
    assert_eq!(mac(&lab.host, "eth1"), own[0]);
}

cases!(a_driver_that_changes_no_mac_is_found: VETH_TCX, DIRECT_VETH_TCX);
fn a_driver_that_changes_no_mac_is_found(case: Case) {
    let lab = Lab::two_ports(case);
    // Its driver has no way to change a MAC.
    if !lab.host.command("ip").args(["link", "add", "ifb9", "type", "ifb"]).status().unwrap().success() {
        return skip("this kernel has no ifb devices");
    }
    lab.host.ip("link set ifb9 up");
    let own = ["eth0", "ifb9"].map(|port| mac(&lab.host, port));
    let attached = lab.host.aggctl(&lab.attach_line("--port ifb9 --force"));
    assert!(attached.succeeded() && attached.stderr.contains("by-active"), "{attached}");
    assert_eq!(["agg0", "ifb9"].map(|name| mac(&lab.host, name)), own);
    let ping = lab.ping(RHYTHM);
    lab.cut("eth0");
    ping.wait_for_answer(SOON);
    wait_for("the MAC of eth1", SOON, || mac(&lab.host, "agg0") == mac(&lab.host, "eth1"));
    lab.restore("eth0");
    both_usable(&lab);
    lab.host.aggctl("detach agg0").ok();
}
