//! What wakes the watches, by the kernel's own reading of the filter.
#![allow(unsafe_code, reason = "an interpreter in the kernel is asked through a socket pair")]

use aggctl_common::Mac;
use aggctl_engine::probe::{Asker, own_mac, question, tagged};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair};

use super::{filter::program, *};
use crate::packet::socket::PacketSocket;

const OURS: Mac = Mac([2, 0, 0, 0, 0, 1]);
const AGGREGATE: Mac = Mac([2, 0, 0, 0, 0, 0xa]);

/// Whether a frame passes a filter.
fn passes(to: &[Mac], frame: &[u8]) -> bool {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let (left, right) = socketpair(AddressFamily::UNIX, SocketType::DGRAM, flags, None).unwrap();
    let right = PacketSocket(right);
    right.filter(&program(to)).unwrap();
    let sent = send(&left, frame, SendFlags::empty());
    let mut buffer = [0; 512];
    sent.is_ok() && recv(&right, &mut buffer, RecvFlags::empty()).is_ok_and(|(length, _)| length == frame.len())
}

fn to(mac: Mac, mut frame: Vec<u8>) -> Vec<u8> {
    frame[..6].copy_from_slice(&mac.0);
    frame
}

#[test]
fn only_the_protocols_of_questions_wake_the_watches() {
    let asker = Asker { mac: OURS, source: std::net::Ipv4Addr::UNSPECIFIED };
    let arp = question(asker, "192.0.2.1".parse().unwrap()).unwrap();
    let solicitation = question(asker, "fe80::1".parse().unwrap()).unwrap();
    let mut advertisement = solicitation.clone();
    advertisement[54] = 136;
    let mut echo = solicitation.clone();
    echo[54] = 128;
    let mut udp = solicitation.clone();
    udp[20] = 17;
    let mut ipv4 = arp.clone();
    ipv4[12..14].copy_from_slice(&[8, 0]);
    let others = [echo, udp, ipv4, tagged(arp.clone(), Some(aggctl_common::vlan::VlanId(7))), vec![0; 14], vec![1]];
    let other_ports = own_mac(OURS, PortId(1));
    for frame in [arp, solicitation, advertisement] {
        assert!(passes(&[], &frame), "to whomever: {frame:02x?}");
        assert!(!passes(&[OURS, AGGREGATE], &frame), "to all: {frame:02x?}");
        for mac in [OURS, AGGREGATE] {
            assert!(passes(&[OURS, AGGREGATE], &to(mac, frame.clone())), "to {mac}: {frame:02x?}");
        }
        assert!(!passes(&[OURS], &to(AGGREGATE, frame.clone())));
        assert!(!passes(&[OURS, AGGREGATE], &to(other_ports, frame)));
    }
    for frame in others {
        assert!(!passes(&[], &frame), "{frame:02x?}");
    }
}
