//! Ports that are network cards which filter: by address, by group and by VLAN. They are emulated, so this needs a
//! machine of `cargo xtask vm --nic e1000e:2`.
#![allow(clippy::unwrap_used, reason = "tests end at the first surprise")]

use std::time::Duration;

use aggctl_tests::{
    Capture, Case, HostState, Lab, Namespace, Ping, PortKind, cases,
    frames::{self, LOCAL, STRANGER, frame, mac, tagged},
    guest::Guest,
    lab::{HOST_V4, HOST_V6, switch_end},
    matrix::SOON,
    needs,
    sys::{Captured, PacketSocket},
    vlan::{self, customer},
    wait_for,
};

/// The rhythm of the pings.
const RHYTHM: Duration = Duration::from_millis(10);
/// Groups that nobody on the host joined, of IPv4 and of IPv6.
const GROUPS: [[u8; 6]; 2] = [[0x01, 0x00, 0x5e, 0x01, 0x02, 0x03], [0x33, 0x33, 0x00, 0x01, 0x02, 0x03]];
/// An address that nobody has.
const NOBODY: [u8; 6] = [0x02, 0, 0, 0, 0x77, 0x77];
/// How many frames are sent to see whether they arrive.
const COUNT: usize = 5;

cases!(the_cards_filter_as_the_other_tests_need_it: E1000E_TCX, VIRTIO_TCX);
fn the_cards_filter_as_the_other_tests_need_it(case: Case) {
    let lab = Lab::two_ports(case);
    let address = mac(lab.host.link("eth0")["address"].as_str().unwrap());
    let mut unwanted = vec![frame(GROUPS[0], LOCAL, "x"), frame(GROUPS[1], LOCAL, "x"), frame(NOBODY, LOCAL, "x")];
    if case.link == PortKind::Virtio {
        unwanted.push(tagged(address, 10, "x"));
    }
    for wrong in &unwanted {
        assert_eq!(arriving(&lab, "eth0", "eth0", wrong), 0, "the card lets {wrong:02x?} in");
    }
    assert_eq!(arriving(&lab, "eth0", "eth0", &frame(address, LOCAL, "x")), COUNT);
}

cases!(groups_arrive_on_every_port: E1000E_TCX, E1000E_CLSACT);
fn groups_arrive_on_every_port(case: Case) {
    let lab = Lab::two_ports(case);
    // Else promiscuous mode, which the cards' VLAN filter asks for, lets groups in as well.
    lab.attach("--promisc off");
    on_each_port(&lab, &lab.ping(RHYTHM), |port| {
        for group in GROUPS {
            assert_eq!(arriving(&lab, port, "agg0", &frame(group, LOCAL, "x")), COUNT, "{group:02x?} on {port}");
        }
        assert_eq!(arriving(&lab, port, "agg0", &frame(NOBODY, LOCAL, "x")), 0, "{port} has a filter");
        neighbours_are_found(&lab.client, HOST_V6);
    });
}

cases!(guests_arrive_on_every_port: E1000E_TCX, VIRTIO_TCX);
fn guests_arrive_on_every_port(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach("");
    let guest = Guest::new(&lab.host, "g0");
    lab.host.ip("link add br0 type bridge mcast_snooping 0");
    lab.host.ip("link set br0 up");
    for port in ["agg0", "g0"] {
        lab.host.ip(&format!("link set {port} master br0"));
    }
    guest.namespace.ip("addr add 10.0.0.9/24 dev eth0");
    guest.namespace.ip("addr add fd00::9/64 dev eth0");
    let ping = Ping::start(&lab.client, &guest.namespace, "10.0.0.9", None, RHYTHM);
    on_each_port(&lab, &ping, |port| {
        ping.wait_for_answer(SOON);
        neighbours_are_found(&lab.client, "fd00::9");
        neighbours_are_found(&guest.namespace, "fd00::1");
        assert_eq!(arriving(&lab, port, "agg0", &frame(NOBODY, LOCAL, "x")), COUNT, "{port} is promiscuous");
    });
}

