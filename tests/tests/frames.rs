//! Which frames go where.
#![allow(clippy::unwrap_used, reason = "tests end at the first surprise")]

use std::time::Duration;

use aggctl_tests::{
    Capture, Case, Lab, TcpSession,
    capture::is_ping,
    cases,
    frames::{LOCAL, STRANGER, control, frame, mac, tagged},
    guest::Guest,
    lab::{HOST_V4, HOST_V6, switch_end},
    matrix::SOON,
    processes::kill,
    sys::{Captured, PacketSocket},
    wait, wait_for,
};

/// How many frames of each kind are sent.
const COUNT: usize = 5;
/// Long enough for a frame that should not come.
const QUIET: Duration = Duration::from_millis(200);
/// The rhythm of the pings.
const RHYTHM: Duration = Duration::from_millis(5);
/// The protocol number of LLDP.
const LLDP: u16 = 0x88cc;
/// The protocol number of LACP.
const SLOW: u16 = 0x8809;
/// The protocol number of pause frames.
const PAUSE: u16 = 0x8808;

cases!(
    control_frames_stay_with_their_port:
    VETH_TCX, VETH_CLSACT, TAP_TCX, TAP_CLSACT, DIRECT_VETH_TCX, DIRECT_VETH_CLSACT
);
fn control_frames_stay_with_their_port(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach("");
    for port in ["eth0", "eth1"] {
        for (last, protocol, also_on_aggregate) in
            [(0x0e, LLDP, true), (0x00, LOCAL, true), (0x03, LOCAL, true), (0x02, SLOW, false), (0x01, PAUSE, false)]
        {
            let what = format!("01:80:c2:00:00:{last:02x} on {port}");
            // A socket that is bound to the protocol, as lldpd's is: it gets only what a program leaves alone.
            let on_port = Capture::of(&lab.host, port, protocol, |captured| by_hand(captured) && !captured.outgoing);
            let on_aggregate =
                Capture::of(&lab.host, "agg0", protocol, |captured| by_hand(captured) && !captured.outgoing);
            let sender = lab.switch.enter(|| PacketSocket::open(&switch_end(port), 0)).unwrap();
            for _ in 0..COUNT {
                sender.send(&frame(control(last), protocol, "control")).unwrap();
            }
            // From the standby port the aggregate would receive it a second time.
            let on_both = [COUNT, if also_on_aggregate && port == "eth0" { COUNT } else { 0 }];
            expect_counts(&what, [&on_port, &on_aggregate], on_both);
        }
    }
    lab.host.aggctl("set agg0 active-port=eth1").ok();
    let on_aggregate = Capture::of(&lab.host, "agg0", LLDP, |captured| by_hand(captured) && !captured.outgoing);
    for (port, count) in [("eth1", COUNT), ("eth0", 0)] {
        let on_port = Capture::of(&lab.host, port, LLDP, |captured| by_hand(captured) && !captured.outgoing);
        let sender = lab.switch.enter(|| PacketSocket::open(&switch_end(port), 0)).unwrap();
        on_aggregate.clear();
        for _ in 0..COUNT {
            sender.send(&frame(control(0x0e), LLDP, "control")).unwrap();
        }
        expect_counts(&format!("{port} after a change"), [&on_port, &on_aggregate], [COUNT, count]);
    }
}

