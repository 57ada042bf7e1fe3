//! Field scenario S1: two ports, one address, active-backup.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests end at the first surprise")]

use std::time::Duration;

use aggctl_tests::{
    Case, Flapping, HostState, Lab, Ping, PortKind, Show, cases, guest, holds_for,
    lab::{CLIENT_V4, HOST_V4},
    matrix::SOON,
    skip, wait_for,
};

/// The rhythm at which failovers are judged.
const RHYTHM: Duration = Duration::from_millis(10);

cases!(
    pings_go_on_as_long_as_one_port_has_a_link:
    VETH_TCX, VETH_CLSACT, VETH_TCX_VETH, VETH_CLSACT_NETKIT, TAP_TCX, TAP_CLSACT, DIRECT_VETH_TCX, DIRECT_TAP_CLSACT
);
fn pings_go_on_as_long_as_one_port_has_a_link(case: Case) {
    let lab = Lab::two_ports(case);
    let ping = lab.ping(RHYTHM);
    lab.attach("--reselect failure");
    let show = lab.host.show("agg0");
    expect_ports(&show, Some("eth0"), [("eth0", "up", 0), ("eth1", "up", 0)]);
    one_mac(&lab);

    lab.cut("eth0");
    ping.wait_for_answer(SOON);
    let show = lab.host.wait_for_show("agg0", "eth1 took over", |show| show.active() == Some("eth1"));
    expect_ports(&show, Some("eth1"), [("eth0", "down", 1), ("eth1", "up", 0)]);
    assert!(show.carrier());
    let before = lab.host.show("agg0");
    ping.run(50);
    let after = lab.host.show("agg0");
    for (port, least, most) in [("eth0", 0, 10), ("eth1", 40, u64::MAX)] {
        for counter in ["tx_packets", "rx_packets"] {
            let grown = after.counter(port, counter) - before.counter(port, counter);
            assert!((least..=most).contains(&grown), "{counter} of {port} grew by {grown}");
        }
    }

    lab.cut("eth1");
    ping.expect_silence();
    let show = lab.host.wait_for_show("agg0", "no carrier", |show| !show.carrier());
    expect_ports(&show, None, [("eth0", "down", 1), ("eth1", "down", 1)]);
    wait_for("agg0 without carrier", SOON, || !lab.host.has_carrier("agg0"));

    lab.restore("eth0");
    ping.wait_for_answer(SOON);
    let show = lab.host.wait_for_show("agg0", "eth0 is back", |show| show.active() == Some("eth0"));
    expect_ports(&show, Some("eth0"), [("eth0", "up", 1), ("eth1", "down", 1)]);
    assert!(show.carrier());
    wait_for("agg0 with carrier", SOON, || lab.host.has_carrier("agg0"));

    let ((), stats) = ping.during(|| {
        lab.restore("eth1");
        lab.host.wait_for_show("agg0", "eth1 waits", |show| show.state("eth1") == "standby");
        let stays = || lab.host.show("agg0").active() == Some("eth0");
        holds_for("eth0 stays active", Duration::from_millis(500), stays);
    });
    assert_eq!(stats.lost, 0, "{stats:?}");
    expect_ports(&lab.host.show("agg0"), Some("eth0"), [("eth0", "up", 1), ("eth1", "up", 1)]);
    one_mac(&lab);
    assert_eq!(ping.total().doubled, 0);
}

cases!(
    failover_loses_a_few_pings_at_most:
    VETH_TCX, VETH_CLSACT, VETH_TCX_VETH, VETH_CLSACT_NETKIT, TAP_TCX, TAP_CLSACT, DIRECT_VETH_TCX, DIRECT_VETH_CLSACT,
    DIRECT_TAP_TCX
);
fn failover_loses_a_few_pings_at_most(case: Case) {
    let lab = Lab::two_ports(case);
    let _flapping = (case.link == PortKind::Tap).then(|| Flapping::start(&lab.host));
    lab.attach("");
    let ping = lab.ping(RHYTHM);
    let mut active = "eth0";
    let mut seen = Vec::new();
    // A machine that stands still for a moment is no failover: the best of three counts.
    for _ in 0..3 {
        let other = if active == "eth0" { "eth1" } else { "eth0" };
        lab.host.wait_for_show("agg0", "both ports usable", |show| show.port(other)["usable"] == true);
        let ((), stats) = ping.during(|| {
            ping.run(10);
            lab.cut(active);
            ping.run(100);
        });
        assert_eq!(lab.host.show("agg0").active(), Some(other));
        let lost = stats.lost;
        seen.push(stats);
        if lost <= case.failover_limit() {
            return;
        }
        lab.restore(active);
        active = other;
    }
    panic!("each failover lost more than {} pings: {seen:?}", case.failover_limit());
}