cases!(tags_arrive_on_every_port: E1000E_TCX, VIRTIO_TCX);
fn tags_arrive_on_every_port(case: Case) {
    needs!(VLAN);
    let lab = Lab::two_ports(case);
    lab.attach("");
    let address = mac(lab.host.link("agg0")["address"].as_str().unwrap());
    for (namespace, lower, end) in [(&lab.host, "agg0", 2), (&lab.client, "eth0", 1)] {
        let device = vlan::stack(namespace, lower, &[customer(10)]);
        namespace.ip(&format!("addr add 10.10.0.{end}/24 dev {device}"));
        namespace.ip(&format!("addr add fd00:10::{end}/64 dev {device}"));
    }
    let ping = Ping::start(&lab.client, &lab.host, "10.10.0.2", None, RHYTHM);
    on_each_port(&lab, &ping, |port| {
        ping.wait_for_answer(SOON);
        neighbours_are_found(&lab.client, "fd00:10::2");
        for vlan in [10, 11, 4094] {
            assert_eq!(arriving(&lab, port, "agg0", &tagged(address, vlan, "x")), COUNT, "VLAN {vlan} on {port}");
        }
    });
}

cases!(a_host_with_cards_is_as_before: E1000E_TCX);
fn a_host_with_cards_is_as_before(case: Case) {
    let lab = Lab::two_ports(case);
    let before = HostState::of(&lab.host);
    let ping = lab.ping(RHYTHM);
    lab.attach("");
    ping.wait_for_answer(SOON);
    lab.cut("eth0");
    ping.wait_for_answer(SOON);
    let show = lab.host.wait_for_show("agg0", "eth1 took over", |show| show.active() == Some("eth1"));
    assert_eq!((show.state("eth0"), show.counter("eth0", "link_failures")), ("down", 1));
    lab.cut("eth1");
    lab.host.wait_for_show("agg0", "no carrier", |show| !show.carrier());
    ping.expect_silence();
    for port in ["eth0", "eth1"] {
        lab.restore(port);
        ping.wait_for_answer(SOON);
    }
    let show = lab.host.wait_for_show("agg0", "eth1 waits", |show| show.state("eth1") == "standby");
    assert_eq!((show.active(), show.counter("eth0", "speed_mbps")), (Some("eth0"), 1000));
    lab.host.aggctl("detach agg0").ok();
    ping.wait_for_answer(SOON);
    before.expect_again(&lab.host, "detach");
}

cases!(a_card_that_was_pulled_out_becomes_a_port_again: E1000E_TCX, E1000E_CLSACT);
fn a_card_that_was_pulled_out_becomes_a_port_again(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach("--promisc off");
    let ping = lab.ping(RHYTHM);
    for port in ["eth1", "eth0"] {
        let other = if port == "eth0" { "eth1" } else { "eth0" };
        lab.card(port).unplug();
        ping.wait_for_answer(SOON);
        let show = lab.host.wait_for_show("agg0", "the other port", |show| show.active() == Some(other));
        assert_eq!((show.state(port), &show.port(port)["usable"]), ("down", &false.into()));
        assert!(show.carrier());

        // The kernel gives it a name; whoever names interfaces gives it another one then.
        lab.card(port).plug("new0");
        rename(&lab.host, "new0", port);
        lab.host.wait_for_show("agg0", "the port is back", |show| {
            let ports = show.0["ports"].as_array().unwrap();
            ports.len() == 2 && ports.iter().any(|found| found["name"] == port && found["state"] == "standby")
        });
        assert_eq!(lab.host.link(port)["address"], lab.host.link("agg0")["address"]);
        make_active(&lab, &ping, port);
        for group in GROUPS {
            assert_eq!(arriving(&lab, port, "agg0", &frame(group, LOCAL, "x")), COUNT, "{group:02x?} on {port}");
        }
        lab.cut(port);
        ping.wait_for_answer(SOON);
        lab.host.wait_for_show("agg0", "failover", |show| show.active() == Some(other));
        lab.restore(port);
        lab.host.wait_for_show("agg0", "the port waits", |show| show.state(port) == "standby");
    }
    lab.host.aggctl("detach agg0").ok();
    ping.wait_for_answer(SOON);
    assert!(lab.host.ip("addr show dev eth0").contains(HOST_V4));
    assert!(lab.host.state_paths().is_empty());
}