cases!(
    sockets_bound_to_a_port_receive_what_they_would_over_bonding:
    VETH_TCX, VETH_CLSACT, TAP_TCX, TAP_CLSACT, DIRECT_VETH_TCX, DIRECT_VETH_CLSACT
);
fn sockets_bound_to_a_port_receive_what_they_would_over_bonding(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach("");
    let address = mac(lab.host.link("agg0")["address"].as_str().unwrap());
    // PTP, CFM, FIP, FCoE, AoE: to groups that are no link-local ones, to this host, to everybody; more than are told
    // apart.
    let protocols = [
        ([0x01, 0x1b, 0x19, 0, 0, 0], 0x88f7),
        ([0x01, 0x80, 0xc2, 0, 0, 0x30], 0x8902),
        ([0x01, 0x10, 0x18, 0x01, 0, 0x02], 0x8914),
        (address, 0x8906),
        ([0xff; 6], 0x88a2),
    ];
    let capture_at = |place: &str, protocol| {
        Capture::of(&lab.host, place, protocol, |captured| by_hand(captured) && !captured.outgoing)
    };
    let senders = ["sw0", "sw1"].map(|end| lab.switch.enter(|| PacketSocket::open(end, 0)).unwrap());
    let round = |what: &str, to: [u8; 6], protocol| {
        let captures = ["eth0", "eth1", "agg0"].map(|place| capture_at(place, protocol));
        let [active, standby, aggregate] = &captures;
        wait_for("sockets that are noticed", SOON, || {
            senders.iter().for_each(|sender| sender.send(&frame(to, protocol, "notice")).unwrap());
            active.count(|_| true) > 0 && standby.count(|_| true) > 0
        });
        wait::quiet(QUIET, || None::<()>);
        for (sender, received_by, on_aggregate) in [(0, active, COUNT), (1, standby, 0)] {
            captures.iter().for_each(Capture::clear);
            for _ in 0..COUNT {
                senders[sender].send(&frame(to, protocol, "bound")).unwrap();
            }
            expect_counts(&format!("{what}: {protocol:x}"), [received_by, aggregate], [COUNT, on_aggregate]);
        }
    };
    for (to, protocol) in protocols {
        round("one at a time", to, protocol);
    }
    let _all = protocols.map(|(_, protocol)| ["eth0", "eth1"].map(|port| capture_at(port, protocol)));
    for (to, protocol) in protocols {
        round("all together", to, protocol);
    }
    // Nobody else is there: what programs know stays.
    let controller = lab.host.wait_for_controller("agg0");
    kill(controller.guardian);
    kill(controller.pid);
    controller.expect_gone();
    for (to, protocol) in protocols {
        round("no controller", to, protocol);
    }
}

cases!(a_host_answers_once_whoever_is_bound_to_its_ports: VETH_TCX, VETH_CLSACT, DIRECT_VETH_TCX, DIRECT_VETH_CLSACT);
fn a_host_answers_once_whoever_is_bound_to_its_ports(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach("");
    let (address, client) = (lab.host.link("agg0"), lab.client.link("eth0"));
    let [address, client] = [address, client].map(|link| mac(link["address"].as_str().unwrap()));
    let bound = [0x0800, 0x0806, 0x86dd].map(|protocol| {
        ["eth0", "eth1"].map(|port| Capture::of(&lab.host, port, protocol, |captured| !captured.outgoing))
    });
    let request = who_has_host(client);
    let senders = ["sw0", "sw1"].map(|end| lab.switch.enter(|| PacketSocket::open(end, 0)).unwrap());
    let [ip, arp, ip6] = &bound;
    wait_for("sockets that are noticed", SOON, || {
        senders.iter().for_each(|sender| sender.send(&request).unwrap());
        arp.iter().all(|capture| capture.count(|_| true) > 0)
    });
    wait::quiet(QUIET, || None::<()>);

    let answers = ["sw0", "sw1"].map(|end| {
        Capture::start(&lab.switch, end, move |captured| {
            let answer = captured.bytes[12..14] == [0x08, 0x06] && captured.bytes[20..22] == [0, 2];
            !captured.outgoing && answer && captured.bytes[6..12] == address
        })
    });
    arp.iter().for_each(Capture::clear);
    for _ in 0..COUNT {
        senders.iter().for_each(|sender| sender.send(&request).unwrap());
    }
    expect_counts("requests", [&arp[0], &arp[1]], [COUNT, COUNT]);
    expect_counts("answers to what the active port received", [&answers[0], &answers[1]], [COUNT, 0]);

    // What stays with a port because of its address is no more for the port to answer.
    let request = [&control(0x0e)[..], &request[6..]].concat();
    answers.iter().for_each(Capture::clear);
    for _ in 0..COUNT {
        senders.iter().for_each(|sender| sender.send(&request).unwrap());
    }
    expect_counts("answers to a link-local group", [&answers[0], &answers[1]], [COUNT, 0]);

    for (captures, ping) in [(ip, lab.ping(RHYTHM)), (ip6, lab.ping6(RHYTHM))] {
        let before = captures[0].count(is_ping);
        let ((), stats) = ping.during(|| ping.run(200));
        assert_eq!((stats.lost, stats.doubled), (0, 0), "{stats:?}");
        let received = captures[0].count(is_ping) - before;
        assert!(received as u64 >= stats.sent, "received {received}: {stats:?}");
    }
}

