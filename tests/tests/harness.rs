//! The harness itself, without the product: what it says about traffic and hosts is true.
#![allow(clippy::unwrap_used, reason = "tests end at the first surprise")]

use std::{thread, time::Duration};

use aggctl_testbed::traffic;
use aggctl_tests::{
    Capture, Case, Flapping, HostState, Lab, Namespace, Ping, TcpSession, capture, cases, feature, frames, guest,
    guest::Guest,
    lab::{CLIENT_V4, HOST_V4, REMOTE_V4, REMOTE_V6},
    matrix::SOON,
    skip,
    sys::PacketSocket,
    wait, wait_for,
};
use rustix::thread::{CpuSet, sched_getcpu, sched_setaffinity};

cases!(traffic_flows_until_the_cable_is_cut: VETH_TCX, TAP_TCX);
fn traffic_flows_until_the_cable_is_cut(case: Case) {
    let lab = Lab::two_ports(case);
    let _flapping = Flapping::start(&lab.host);
    let ping = lab.ping(Duration::from_millis(2));
    let ping6 = lab.ping6(Duration::from_millis(2));
    let remote = Ping::start(&lab.host, &lab.client, REMOTE_V4, Some(HOST_V4), Duration::from_millis(10));
    let remote6 = Ping::start(&lab.host, &lab.client, REMOTE_V6, None, Duration::from_millis(10));
    let session = TcpSession::start(&lab.host, &lab.client, HOST_V4, 4096, Duration::from_millis(1));
    let ((), stats) = ping.during(|| ping.run(500));
    assert!(stats.sent >= 500 && stats.lost == 0 && stats.doubled == 0, "{stats:?}");
    session.expect_alive();

    let ((), stats) = ping.during(|| {
        lab.cut("eth0");
        ping.expect_silence();
    });
    assert!(stats.lost >= 20 && stats.sent == stats.received + stats.lost + stats.unsent, "{stats:?}");
    ping6.expect_silence();
    wait_for("no carrier", SOON, || !lab.host.has_carrier("eth0"));

    lab.restore("eth0");
    for ping in [&ping, &ping6, &remote, &remote6] {
        ping.wait_for_answer(SOON);
    }
    session.expect_alive();
    assert!(ping.total().longest_gap >= Duration::from_millis(200));
}

/// Two pairs of namespaces that have nothing to do with each other; one end of the second is asked by somebody whom it
/// cannot reach.
#[test]
fn what_the_kernel_has_no_room_to_answer_is_not_lost() {
    if !rustix::process::geteuid().is_root() {
        return skip("needs root");
    }
    let pairs = [0, 1].map(|_| ["a", "b"].map(Namespace::new));
    for [asking, answering] in &pairs {
        asking.ip(&format!("link add eth0 type veth peer name eth0 netns {}", answering.name()));
        for (namespace, address) in [(asking, CLIENT_V4), (answering, HOST_V4)] {
            namespace.ip(&format!("addr add {address}/24 dev eth0"));
            namespace.ip("link set eth0 up");
        }
        wait_for("an answer", SOON, || asking.exec(&format!("ping -c 1 -W 1 {HOST_V4}")).succeeded());
    }
    let [[client, host], [silent, bothered]] = &pairs;
    let mac = bothered.link("eth0")["address"].as_str().unwrap().to_owned();
    silent.ip(&format!("neigh replace {HOST_V4} lladdr {mac} dev eth0 nud permanent"));
    silent.set_sysctl("net/ipv4/conf/all/arp_ignore", "8");
    bothered.ip("neigh flush all");

    // The kernel answers on the processor that sends the request. Threads inherit theirs.
    let start = || {
        let mut processors = CpuSet::new();
        processors.set(sched_getcpu());
        sched_setaffinity(None, &processors).unwrap();
        let interval = Duration::from_millis(1);
        let ping = Ping::start(client, host, HOST_V4, None, interval);
        (ping, traffic::ping::PingStream::start(silent, bothered, HOST_V4.parse().unwrap(), None, interval).unwrap())
    };
    let (ping, _unanswered) = thread::scope(|scope| scope.spawn(start).join()).unwrap();
    let next = || ping.during(|| ping.run(100)).1;
    let Some(as_if_lost) = wait::find(SOON, || Some(next()).filter(|stats| stats.lost > 0)) else {
        return skip(&feature::SHARED_ANSWERS.lacking());
    };
    assert_eq!(as_if_lost.unsent, 0, "the host's queues are long: {as_if_lost:?}");

    host.keep_queues_short("eth0");
    wait_for("answers that the kernel had no room for", SOON, || {
        let stats = next();
        assert_eq!((stats.lost, stats.received + stats.unsent), (0, stats.sent), "{stats:?}");
        stats.unsent > 0
    });
    // What does not arrive at all is lost, now as ever.
    host.ip("link set eth0 down");
    let stats = next();
    assert!(stats.lost >= 99 && stats.unsent == 0, "{stats:?}");
}

