//! Hashes worked out by hand from the formulas, which hold for a machine of little-endian order.
#![cfg(target_endian = "little")]

extern crate std;

use std::{vec, vec::Vec};

use super::{
    EthernetFields, Fields, IpAddresses, NoAddresses, NoTransport, Policy, Transport, TransportPorts, fields, hash,
};

/// From 02:00:00:00:00:02 to 02:00:00:00:00:01.
fn frame(ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
    frame.extend(ethertype.to_be_bytes());
    frame.extend(payload);
    frame
}

/// From 10.0.0.1 to 10.0.0.2, with these flags and fragment offset.
fn ipv4(protocol: u8, flags: [u8; 2], payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 0, 0xab, 0xcd, flags[0], flags[1], 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    packet.extend(payload);
    packet
}

/// From 2001:db8::1 to 2001:db8::2.
fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x60, 0, 0, 0, 0, 0, next, 64];
    for last in [1, 2] {
        packet.extend([0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]);
    }
    packet.extend(payload);
    packet
}

/// Source port 4660 (0x1234), destination port 22136 (0x5678).
const PORTS: [u8; 4] = [0x12, 0x34, 0x56, 0x78];

fn all(frame: &[u8]) -> [u32; 3] {
    Policy::ALL.map(|policy| {
        let hash = hash(policy, frame).unwrap();
        assert_eq!(fields(policy, frame).unwrap().hash, hash, "{policy}");
        hash
    })
}

// link = 01 ^ 02 ^ 0800 = 0803 for IPv4, 01 ^ 02 ^ 86dd = 86de for IPv6.
//
// 10.0.0.1 is 0100000a as a number in memory, 10.0.0.2 is 0200000a; 0100000a ^ 0200000a = 03000000.
// 2001:db8::1 is b80d0120, 0, 0, 01000000; with …::2 all but the last word cancels out: 03000000 as well.

/// 0803 ^ 03000000 = 03000803; ^ its >> 16 (0300) = 03000b03; ^ its >> 8 (0003000b) = 03030b08.
const LAYER23_IPV4: u32 = 0x0303_0b08;
/// 86de ^ 03000000 = 030086de; ^ 0300 = 030085de; ^ 00030085 = 0303855b.
const LAYER23_IPV6: u32 = 0x0303_855b;
/// The ports are 78563412 in memory. ^ 03000000 = 7b563412; ^ 7b56 = 7b564f44; ^ 007b564f = 7b2d190b; >> 1 = 3d968c85.
const LAYER34_PORTS: u32 = 0x3d96_8c85;
/// 0 ^ 03000000; ^ 0300 = 03000300; ^ 00030003 = 03030303; >> 1 = 01818181.
const LAYER34_NO_PORTS: u32 = 0x0181_8181;

#[test]
fn protocols_with_ports() {
    for protocol in [6, 17, 33, 50, 132, 136] {
        let four = frame(0x0800, &ipv4(protocol, [0x40, 0], &PORTS));
        assert_eq!(all(&four), [0x0803, LAYER23_IPV4, LAYER34_PORTS], "{protocol}");
        let six = frame(0x86dd, &ipv6(protocol, &PORTS));
        assert_eq!(all(&six), [0x86de, LAYER23_IPV6, LAYER34_PORTS], "{protocol}");
    }
}

#[test]
fn the_index_of_an_authentication_header_is_its_second_word() {
    let header = [6, 4, 0, 0, 0x12, 0x34, 0x56, 0x78];
    assert_eq!(all(&frame(0x0800, &ipv4(51, [0, 0], &header))), [0x0803, LAYER23_IPV4, LAYER34_PORTS]);
    let frame = frame(0x86dd, &ipv6(51, &header));
    assert_eq!(all(&frame), [0x86de, LAYER23_IPV6, LAYER34_PORTS]);
    assert_eq!(fields(Policy::Layer34, &frame[..]).unwrap().transport, Ok(Transport::Spi(0x1234_5678)));
}

#[test]
fn options_move_the_ports() {
    let mut packet = ipv4(17, [0, 0], &[&[1; 8][..], &PORTS].concat());
    packet[0] = 0x47;
    assert_eq!(all(&frame(0x0800, &packet)), [0x0803, LAYER23_IPV4, LAYER34_PORTS]);
    // A header of 4 octets, so it says: the "ports" are the identification, the flags and the offset. Nobody sends
    // that, but the driver takes it so. abcd4000 is 0040cdab in memory. ^ 03000000 = 0340cdab; ^ 0340 = 0340ceeb; ^
    // 000340ce = 03438e25; >> 1 = 01a1c712.
    let mut packet = ipv4(17, [0x40, 0], &PORTS);
    packet[0] = 0x41;
    assert_eq!(all(&frame(0x0800, &packet)), [0x0803, LAYER23_IPV4, 0x01a1_c712]);
}

