use aggctl_common::IfIndex;
use etherparse::{
    IpNumber, NetSlice, SlicedPacket, TransportSlice,
    icmpv6::{Icmpv6PayloadSlice, NdpOptionSlice},
};
use proptest::prelude::*;

use super::*;
use crate::{
    samples,
    tag::{Tag, tagged},
};
use aggctl_common::vlan::VlanId;

const MAC: Mac = Mac([2, 0, 0, 0xaa, 0xbb, 1]);

fn address(local: &str) -> Address {
    samples::address(IfIndex(7), local, 24)
}

#[test]
fn an_ipv4_address_becomes_a_gratuitous_arp_request() {
    let frames = frames(MAC, &[address("192.0.2.7")]);
    assert_eq!(frames.len(), 1);
    let packet = SlicedPacket::from_ethernet(&frames[0]).unwrap();
    let link = packet.link.unwrap().to_header().unwrap().ethernet2().unwrap();
    assert_eq!((link.source, link.destination), (MAC.0, [0xff; 6]));
    let Some(NetSlice::Arp(arp)) = packet.net else { panic!("no ARP") };
    assert_eq!(arp.operation(), ArpOperation::REQUEST);
    assert_eq!((arp.sender_hw_addr(), arp.sender_protocol_addr()), (&MAC.0[..], &[192, 0, 2, 7][..]));
    assert_eq!((arp.target_hw_addr(), arp.target_protocol_addr()), (&[0; 6][..], &[192, 0, 2, 7][..]));
}

fn advertisement(frame: &[u8]) -> (NeighborAdvertisementHeader, Ipv6Addr, [u8; 6]) {
    let packet = SlicedPacket::from_ethernet(frame).unwrap();
    let link = packet.link.unwrap().to_header().unwrap().ethernet2().unwrap();
    assert_eq!((link.source, link.destination), (MAC.0, ALL_NODES_MAC));
    let Some(NetSlice::Ipv6(ip)) = packet.net else { panic!("no IPv6") };
    let ip = ip.header();
    assert_eq!((ip.hop_limit(), ip.next_header(), ip.destination_addr()), (255, IpNumber::IPV6_ICMP, ALL_NODES));
    let Some(TransportSlice::Icmpv6(icmp)) = packet.transport else { panic!("no ICMPv6") };
    assert!(icmp.is_checksum_valid(ip.source(), ip.destination()));
    let Icmpv6Type::NeighborAdvertisement(header) = icmp.icmp_type() else { panic!("not an advertisement") };
    let Icmpv6PayloadSlice::NeighborAdvertisement(payload) = icmp.payload_slice().unwrap() else { panic!("not one") };
    assert_eq!(ip.source_addr(), payload.target_address());
    let options: Vec<_> = payload.options_iterator().map(Result::unwrap).collect();
    let [NdpOptionSlice::TargetLinkLayerAddress(option)] = &options[..] else { panic!("options: {options:?}") };
    (header, payload.target_address(), option.link_layer_address().try_into().unwrap())
}