cases!(a_changed_host_is_noticed: VETH_TCX);
fn a_changed_host_is_noticed(case: Case) {
    let lab = Lab::two_ports(case);
    let before = HostState::of(&lab.host);
    let ping = lab.ping(Duration::from_millis(5));
    ping.run(20);
    before.expect_unchanged(&lab.host, "some pings");
    for (change, back) in [
        ("addr add 10.0.0.9/24 dev eth1", "addr del 10.0.0.9/24 dev eth1"),
        ("-6 route add fd77::/64 dev eth0 table 77", "-6 route del fd77::/64 dev eth0 table 77"),
        ("link set eth1 promisc on", "link set eth1 promisc off"),
        ("neigh add 10.0.0.8 lladdr 02:00:00:00:00:08 dev eth0", "neigh del 10.0.0.8 dev eth0"),
        ("nexthop add id 7 dev eth0", "nexthop del id 7"),
        ("rule add from 10.0.0.0/8 lookup 77", "rule del from 10.0.0.0/8 lookup 77"),
        ("link set eth1 mtu 1400", "link set eth1 mtu 1500"),
    ] {
        lab.host.ip(change);
        assert_ne!(before.difference(&HostState::of(&lab.host)), "", "{change}");
        lab.host.ip(back);
        before.expect_again(&lab.host, back);
    }
    let forwarding = lab.host.sysctl("net/ipv4/conf/eth0/forwarding");
    lab.host.set_sysctl("net/ipv4/conf/eth0/forwarding", "1");
    assert!(before.difference(&HostState::of(&lab.host)).contains("forwarding = 1"));
    lab.host.set_sysctl("net/ipv4/conf/eth0/forwarding", &forwarding);
    lab.host.tc("qdisc add dev eth0 clsact").ok();
    assert!(before.difference(&HostState::of(&lab.host)).contains("clsact"));
}

cases!(a_capture_shows_frames_and_their_tags: VETH_TCX, TAP_TCX);
fn a_capture_shows_frames_and_their_tags(case: Case) {
    let lab = Lab::two_ports(case);
    let capture = Capture::start(&lab.switch, "sw0", |captured| captured.bytes[6..12] == frames::STRANGER);
    let socket = lab.host.enter(|| PacketSocket::open("eth0", 0)).unwrap();
    let sent =
        [frames::frame([0xff; 6], frames::LOCAL, "plain"), frames::tagged([0xff; 6], 10, "tagged"), gratuitous_arp()];
    for frame in &sent {
        socket.send(frame).unwrap();
    }
    wait_for("three frames", SOON, || capture.frames().len() >= 3);
    let received: Vec<Vec<u8>> = capture.frames().into_iter().map(|captured| captured.bytes).collect();
    assert_eq!(received, sent);
    assert_eq!(received.iter().filter_map(|frame| capture::announced(frame)).count(), 1);
}

/// 10.0.0.77 says where it is.
fn gratuitous_arp() -> Vec<u8> {
    let mut frame = frames::frame([0xff; 6], 0x0806, "");
    let head = [0, 1, 8, 0, 6, 4, 0, 1];
    frame[14..22].copy_from_slice(&head);
    frame[22..28].copy_from_slice(&frames::STRANGER);
    frame[28..32].copy_from_slice(&[10, 0, 0, 77]);
    frame[38..42].copy_from_slice(&[10, 0, 0, 77]);
    frame
}

cases!(the_dhcp_server_hands_out_an_address: VETH_TCX);
fn the_dhcp_server_hands_out_an_address(case: Case) {
    let lab = Lab::bare(case);
    if !["udhcpc", "udhcpd"].iter().all(|applet| guest::busybox_has(applet)) {
        return skip("needs busybox with udhcpc and udhcpd");
    }
    let server = guest::DhcpServer::start(&lab.client, HOST_V4);
    server.ask(&lab.host, "eth0").ok();
    assert!(lab.host.ip("-4 addr show dev eth0").contains(HOST_V4));
}

cases!(a_guest_behind_a_bridge_sends_tags: VETH_TCX, TAP_TCX);
fn a_guest_behind_a_bridge_sends_tags(case: Case) {
    let lab = Lab::two_ports(case);
    let capture = Capture::start(&lab.switch, "sw0", |captured| captured.bytes[6..12] == frames::STRANGER);
    let guest = Guest::new(&lab.host, "g0");
    lab.host.ip("link add br0 type bridge mcast_snooping 0");
    for interface in ["eth0", "g0"] {
        lab.host.ip(&format!("link set {interface} master br0"));
    }
    lab.host.ip("link set br0 up");
    let socket = guest.namespace.enter(|| PacketSocket::open("eth0", 0)).unwrap();
    let frame = frames::tagged([0xff; 6], 10, "tagged");
    wait_for("the tagged frame", SOON, || {
        socket.send(&frame).unwrap();
        capture.count(|captured| captured.bytes == frame) > 0
    });
}

cases!(large_packets_are_seen: VETH_TCX);
fn large_packets_are_seen(case: Case) {
    let lab = Lab::two_ports(case);
    let large = Capture::start(&lab.host, "eth0", |captured| captured.outgoing && captured.bytes.len() > 10_000);
    let session = TcpSession::start(&lab.host, &lab.client, HOST_V4, 1 << 18, Duration::from_millis(20));
    wait_for("ten megabytes", SOON, || session.checked() > 10 << 20);
    assert!(large.count(|_| true) > 0);
}