cases!(a_card_is_found_again_under_another_name: E1000E_TCX);
fn a_card_is_found_again_under_another_name(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach("--primary eth1");
    let ping = lab.ping(RHYTHM);
    lab.card("eth1").unplug();
    ping.wait_for_answer(SOON);
    lab.host.wait_for_show("agg0", "eth0 took over", |show| show.active() == Some("eth0"));
    lab.card("eth1").plug("lan1");
    lab.host.wait_for_show("agg0", "the primary under its new name", |show| show.active() == Some("lan1"));
    ping.wait_for_answer(SOON);
    rename(&lab.host, "lan1", "lan2");
    lab.host.wait_for_show("agg0", "the newest name", |show| show.active() == Some("lan2"));
    ping.wait_for_answer(SOON);
    lab.host.aggctl("detach agg0").ok();
    ping.wait_for_answer(SOON);
}

/// Does `check` on the first port, after a failover on the second, and after a failback on the first again. `ping` is
/// from the client.
#[track_caller]
fn on_each_port(lab: &Lab, ping: &Ping, check: impl Fn(&str)) {
    check("eth0");
    lab.cut("eth0");
    lab.host.wait_for_show("agg0", "eth1 took over", |show| show.active() == Some("eth1"));
    ping.wait_for_answer(SOON);
    check("eth1");
    lab.restore("eth0");
    make_active(lab, ping, "eth0");
    check("eth0");
    // And by hand, when no link went.
    make_active(lab, ping, "eth1");
    check("eth1");
}

/// Waits until a port is usable, makes it active, and waits until nothing is accepted elsewhere any more.
#[track_caller]
fn make_active(lab: &Lab, ping: &Ping, port: &str) {
    lab.host.wait_for_show("agg0", "the port is usable", |show| show.port(port)["usable"] == true);
    lab.host.aggctl(&format!("set agg0 active-port={port}")).ok();
    lab.host.wait_for_show("agg0", "the port is active", |show| show.active() == Some(port));
    ping.wait_for_answer(SOON);
}

/// How many of [`COUNT`] equal frames that the switch sends to a port arrive on an interface of the host.
#[track_caller]
fn arriving(lab: &Lab, port: &str, interface: &str, frame: &[u8]) -> usize {
    let by_hand = |captured: &Captured| captured.bytes.get(6..12) == Some(&STRANGER[..]) && !captured.outgoing;
    let capture = Capture::start(&lab.host, interface, by_hand);
    let sender = lab.switch.enter(|| PacketSocket::open(&switch_end(port), 0)).unwrap();
    for _ in 0..COUNT {
        sender.send(frame).unwrap();
    }
    // Every card lets this one in, and frames do not overtake each other.
    let last = frames::frame([0xff; 6], LOCAL, "last");
    sender.send(&last).unwrap();
    wait_for("a broadcast", SOON, || capture.count(|captured| captured.bytes.starts_with(&last)) > 0);
    capture.count(|captured| captured.bytes.starts_with(frame))
}

/// Checks that somebody who knows nothing about `address` finds out who has it.
#[track_caller]
fn neighbours_are_found(namespace: &Namespace, address: &str) {
    namespace.exec("ip -6 neigh flush all").ok();
    wait_for("an answer of a neighbour", SOON, || namespace.exec(&format!("ping -q -c 1 -W 1 {address}")).succeeded());
}

/// Renames an interface that may be up, as udev does; others may take it up meanwhile.
#[track_caller]
fn rename(namespace: &Namespace, from: &str, to: &str) {
    wait_for("a rename", SOON, || {
        let rename = || namespace.try_ip(&format!("link set {from} name {to}")).succeeded();
        // Since Linux 6.3 an interface may be renamed while it is up.
        rename() || (namespace.try_ip(&format!("link set {from} down")).succeeded() && rename())
    });
    namespace.ip(&format!("link set {to} up"));
}
