//! Questions and answers, octet by octet.

use etherparse::icmpv6::NeighborAdvertisementHeader;

use super::*;

const OURS: Mac = Mac([2, 0, 0, 0, 0, 1]);
const THEIRS: Mac = Mac([2, 0, 0, 0, 0, 9]);
const TARGET: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

fn asker() -> Asker {
    Asker { mac: OURS, source: Ipv4Addr::UNSPECIFIED }
}

fn arp_reply(to: Mac, sender: Ipv4Addr) -> Vec<u8> {
    let arp = ArpEthIpv4Packet {
        operation: ArpOperation::REPLY,
        sender_mac: THEIRS.0,
        sender_ipv4: sender.octets(),
        target_mac: to.0,
        target_ipv4: [0; 4],
    };
    let builder = PacketBuilder::ethernet2(THEIRS.0, to.0).arp(arp.into());
    let mut frame = Vec::new();
    builder.write(&mut frame).unwrap();
    frame
}

fn advertisement(target: Ipv6Addr, solicited: bool, hops: u8, options: &[u8]) -> Vec<u8> {
    let header = NeighborAdvertisementHeader { router: false, solicited, r#override: true };
    let payload = [&target.octets()[..], options].concat();
    let builder = PacketBuilder::ethernet2(THEIRS.0, OURS.0)
        .ipv6(target.octets(), [0xfe; 16], hops)
        .icmpv6(Icmpv6Type::NeighborAdvertisement(header));
    let mut frame = Vec::new();
    builder.write(&mut frame, &payload).unwrap();
    frame
}

#[test]
fn an_arp_request_is_for_nobody_and_from_the_ports_own_mac() {
    let frame = question(asker(), TARGET.into()).unwrap();
    let expected =
        [&[0xff; 6][..], &OURS.0, &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1], &OURS.0, &[0, 0, 0, 0], &[0; 6], &[192, 0, 2, 1]];
    assert_eq!(frame, expected.concat());
}

#[test]
fn a_solicitation_is_what_neighbours_accept() {
    let target: Ipv6Addr = "2001:db8::12:3456".parse().unwrap();
    let frame = question(asker(), target.into()).unwrap();
    assert_eq!(frame[..6], [0x33, 0x33, 0xff, 0x12, 0x34, 0x56]);
    let packet = SlicedPacket::from_ethernet(&frame).unwrap();
    let Some(NetSlice::Ipv6(ipv6)) = &packet.net else { panic!("{packet:?}") };
    assert_eq!(ipv6.header().source_addr(), "fe80::ff:fe00:1".parse::<Ipv6Addr>().unwrap());
    assert_eq!(ipv6.header().destination_addr(), "ff02::1:ff12:3456".parse::<Ipv6Addr>().unwrap());
    assert_eq!(ipv6.header().hop_limit(), 255);
    let Some(TransportSlice::Icmpv6(icmp)) = &packet.transport else { panic!("{packet:?}") };
    assert!(icmp.is_checksum_valid(ipv6.header().source(), ipv6.header().destination()));
    assert_eq!(icmp.icmp_type(), Icmpv6Type::NeighborSolicitation);
    assert_eq!(icmp.payload(), [&target.octets()[..], &[1, 1], &OURS.0].concat());
}

#[test]
fn an_answer_names_the_target_and_who_asked() {
    let received = parse(&arp_reply(OURS, TARGET), Some(0x2007)).unwrap();
    let answer = ProbeAnswer { target: TARGET.into(), mac: THEIRS, asker: OURS };
    let expected =
        ReceivedProbe { protocol: ProbeProtocol::Arp, from: THEIRS, vlan: Some(VlanId(7)), answer: Some(answer) };
    assert_eq!(received, expected);
    assert_eq!(parse(&arp_reply(OURS, TARGET), Some(0xe000)).unwrap().vlan, None, "a priority is no VLAN");

    let target: Ipv6Addr = "fe80::9".parse().unwrap();
    let option = [&[14, 1, 0, 0, 0, 0, 0, 0, 2, 1][..], &[2, 0, 0, 0, 0, 7]].concat();
    let received = parse(&advertisement(target, true, 255, &option), None).unwrap();
    let answer = ProbeAnswer { target: target.into(), mac: Mac([2, 0, 0, 0, 0, 7]), asker: OURS };
    assert_eq!((received.protocol, received.answer), (ProbeProtocol::Nd, Some(answer)));
}

#[test]
fn what_is_no_answer_is_none() {
    for asked in [IpAddr::from(TARGET), "fe80::9".parse().unwrap()] {
        let own = question(asker(), asked).unwrap();
        let received = parse(&own, None).unwrap();
        assert_eq!((received.from, received.answer), (OURS, None), "a question that comes back");
    }
    let mut flooded = arp_reply(Mac([2, 0, 0, 0, 0, 5]), TARGET);
    flooded[..6].copy_from_slice(&OURS.0);
    assert_eq!(parse(&flooded, None).unwrap().answer, None, "one that says that somebody else asked");
    let target: Ipv6Addr = "fe80::9".parse().unwrap();
    assert_eq!(parse(&advertisement(target, false, 255, &[]), None).unwrap().answer, None, "nobody asked for it");
    assert_eq!(parse(&advertisement(target, true, 64, &[]), None), None, "it passed a router");
    let broken = advertisement(target, true, 255, &[2, 0, 1, 1, 1, 1, 1, 1]);
    assert_eq!(parse(&broken, None).unwrap().answer, None, "an option without length");
    let mut changed = advertisement(target, true, 255, &[]);
    changed[60] ^= 1;
    assert_eq!(parse(&changed, None), None, "a wrong checksum");
    for length in 0..changed.len() {
        let _ = parse(&changed[..length], None);
    }
    assert_eq!(parse(&[0; 60], None), None);
}

#[test]
fn a_frame_is_tagged_and_its_tag_is_read() {
    let frame = question(asker(), TARGET.into()).unwrap();
    assert_eq!(vlan_of(&frame), None);
    let in_vlan = tagged(frame.clone(), Some(VlanId(7)));
    assert_eq!((in_vlan.len(), vlan_of(&in_vlan)), (frame.len() + 4, Some(VlanId(7))));
    assert_eq!(tagged(frame.clone(), None), frame);
}

#[test]
fn every_port_asks_from_a_mac_of_its_own() {
    let one = own_mac(Mac([0, 1, 2, 3, 4, 5]), PortId(0));
    assert!(one.is_assignable() && one.0[0] & 2 == 2);
    // Members of a bond all have the same MAC; one that was made up has the bit set already.
    let made_up = Mac([2, 1, 2, 3, 4, 5]);
    let all = [one, own_mac(made_up, PortId(1)), own_mac(made_up, PortId(2)), made_up];
    for (position, mac) in all.iter().enumerate() {
        assert!(!all[..position].contains(mac), "{mac}");
    }
}
