//! VLAN devices on the aggregate. Where the kernel has no 8021q, these are skipped.
#![allow(clippy::unwrap_used, reason = "tests end at the first surprise")]

use std::{net::IpAddr, time::Duration};

use aggctl_tests::{
    Capture, Case, Lab, Namespace, Ping, TcpSession, capture, cases,
    guest::Guest,
    lab::{HOST_V4, switch_end},
    matrix::SOON,
    needs,
    sys::Captured,
    vlan::{self, TagNumbers, customer, service},
    wait_for,
};

/// The rhythm of the pings: there are many, and machines are slow.
const RHYTHM: Duration = Duration::from_millis(50);

/// Tags, and the number in the addresses: the host is `10.N.0.2` and `fd00:N::2`, the client ends with 1.
const VLANS: [(&[TagNumbers], u16); 4] =
    [(&[customer(10)], 10), (&[customer(20)], 20), (&[service(30), customer(40)], 40), (&[service(31)], 31)];

cases!(vlan_devices_survive_failover: VETH_TCX, VETH_CLSACT);
fn vlan_devices_survive_failover(case: Case) {
    needs!(VLAN);
    follow_the_tags(&Lab::two_ports(case), &[]);
}

cases!(tags_within_frames_survive_failover: VETH_TCX);
fn tags_within_frames_survive_failover(case: Case) {
    needs!(VLAN);
    // What the aggregate cannot put beside a frame, the kernel puts into it.
    follow_the_tags(&Lab::two_ports(case), &["agg0"]);
}

cases!(ports_without_vlan_acceleration_send_tags: VETH_TCX);
fn ports_without_vlan_acceleration_send_tags(case: Case) {
    needs!(VLAN);
    follow_the_tags(&Lab::two_ports(case), &["eth0", "eth1"]);
}

/// Pings in all VLANs and in none, on each port in turn; `plain` have no VLAN acceleration.
#[track_caller]
fn follow_the_tags(lab: &Lab, plain: &[&str]) {
    lab.attach("");
    for interface in plain {
        lab.host.exec(&format!("ethtool -K {interface} txvlan off tx-vlan-stag-hw-insert off")).ok();
    }
    let devices = VLANS.map(|(tags, number)| {
        addressed(&lab.client, "eth0", tags, number, 1);
        addressed(&lab.host, "agg0", tags, number, 2)
    });
    let mut pings: Vec<_> = VLANS.iter().flat_map(|(_, number)| ping(lab, *number)).collect();
    pings.push(lab.ping(RHYTHM));
    let session = TcpSession::start(&lab.host, &lab.client, "10.10.0.2", 4096, Duration::from_millis(20));
    let wires = ["eth0", "eth1"].map(|port| {
        let from_host = |captured: &_| capture::is_ping(captured) && !captured.outgoing;
        (port, Capture::start(&lab.switch, &switch_end(port), from_host))
    });
    let expect_traffic_on = |active: &str| {
        pings.iter().for_each(|ping| ping.wait_for_answer(SOON));
        session.expect_alive();
        lab.host.wait_for_show("agg0", "that it is active", |show| show.active() == Some(active));
        for (port, wire) in &wires {
            if *port == active {
                expect_tags(wire);
            } else {
                // A capture is a little behind.
                wait_for("silence on the other port", SOON, || {
                    wire.clear();
                    pings[0].run(5);
                    wire.count(|_| true) == 0
                });
            }
        }
        for (device, (_, number)) in devices.iter().zip(VLANS) {
            let addresses = lab.host.ip(&format!("addr show dev {device}"));
            let has = |address: String| addresses.contains(&address);
            assert!(has(format!("10.{number}.0.2/24")) && has(format!("fd00:{number}::2/64")), "{addresses}");
        }
    };

    expect_traffic_on("eth0");
    lab.cut("eth0");
    expect_traffic_on("eth1");
    lab.restore("eth0");
    lab.host.wait_for_show("agg0", "eth0 waits", |show| show.state("eth0") == "standby");
    lab.host.aggctl("set agg0 active-port=eth0").ok();
    expect_traffic_on("eth0");
}

cases!(vlan_devices_carry_frames_of_any_mtu: VETH_TCX);
fn vlan_devices_carry_frames_of_any_mtu(case: Case) {
    needs!(VLAN);
    let lab = Lab::two_ports(case);
    lab.attach("");
    let devices = VLANS.map(|(tags, number)| {
        [addressed(&lab.host, "agg0", tags, number, 2), addressed(&lab.client, "eth0", tags, number, 1)]
    });
    for mtu in [1500, 9000] {
        // Whatever another one is stacked on must be as large before.
        for interface in ["sw0", "sw1", "uplink", "br0"] {
            lab.switch.ip(&format!("link set {interface} mtu {mtu}"));
        }
        lab.client.ip(&format!("link set eth0 mtu {mtu}"));
        lab.host.ip(&format!("link set agg0 mtu {mtu}"));
        let follows = |port: &str| lab.host.link(port)["mtu"] == mtu;
        wait_for("ports of the aggregate's MTU", SOON, || follows("eth0") && follows("eth1"));
        for (namespace, lower) in [(&lab.host, "agg0"), (&lab.client, "eth0")] {
            namespace.ip(&format!("link set {lower}.30 mtu {mtu}"));
        }
        for [host, client] in &devices {
            lab.host.ip(&format!("link set {host} mtu {mtu}"));
            lab.client.ip(&format!("link set {client} mtu {mtu}"));
        }
        for active in ["eth0", "eth1"] {
            lab.host.aggctl(&format!("set agg0 active-port={active}")).ok();
            for (_, number) in VLANS {
                // The largest packet, which nobody may cut in pieces: 28 octets of it are headers.
                let size = mtu - 28;
                for (from, to) in [(&lab.host, 1), (&lab.client, 2)] {
                    from.exec(&format!("ping -q -M do -c 3 -i 0.2 -W 5 -s {size} 10.{number}.0.{to}")).ok();
                }
            }
            for address in ["10.10.0.2", "fd00:40::2"] {
                let session = TcpSession::start(&lab.host, &lab.client, address, 1 << 17, Duration::from_millis(20));
                wait_for("two megabytes", Duration::from_secs(50), || session.checked() > 2 << 20);
            }
        }
    }
}