/// An ARP request of the client's for the host's IPv4 address.
fn who_has_host(client: [u8; 6]) -> Vec<u8> {
    let mut request = frame([0xff; 6], 0x0806, "");
    request[6..12].copy_from_slice(&client);
    request[14..22].copy_from_slice(&[0, 1, 8, 0, 6, 4, 0, 1]);
    request[22..28].copy_from_slice(&client);
    request[28..32].copy_from_slice(&[10, 0, 0, 1]);
    request[38..42].copy_from_slice(&[10, 0, 0, 2]);
    request
}

cases!(
    a_standby_port_drops_and_counts:
    VETH_TCX, VETH_CLSACT, TAP_TCX, TAP_CLSACT, DIRECT_VETH_TCX, DIRECT_VETH_CLSACT
);
fn a_standby_port_drops_and_counts(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach("");
    let address = lab.host.link("agg0")["address"].as_str().unwrap().to_owned();
    let on_aggregate = Capture::start(&lab.host, "agg0", |captured| by_hand(captured) && !captured.outgoing);
    let [active, standby] = ["sw0", "sw1"].map(|end| lab.switch.enter(|| PacketSocket::open(end, 0)).unwrap());
    for destination in [mac(&address), [0xff; 6], [0x01, 0, 0x5e, 0, 0, 9]] {
        let before = lab.host.show("agg0");
        for _ in 0..COUNT {
            standby.send(&frame(destination, LOCAL, "standby")).unwrap();
            active.send(&frame(destination, LOCAL, "active")).unwrap();
        }
        wait::find(SOON, || (on_aggregate.count(|_| true) >= COUNT).then_some(()));
        wait::quiet(QUIET, || (on_aggregate.count(|_| true) > COUNT).then_some(()));
        for captured in on_aggregate.frames() {
            assert!(captured.bytes[14..].starts_with(b"active"), "{captured:?}");
        }
        assert_eq!(on_aggregate.count(|_| true), COUNT, "{destination:02x?}");
        on_aggregate.clear();
        lab.host.wait_for_show("agg0", "the standby port dropped", |after| {
            after.counter("eth1", "rx_dropped") >= before.counter("eth1", "rx_dropped") + COUNT as u64
        });
    }
}

cases!(
    tagged_frames_pass_both_ways:
    VETH_TCX, VETH_CLSACT, TAP_TCX, TAP_CLSACT, DIRECT_VETH_TCX, DIRECT_VETH_CLSACT, DIRECT_TAP_TCX
);
fn tagged_frames_pass_both_ways(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach("");
    let inward = Capture::start(&lab.host, "agg0", |captured| by_hand(captured) && !captured.outgoing);
    let outward = Capture::start(&lab.switch, "sw0", |captured| by_hand(captured) && !captured.outgoing);
    // From the wire: the kernel takes the tag out of the frame before the programs see it.
    let address = mac(lab.host.link("agg0")["address"].as_str().unwrap());
    let wire = lab.switch.enter(|| PacketSocket::open("sw0", 0)).unwrap();
    // From a socket: the tag is in the frame.
    let socket = lab.host.enter(|| PacketSocket::open("agg0", 0)).unwrap();
    // From a guest behind a bridge: the tag is beside the frame.
    let guest = Guest::new(&lab.host, "g0");
    lab.host.ip("link add br0 type bridge mcast_snooping 0");
    lab.host.ip("link set br0 up");
    let from_guest = guest.namespace.enter(|| PacketSocket::open("eth0", 0)).unwrap();

    for vlan in [1, 10, 4094] {
        let (inner, outer) = (tagged(address, vlan, "inward"), tagged([0xff; 6], vlan, "outward"));
        wire.send(&inner).unwrap();
        socket.send(&outer).unwrap();
        wait_for("a tagged frame inward", SOON, || inward.count(|captured| captured.bytes == inner) == 1);
        wait_for("a tagged frame outward", SOON, || outward.count(|captured| captured.bytes == outer) == 1);
    }
    for port in ["agg0", "g0"] {
        lab.host.ip(&format!("link set {port} master br0"));
    }
    for vlan in [1, 10, 4094] {
        let outer = tagged([0xff; 6], vlan, "guest");
        wait_for("a guest's tagged frame outward", SOON, || {
            from_guest.send(&outer).unwrap();
            outward.count(|captured| captured.bytes == outer) >= 1
        });
    }
    let all_tagged = outward.frames().iter().all(|captured| captured.bytes[12..14] == [0x81, 0x00]);
    assert!(all_tagged, "a tag was lost: {:?}", outward.frames());
}