#[test]
fn no_fragment_has_ports() {
    for flags in [[0x20, 0], [0x20, 1], [0, 1], [0x1f, 0xff], [0, 0x80]] {
        let frame = frame(0x0800, &ipv4(17, flags, &PORTS));
        assert_eq!(all(&frame), [0x0803, LAYER23_IPV4, LAYER34_NO_PORTS], "{flags:x?}");
        assert_eq!(fields(Policy::Layer34, &frame[..]).unwrap().transport, Err(NoTransport::Fragment));
    }
    // Neither of these two bits makes a fragment.
    for flags in [[0x40, 0], [0x80, 0]] {
        assert_eq!(all(&frame(0x0800, &ipv4(17, flags, &PORTS)))[2], LAYER34_PORTS);
    }
    // In IPv6 the header of the fragment is the protocol.
    let frame = frame(0x86dd, &ipv6(44, &[&[17, 0, 0, 1, 0, 0, 0, 1][..], &PORTS].concat()));
    assert_eq!(all(&frame), [0x86de, LAYER23_IPV6, LAYER34_NO_PORTS]);
    assert_eq!(fields(Policy::Layer34, &frame[..]).unwrap().transport, Err(NoTransport::Protocol(44)));
}

#[test]
fn protocols_without_ports() {
    for protocol in [0, 2, 4, 41, 43, 47, 60, 89, 255] {
        assert_eq!(all(&frame(0x0800, &ipv4(protocol, [0, 0], &PORTS)))[2], LAYER34_NO_PORTS, "{protocol}");
        assert_eq!(all(&frame(0x86dd, &ipv6(protocol, &PORTS)))[2], LAYER34_NO_PORTS, "{protocol}");
    }
}

#[test]
fn what_is_not_ip_is_hashed_by_its_link() {
    // 01 ^ 02 ^ 0806 = 0805; 01 ^ 02 ^ 88cc = 88cf; 01 ^ 02 ^ 8100 = 8103; 01 ^ 02 ^ 88a8 = 88ab.
    let arp = frame(0x0806, &[0; 28]);
    assert_eq!(all(&arp), [0x0805; 3]);
    assert_eq!(all(&frame(0x88cc, &[])), [0x88cf; 3]);
    assert_eq!(fields(Policy::Layer34, &arp[..]).unwrap().addresses, Err(NoAddresses::NotIp));
    for (ethertype, expected) in [(0x8100, 0x8103), (0x88a8, 0x88ab)] {
        let tagged = frame(ethertype, &[&[0, 10, 8, 0][..], &ipv4(17, [0, 0], &PORTS)].concat());
        assert_eq!(all(&tagged), [expected; 3]);
        assert_eq!(fields(Policy::Layer34, &tagged[..]).unwrap().addresses, Err(NoAddresses::Tagged));
    }
}

#[test]
fn the_identifier_of_an_icmp_query() {
    // Type 8, code 0, identifier 0x1234 as a number: 12340008 in memory. ^ 03000000 = 11340008; ^ 1134 = 1134113c;
    // ^ 00113411 = 1125252d; >> 1 = 08929296.
    let request = [8, 0, 0xcc, 0xcc, 0x12, 0x34, 0, 1];
    assert_eq!(all(&frame(0x0800, &ipv4(1, [0, 0], &request))), [0x0803, LAYER23_IPV4, 0x0892_9296]);
    // Type 128: 12340080. ^ 03000000 = 11340080; ^ 1134 = 113411b4; ^ 00113411 = 112525a5; >> 1 = 089292d2.
    let request = [128, 0, 0xcc, 0xcc, 0x12, 0x34, 0, 1];
    assert_eq!(all(&frame(0x86dd, &ipv6(58, &request))), [0x86de, LAYER23_IPV6, 0x0892_92d2]);
    // Identifier 0 counts as 1: type 0 is 00010000. ^ 03000000 = 03010000; ^ 0301 = 03010301; ^ 00030103 = 03020202;
    // >> 1 = 01810101.
    let reply = [0, 0, 0xcc, 0xcc, 0, 0, 0, 1];
    let frame = frame(0x0800, &ipv4(1, [0, 0], &reply));
    assert_eq!(all(&frame)[2], 0x0181_0101);
    let transport = fields(Policy::Layer34, &frame[..]).unwrap().transport;
    assert_eq!(transport, Ok(Transport::Icmp { kind: 0, code: 0, identifier: 0 }));
}

#[test]
fn messages_without_an_identifier() {
    // Router solicitation, neighbour solicitation.
    for kind in [133, 135] {
        assert_eq!(all(&frame(0x86dd, &ipv6(58, &[kind, 0, 0, 0, 1, 2, 3, 4])))[2], LAYER34_NO_PORTS);
    }
    let frame = frame(0x0800, &ipv4(1, [0, 0], &[10, 0, 0, 0, 1, 2, 3, 4]));
    assert_eq!(all(&frame)[2], LAYER34_NO_PORTS);
    assert_eq!(fields(Policy::Layer34, &frame[..]).unwrap().transport, Err(NoTransport::Message(10)));
}