cases!(a_guest_behind_a_vlan_device_survives_failover: VETH_TCX);
fn a_guest_behind_a_vlan_device_survives_failover(case: Case) {
    needs!(VLAN);
    let lab = Lab::two_ports(case);
    lab.attach("");
    let device = vlan::stack(&lab.host, "agg0", &[customer(10)]);
    addressed(&lab.client, "eth0", &[customer(10)], 10, 1);
    let guest = Guest::new(&lab.host, "g0");
    lab.host.ip("link add br10 type bridge mcast_snooping 0");
    lab.host.ip("link set br10 up");
    for port in [&device, "g0"] {
        lab.host.ip(&format!("link set {port} master br10"));
    }
    guest.namespace.ip("addr add 10.10.0.2/24 dev eth0");
    guest.namespace.ip("addr add fd00:10::2/64 dev eth0");
    let mut pings = Vec::from(ping(&lab, 10));
    pings.push(Ping::start(&guest.namespace, &lab.client, "10.10.0.1", None, RHYTHM));
    pings.push(lab.ping(RHYTHM));
    let wires = ["sw0", "sw1"]
        .map(|end| Capture::start(&lab.switch, end, |captured| capture::is_ping(captured) && !captured.outgoing));
    let at_guest = Capture::start(&guest.namespace, "eth0", capture::is_ping);

    let expect_tags_on = |wire: &Capture| {
        pings.iter().for_each(|ping| ping.wait_for_answer(SOON));
        wires.iter().for_each(Capture::clear);
        pings.iter().for_each(|ping| ping.wait_for_answer(SOON));
        wait_for("pings of host and guest on the wire", SOON, || {
            let is_host = |captured: &Captured| vlan::source(&captured.bytes) == Some(HOST_V4.parse().unwrap());
            wire.count(is_host) > 0 && wire.count(|captured| !is_host(captured)) > 0
        });
        for captured in wire.frames() {
            let is_host = vlan::source(&captured.bytes) == Some(HOST_V4.parse().unwrap());
            let expected: &[TagNumbers] = if is_host { &[] } else { &[customer(10)] };
            assert_eq!(vlan::tags(&captured.bytes), expected, "{:02x?}", captured.bytes);
        }
    };
    expect_tags_on(&wires[0]);
    lab.cut("eth0");
    expect_tags_on(&wires[1]);
    lab.restore("eth0");
    lab.host.wait_for_show("agg0", "eth0 waits", |show| show.state("eth0") == "standby");
    lab.host.aggctl("set agg0 active-port=eth0").ok();
    expect_tags_on(&wires[0]);
    assert!(at_guest.frames().iter().all(|captured| vlan::tags(&captured.bytes).is_empty()), "a tag at the guest");
}

/// Makes VLAN devices on `lower`, and gives the last one addresses that end with `end`. Returns its name.
#[track_caller]
fn addressed(namespace: &Namespace, lower: &str, tags: &[TagNumbers], number: u16, end: u8) -> String {
    let device = vlan::stack(namespace, lower, tags);
    namespace.ip(&format!("addr add 10.{number}.0.{end}/24 dev {device}"));
    namespace.ip(&format!("addr add fd00:{number}::{end}/64 dev {device}"));
    device
}

/// The client pings the host's addresses in a VLAN.
#[track_caller]
fn ping(lab: &Lab, number: u16) -> [Ping; 2] {
    [format!("10.{number}.0.2"), format!("fd00:{number}::2")]
        .map(|to| Ping::start(&lab.client, &lab.host, &to, None, RHYTHM))
}

/// Checks that all of the host's addresses send from now on, with the tags that belong to them.
#[track_caller]
fn expect_tags(wire: &Capture) {
    wire.clear();
    let untagged: (&[TagNumbers], Vec<IpAddr>) = (&[], vec![HOST_V4.parse().unwrap()]);
    let tagged = VLANS.map(|(tags, number)| {
        let addresses = [format!("10.{number}.0.2"), format!("fd00:{number}::2")];
        (tags, addresses.map(|address| address.parse::<IpAddr>().unwrap()).to_vec())
    });
    for (tags, sources) in tagged.into_iter().chain([untagged]) {
        for source in sources {
            let is_from = |captured: &Captured| vlan::source(&captured.bytes) == Some(source);
            wait_for(&format!("pings from {source} on the wire"), SOON, || wire.count(is_from) >= 3);
            for captured in wire.frames().into_iter().filter(is_from) {
                assert_eq!(vlan::tags(&captured.bytes), tags, "tags of {source}: {:02x?}", captured.bytes);
            }
        }
    }
}
