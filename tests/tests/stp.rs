//! Spanning tree through the aggregate: a bridge on top of it, one in the switch, and a second cable between them.
#![allow(clippy::unwrap_used, reason = "tests end at the first surprise")]

use std::time::Duration;

use aggctl_tests::{
    Capture, Case, Lab, Ping, cases,
    frames::control,
    guest::Guest,
    lab::{CLIENT_V4, switch_end},
    wait, wait_for,
};

/// The rhythm of the pings.
const RHYTHM: Duration = Duration::from_millis(10);
/// The shortest timers that a bridge takes, in hundredths of a second: a tree is found within a few seconds.
const TIMERS: &str = "stp_state 1 forward_delay 200 hello_time 100 max_age 600";
/// The longest that a tree may take: information of the old one grows old in 6 s, two delays of 2 s follow.
const CONVERGENCE: Duration = Duration::from_secs(60);
/// How long a tree must stand to be settled.
const SETTLED: Duration = Duration::from_secs(2);
/// The guest's address.
const GUEST_V4: &str = "10.0.0.9";

/// The port of the host's bridge that is no aggregate.
const LOOP: &str = "loop0";

cases!(a_loop_is_blocked_and_the_tree_follows_a_failover: VETH_TCX, VETH_CLSACT, DIRECT_VETH_TCX, DIRECT_VETH_CLSACT);
fn a_loop_is_blocked_and_the_tree_follows_a_failover(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach("");
    let (guest, ping) = close_loop(&lab, 0x1000, 0x8000);
    expect_tree(&lab, &ping, "agg0");
    let to_host = Capture::start(&lab.host, "agg0", |captured| bpdu(&captured.bytes) && !captured.outgoing);
    wait_for("BPDUs of the switch on the aggregate", CONVERGENCE, || to_host.count(|_| true) >= 3);

    lab.cut("eth0");
    lab.host.wait_for_show("agg0", "eth1 took over", |show| show.active() == Some("eth1"));
    expect_tree(&lab, &ping, "agg0");
    to_host.clear();
    wait_for("BPDUs after a failover", CONVERGENCE, || to_host.count(|_| true) >= 3);

    // Without an aggregate the tree goes over the second cable, and back again.
    lab.cut("eth1");
    expect_tree(&lab, &ping, LOOP);
    lab.restore("eth0");
    expect_tree(&lab, &ping, "agg0");
    lab.restore("eth1");
    lab.host.wait_for_show("agg0", "eth1 waits", |show| show.state("eth1") == "standby");
    lab.host.aggctl("set agg0 active-port=eth1").ok();
    expect_tree(&lab, &ping, "agg0");
    drop(guest);
}

cases!(the_root_of_the_tree_may_be_behind_the_aggregate: VETH_TCX, DIRECT_VETH_TCX);
fn the_root_of_the_tree_may_be_behind_the_aggregate(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach("");
    // The client's cable is the only other port of the switch, so that it is the switch that must block one.
    let (guest, ping) = close_loop(&lab, 0x8000, 0x1000);
    for (cut, active) in [(None, "eth0"), (Some("eth0"), "eth1")] {
        if let Some(port) = cut {
            lab.cut(port);
        }
        lab.host.wait_for_show("agg0", "the other port took over", |show| show.active() == Some(active));
        let end = switch_end(active);
        let to_switch = Capture::start(&lab.switch, &end, |captured| bpdu(&captured.bytes) && !captured.outgoing);
        wait_for("BPDUs of the host at the switch", CONVERGENCE, || to_switch.count(|_| true) >= 3);
        ping.wait_for_answer(CONVERGENCE);
        wait_for("a tree through the aggregate", CONVERGENCE, || {
            state(&lab.switch, &end) == "forwarding" && state(&lab.switch, LOOP) == "blocking"
        });
        ping.wait_for_answer(CONVERGENCE);
    }
    drop(guest);
}

/// Puts the aggregate into a bridge with a guest, lays a second cable to the switch, which costs more, and runs
/// spanning tree on both bridges with the given priorities (the lower one is the root).
#[track_caller]
fn close_loop(lab: &Lab, switch: u16, host: u16) -> (Guest, Ping) {
    lab.switch.ip(&format!("link set br0 type bridge {TIMERS} priority {switch}"));
    lab.host.ip(&format!("link add br0 type bridge mcast_snooping 0 {TIMERS} priority {host}"));
    lab.host.ip("link set br0 up");
    let guest = Guest::new(&lab.host, "g0");
    guest.namespace.ip(&format!("addr add {GUEST_V4}/24 dev eth0"));
    lab.switch.ip(&format!("link add {LOOP} type veth peer name {LOOP} netns {}", lab.host.name()));
    for (namespace, ports) in [(&lab.host, &["agg0", "g0", LOOP][..]), (&lab.switch, &[LOOP])] {
        for port in ports {
            namespace.ip(&format!("link set {port} master br0"));
            let cost = if *port == LOOP { 1000 } else { 10 };
            namespace.ip(&format!("link set {port} type bridge_slave cost {cost}"));
        }
        namespace.ip(&format!("link set {LOOP} up"));
    }
    for end in ["sw0", "sw1"] {
        lab.switch.ip(&format!("link set {end} type bridge_slave cost 10"));
    }
    wait_for("a guest behind the tree", CONVERGENCE, || {
        guest.namespace.exec(&format!("ping -q -c 1 -W 1 {CLIENT_V4}")).succeeded()
    });
    let ping = Ping::start(&lab.client, &guest.namespace, GUEST_V4, None, RHYTHM);
    (guest, ping)
}

/// Waits until the host's bridge has reached the switch by `open` alone for a while, and checks that nothing is
/// doubled.
#[track_caller]
fn expect_tree(lab: &Lab, ping: &Ping, open: &str) {
    let closed = if open == LOOP { "agg0" } else { LOOP };
    let stands = || {
        let other = state(&lab.host, closed);
        state(&lab.host, open) == "forwarding" && (other == "blocking" || other == "disabled")
    };
    // What was learnt through the former port grows old for a while before the tree is settled.
    let settled = || stands() && wait::quiet(SETTLED, || (!stands()).then_some(())).is_none();
    wait_for(&format!("a tree by way of {open}"), CONVERGENCE, settled);
    ping.wait_for_answer(CONVERGENCE);
    let ((), stats) = ping.during(|| ping.run(200));
    assert!(stats.received > 0 && stats.doubled == 0, "{stats:?}");
}

/// What spanning tree makes of a bridge's port.
fn state(namespace: &aggctl_tests::Namespace, port: &str) -> String {
    namespace.link(port)["linkinfo"]["info_slave_data"]["state"].as_str().unwrap_or_default().to_owned()
}

/// Whether a frame is one of spanning tree.
fn bpdu(frame: &[u8]) -> bool {
    frame.starts_with(&control(0))
}