/// An error about a packet from 192.0.2.1 to 192.0.2.9, sent by 10.0.0.1.
fn error4(quoted: &[u8]) -> Vec<u8> {
    let mut packet = quoted.to_vec();
    packet[12..20].copy_from_slice(&[192, 0, 2, 1, 192, 0, 2, 9]);
    frame(0x0800, &ipv4(1, [0, 0], &[&[3, 3, 0, 0, 0, 0, 0, 0][..], &packet].concat()))
}

#[test]
fn an_error_is_hashed_like_the_packet_it_quotes() {
    // 010200c0 ^ 090200c0 = 08000000.
    // layer2+3: 0803 ^ 08000000 = 08000803; ^ 0800 = 08000003; ^ 00080000 = 08080003.
    // layer3+4: 78563412 ^ 08000000 = 70563412; ^ 7056 = 70564444; ^ 00705644 = 70261200; >> 1 = 38130900.
    let error = error4(&ipv4(17, [0, 0], &PORTS));
    assert_eq!(all(&error), [0x0803, 0x0808_0003, 0x3813_0900]);
    let Fields { link, addresses, transport, quoted, .. } = fields(Policy::Layer34, &error[..]).unwrap();
    assert_eq!(link, None);
    let addresses: IpAddresses = addresses.unwrap();
    assert_eq!(addresses.source(), core::net::IpAddr::from([192, 0, 2, 1]));
    assert_eq!(addresses.destination(), core::net::IpAddr::from([192, 0, 2, 9]));
    assert_eq!(transport, Ok(Transport::Ports(TransportPorts(PORTS))));
    assert!(quoted);
    // A quoted echo request or fragment has no ports: 08000000; ^ 0800 = 08000800; ^ 00080008 = 08080808; >> 1 =
    // 04040404.
    assert_eq!(all(&error4(&ipv4(1, [0, 0], &[8, 0, 0, 0, 0x12, 0x34, 0, 1])))[2], 0x0404_0404);
    assert_eq!(all(&error4(&ipv4(17, [0x20, 0], &PORTS)))[2], 0x0404_0404);
    // IPv6, type 3: both packets have the same addresses here.
    let error = frame(0x86dd, &ipv6(58, &[&[3, 0, 0, 0, 0, 0, 0, 0][..], &ipv6(6, &PORTS)].concat()));
    assert_eq!(all(&error), [0x86de, LAYER23_IPV6, LAYER34_PORTS]);
    assert!(fields(Policy::Layer34, &error[..]).unwrap().quoted);
}

#[test]
fn what_is_cut_off() {
    // Before the end of the Ethernet header there is no hash.
    let whole = frame(0x0800, &ipv4(17, [0, 0], &PORTS));
    for length in 0..14 {
        assert!(Policy::ALL.iter().all(|policy| hash(*policy, &whole[..length]).is_none()));
    }
    // Before the end of the IP header there is only the link, and before the end of the ports there are none.
    for length in 14..whole.len() {
        let expected = if length < 34 { [0x0803; 3] } else { [0x0803, LAYER23_IPV4, LAYER34_NO_PORTS] };
        assert_eq!(all(&whole[..length]), expected, "{length}");
    }
    let whole = frame(0x86dd, &ipv6(17, &PORTS));
    for length in 14..whole.len() {
        let expected = if length < 54 { [0x86de; 3] } else { [0x86de, LAYER23_IPV6, LAYER34_NO_PORTS] };
        assert_eq!(all(&whole[..length]), expected, "{length}");
    }
    // An error: up to the end of its own header it is one without an identifier; then it must quote a whole header.
    let whole = error4(&ipv4(17, [0, 0], &PORTS));
    for length in 34..whole.len() {
        let expected = match length {
            34..42 => [0x0803, LAYER23_IPV4, LAYER34_NO_PORTS],
            42..62 => [0x0803; 3],
            _ => [0x0803, 0x0808_0003, 0x0404_0404],
        };
        assert_eq!(all(&whole[..length]), expected, "{length}");
    }
}

#[test]
fn what_went_into_it_is_told() {
    let udp = frame(0x0800, &ipv4(17, [0, 0], &PORTS));
    let link = EthernetFields { destination: 1, source: 2, ethertype: 0x0800 };
    let [layer2, layer23, layer34] = Policy::ALL.map(|policy| fields(policy, &udp[..]).unwrap());
    assert_eq!((layer2.link, layer23.link, layer34.link), (Some(link), Some(link), None));
    assert_eq!((layer2.addresses, layer2.transport), (Err(NoAddresses::Policy), Err(NoTransport::Policy)));
    assert_eq!((layer23.addresses, layer23.transport), (layer34.addresses, Err(NoTransport::Policy)));
    let ports = TransportPorts(PORTS);
    assert_eq!(layer34.transport, Ok(Transport::Ports(ports)));
    assert_eq!((ports.source(), ports.destination()), (0x1234, 0x5678));
    let arp = fields(Policy::Layer34, &frame(0x0806, &[0; 28])[..]).unwrap();
    assert_eq!(arp.link, Some(EthernetFields { ethertype: 0x0806, ..link }));
    assert_eq!(arp.transport, Err(NoTransport::NoAddresses));
}
