use etherparse::{ArpEthIpv4Packet, ArpOperation, PacketBuilder, VlanId};

use super::*;

const OURS: [u8; 6] = [2, 0, 0, 0, 0, 1];
const THEIRS: [u8; 6] = [2, 0, 0, 0, 0, 9];

fn tcp(vlan: Option<u16>) -> Vec<u8> {
    let link = PacketBuilder::ethernet2(OURS, THEIRS);
    let mut frame = Vec::new();
    match vlan {
        None => link.ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64).tcp(1000, 80, 1, 1).write(&mut frame, b"x").unwrap(),
        Some(vlan) => {
            let tagged = link.single_vlan(VlanId::try_new(vlan).unwrap());
            tagged.ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64).tcp(1000, 80, 1, 1).write(&mut frame, b"x").unwrap();
        }
    }
    frame
}

fn udp6() -> Vec<u8> {
    let mut frame = Vec::new();
    let [from, to] = [1, 2].map(|last| [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
    PacketBuilder::ethernet2(THEIRS, OURS).ipv6(from, to, 64).udp(53, 2000).write(&mut frame, b"x").unwrap();
    frame
}

fn arp() -> Vec<u8> {
    let arp = ArpEthIpv4Packet {
        operation: ArpOperation::REQUEST,
        sender_mac: OURS,
        sender_ipv4: [10, 0, 0, 1],
        target_mac: [0; 6],
        target_ipv4: [10, 0, 0, 7],
    };
    let mut frame = Vec::new();
    PacketBuilder::ethernet2(OURS, [0xff; 6]).arp(arp.into()).write(&mut frame).unwrap();
    frame
}

/// Whether each of the frames passes: TCP over IPv4, the same in VLAN 10, UDP over IPv6, and an ARP question.
fn kept(filter: &str) -> [bool; 4] {
    let filter: CaptureFilter = filter.parse().unwrap();
    [tcp(None), tcp(Some(10)), udp6(), arp()].map(|frame| filter.keeps(Direction::In, &frame))
}

#[test]
fn each_term_keeps_what_it_says() {
    let (yes, no) = (true, false);
    for (filter, expected) in [
        ("tcp", [yes, yes, no, no]),
        ("udp", [no, no, yes, no]),
        ("icmp", [no; 4]),
        ("icmp6", [no; 4]),
        ("ip", [yes, yes, no, no]),
        ("ip6", [no, no, yes, no]),
        ("arp", [no, no, no, yes]),
        ("slow", [no; 4]),
        ("lldp", [no; 4]),
        ("in", [yes; 4]),
        ("out", [no; 4]),
        ("tagged", [no, yes, no, no]),
        ("vlan 10", [no, yes, no, no]),
        ("vlan 11", [no; 4]),
        ("host 10.0.0.2", [yes, yes, no, no]),
        ("host 10.0.0.7", [no, no, no, yes]),
        ("host fd00::1", [no, no, yes, no]),
        ("mac 02:00:00:00:00:09", [yes, yes, yes, no]),
        ("port 80", [yes, yes, no, no]),
        ("port 1000", [yes, yes, no, no]),
        ("port 53", [no, no, yes, no]),
    ] {
        assert_eq!(kept(filter), expected, "{filter}");
    }
}

#[test]
fn not_binds_closer_than_and_and_that_closer_than_or() {
    assert_eq!(kept("not tcp"), [false, false, true, true]);
    assert_eq!(kept("not not tcp"), kept("tcp"));
    assert_eq!(kept("tcp and not vlan 10"), [true, false, false, false]);
    assert_eq!(kept("arp or tcp and vlan 10"), [false, true, false, true]);
    assert_eq!(kept("vlan 10 and tcp or arp"), [false, true, false, true]);
}

#[test]
fn a_frame_that_was_cut_is_what_can_be_seen_of_it() {
    let whole = tcp(Some(10));
    let keeps = |filter: &str, length| filter.parse::<CaptureFilter>().unwrap().keeps(Direction::Out, &whole[..length]);
    assert!(keeps("vlan 10", 20) && !keeps("port 80", 40) && keeps("tcp", 40));
    assert!(keeps("out", 3) && keeps("out and not tcp", 3) && !keeps("tcp", 3));
}

#[test]
fn what_is_no_filter_is_refused_with_what_it_may_say() {
    for (filter, complaint) in [
        ("", "ends with a term"),
        ("tcp and", "ends with a term"),
        ("tcp udp", "'udp' is neither"),
        ("quic", "'quic' is no term of a filter (in, out, ip"),
        ("port", "'port' needs a value"),
        ("port http", "port http: "),
        ("vlan 70000", "vlan 70000: "),
        ("host example.org", "host example.org: "),
    ] {
        let refused = filter.parse::<CaptureFilter>().unwrap_err();
        assert!(refused.contains(complaint), "{filter}: {refused}");
    }
}