cases!(large_transfers_pass_both_ways: VETH_TCX, VETH_CLSACT, TAP_TCX, DIRECT_VETH_TCX);
fn large_transfers_pass_both_ways(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach("");
    let place = if case.wiring.shows_sent() { "agg0" } else { "eth0" };
    let large = Capture::start(&lab.host, place, |captured| captured.outgoing && captured.bytes.len() > 10_000);
    for address in [HOST_V4, HOST_V6] {
        let session = TcpSession::start(&lab.host, &lab.client, address, 1 << 18, Duration::from_millis(20));
        wait_for("ten megabytes", Duration::from_secs(50), || session.checked() > 10 << 20);
        session.expect_alive();
    }
    assert!(large.count(|_| true) > 0, "the aggregate takes packets larger than its MTU (GSO)");
}

cases!(
    counters_and_captures_of_the_aggregate_tell_the_truth:
    VETH_TCX, VETH_CLSACT, TAP_TCX, DIRECT_VETH_TCX, DIRECT_VETH_CLSACT
);
fn counters_and_captures_of_the_aggregate_tell_the_truth(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach("");
    let ping = lab.ping(Duration::from_millis(5));
    let count = |link: &str| ["rx", "tx"].map(|way| lab.host.link(link)["stats64"][way]["packets"].as_u64().unwrap());
    // All that the aggregate receives and sends, the active port does, before and after the test's own pings, too.
    let most = count("eth0");
    let before = count("agg0");
    let capture = Capture::start(&lab.host, "agg0", is_ping);
    let ((), stats) = ping.during(|| ping.run(200));
    let received = [false, true].map(|outgoing| capture.count(|captured| captured.outgoing == outgoing) as u64);
    let after = count("agg0");
    let most = [0, 1].map(|way: usize| count("eth0")[way] - most[way]);
    for way in [0, 1] {
        let sent = way == 1;
        // What leaves before the device does not show on it, by design: not a single frame.
        let shown = if sent && !case.wiring.shows_sent() { 0..=0 } else { stats.received..=most[way] };
        let grown = after[way] - before[way];
        assert!(shown.contains(&grown), "sent {sent}: grew by {grown}, not {shown:?}: {stats:?}");
        assert!(shown.contains(&received[way]), "sent {sent}: received {}, not {shown:?}: {stats:?}", received[way]);
    }
}

/// Whether a frame was made by hand.
fn by_hand(captured: &Captured) -> bool {
    captured.bytes.get(6..12) == Some(&STRANGER[..])
}

/// Checks how many frames captures hold, none too many.
#[track_caller]
fn expect_counts(what: &str, captures: [&Capture; 2], counts: [usize; 2]) {
    let seen = || captures.map(|capture| capture.count(|_| true));
    wait::find(SOON, || (seen() == counts).then_some(()));
    wait::quiet(QUIET, || (seen() != counts).then_some(()));
    assert_eq!(seen(), counts, "{what}: on the port, on the aggregate");
}