cases!(promiscuous_mode_on_demand_survives_flaps: VETH_TCX, TAP_CLSACT, DIRECT_VETH_TCX);
fn promiscuous_mode_on_demand_survives_flaps(case: Case) {
    let lab = Lab::two_ports(case);
    let before = HostState::of(&lab.host);
    lab.attach("--promisc on");
    let promiscuous = || {
        ["eth0", "eth1"].iter().all(|port| lab.host.link(port)["promiscuity"].as_u64().is_some_and(|count| count > 0))
    };
    assert!(promiscuous());
    for port in ["eth0", "eth1", "eth0"] {
        lab.cut(port);
        lab.host.wait_for_show("agg0", "the link is down", |show| show.port(port)["link"] == "down");
        lab.restore(port);
        lab.host.wait_for_show("agg0", "the link is up", |show| show.port(port)["usable"] == true);
        assert!(promiscuous());
    }
    lab.host.aggctl("set agg0 promisc=off").ok();
    wait_for("promiscuous mode off", SOON, || {
        ["eth0", "eth1"].iter().all(|port| lab.host.link(port)["promiscuity"] == 0)
    });
    lab.host.aggctl("detach agg0").ok();
    before.expect_again(&lab.host, "detach");
}

cases!(a_dhcp_client_on_the_aggregate_gets_an_address: VETH_TCX, TAP_CLSACT, DIRECT_VETH_TCX);
fn a_dhcp_client_on_the_aggregate_gets_an_address(case: Case) {
    let lab = Lab::bare(case);
    if !["udhcpc", "udhcpd"].iter().all(|applet| guest::busybox_has(applet)) {
        return skip("needs busybox with udhcpc and udhcpd");
    }
    lab.attach("");
    lab.host.ip("link set agg0 up");
    lab.host.wait_for_show("agg0", "carrier", Show::carrier);
    let server = guest::DhcpServer::start(&lab.client, HOST_V4);
    server.ask(&lab.host, "agg0").ok();
    assert!(lab.host.ip("-4 addr show dev agg0").contains(HOST_V4));
    let ping = Ping::start(&lab.host, &lab.client, CLIENT_V4, None, RHYTHM);
    lab.cut("eth0");
    ping.wait_for_answer(SOON);
    server.ask(&lab.host, "agg0").ok();
    ping.wait_for_answer(SOON);
}

/// What the state view must say after each step: the active port, and each port's link and failures.
#[track_caller]
fn expect_ports(show: &Show, active: Option<&str>, ports: [(&str, &str, u64); 2]) {
    assert_eq!(show.active(), active, "{:#}", show.0);
    for (port, link, failures) in ports {
        assert_eq!(show.port(port)["link"], link, "{:#}", show.0);
        assert_eq!(show.counter(port, "link_failures"), failures, "{:#}", show.0);
        let state = match (link, active == Some(port)) {
            ("down", _) => "down",
            (_, true) => "active",
            (_, false) => "standby",
        };
        assert_eq!(show.state(port), state, "{:#}", show.0);
        assert_eq!(show.port(port)["usable"], link == "up", "{:#}", show.0);
        assert!(!show.port(port)["why"].as_str().expect("why is a text").is_empty());
    }
}

/// Aggregate and ports show the same MAC.
#[track_caller]
fn one_mac(lab: &Lab) {
    let macs = ["agg0", "eth0", "eth1"].map(|name| lab.host.link(name)["address"].as_str().unwrap().to_owned());
    assert!(macs.iter().all(|mac| *mac == macs[0]), "{macs:?}");
    assert_eq!(lab.host.show("agg0").0["mac"], macs[0].as_str());
}