#[test]
fn an_ipv6_address_becomes_an_unsolicited_advertisement_that_overrides() {
    let frames = frames(MAC, &[address("2001:db8::7"), address("fe80::7")]);
    let seen: Vec<_> = frames.iter().map(|frame| advertisement(frame)).collect();
    let header = NeighborAdvertisementHeader { router: false, solicited: false, r#override: true };
    let expected = |ip: &str| (header, ip.parse().unwrap(), MAC.0);
    assert_eq!(seen, [expected("2001:db8::7"), expected("fe80::7")]);
}

#[test]
fn a_router_says_that_it_is_one() {
    let frames = frames_as(Ipv6Role::Router, MAC, &[address("2001:db8::7")]);
    assert!(advertisement(&frames[0]).0.router);
}

#[test]
fn what_neighbours_must_not_learn_is_left_out() {
    let host_scope = Address { scope: SCOPE_HOST, ..address("192.0.2.1") };
    let tentative = Address { flags: TENTATIVE, ..address("2001:db8::1") };
    let duplicate = Address { flags: DAD_FAILED, ..address("2001:db8::2") };
    let others = ["127.0.0.1", "::1", "224.0.0.5", "ff02::5", "0.0.0.0", "::", "255.255.255.255"].map(address);
    let all: Vec<_> = [host_scope, tentative, duplicate].into_iter().chain(others).collect();
    assert_eq!(frames(MAC, &all), Vec::<Vec<u8>>::new());
}

#[test]
fn an_address_that_is_there_twice_is_announced_once() {
    let narrow = Address { prefix_len: 32, ..address("192.0.2.7") };
    assert_eq!(frames(MAC, &[address("192.0.2.7"), narrow, address("192.0.2.8")]).len(), 2);
}

#[test]
fn a_point_to_point_address_is_announced_by_its_own_end() {
    let address = Address { peer: Some("198.51.100.1".parse().unwrap()), ..address("192.0.2.7") };
    assert_eq!(frames(MAC, &[address]), frames(MAC, &[self::address("192.0.2.7")]));
}

/// What a frame says: VLANs from the outside in, EtherType, payload.
fn read(frame: &[u8]) -> (Vec<u16>, u16, Vec<u8>) {
    let packet = SlicedPacket::from_ethernet(frame).unwrap();
    let vlans = packet.vlan_ids().iter().map(|vlan| vlan.value()).collect();
    let payload = packet.ether_payload().unwrap();
    (vlans, payload.ether_type.0, payload.payload.to_vec())
}

#[test]
fn a_learning_frame_is_a_reverse_arp_request_from_the_mac_itself() {
    let frame = learning(MAC);
    assert_eq!(frame.len(), 60);
    let link = SlicedPacket::from_ethernet(&frame).unwrap().link.unwrap().to_header().unwrap().ethernet2().unwrap();
    assert_eq!((link.source, link.destination), (MAC.0, [0xff; 6]));
    let (vlans, protocol, payload) = read(&frame);
    assert_eq!((vlans, protocol), (vec![], 0x8035));
    let arp = etherparse::ArpPacketSlice::from_slice(&payload).unwrap();
    assert_eq!(arp.operation().0, 3);
    assert_eq!((arp.sender_hw_addr(), arp.target_hw_addr()), (&MAC.0[..], &MAC.0[..]));
    assert_eq!((arp.sender_protocol_addr(), arp.target_protocol_addr()), (&[0; 4][..], &[0; 4][..]));
}

#[test]
fn tags_stand_before_the_ethertype_and_change_nothing_else() {
    let tags = [Tag { protocol: 0x88a8, vlan: VlanId(7) }, Tag { protocol: 0x8100, vlan: VlanId(4094) }];
    for frame in [learning(MAC), frames(MAC, &[address("192.0.2.7")]).remove(0)] {
        let tagged = tagged(&frame, &tags);
        let ((_, protocol, payload), (vlans, tagged_protocol, tagged_payload)) = (read(&frame), read(&tagged));
        assert_eq!((vlans, tagged_protocol, tagged_payload), (vec![7, 4094], protocol, payload));
        assert_eq!(tagged[12..14], [0x88, 0xa8]);
        assert_eq!(tagged[..12], frame[..12]);
    }
    let advertisement = frames(MAC, &[address("2001:db8::7")]).remove(0);
    let with_tag = tagged(&advertisement, &tags[1..]);
    assert_eq!(read(&with_tag).0, [4094]);
    assert_eq!(tagged(&advertisement, &[]), advertisement);
}

proptest! {
    #[test]
    fn every_address_gives_a_frame_that_says_it(v4 in 1..0x7f00_0000_u32, v6 in 1_u128 << 120..0xfe << 120) {
        let addresses = [IpAddr::V4(v4.into()), IpAddr::V6(v6.into())].map(|ip| address(&ip.to_string()));
        let frames = frames(MAC, &addresses);
        prop_assert_eq!(frames.len(), 2);
        prop_assert_eq!(&frames[0][28..32], &v4.to_be_bytes());
        prop_assert_eq!(advertisement(&frames[1]).1, Ipv6Addr::from(v6));
    }
}
