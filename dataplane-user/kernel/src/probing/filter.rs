//! Which frames wake the watches: a program of the kernel's classic BPF, which runs for each frame that a port
//! receives.

use aggctl_common::Mac;
use aggctl_engine::{doctor::FramesOfInterest, probe::ETHERTYPES};

/// `BPF_LD | BPF_ABS` with a word, a half word and an octet.
const LOAD_WORD: u16 = 0x20;
/// See [`LOAD_WORD`].
const LOAD_HALF: u16 = 0x28;
/// See [`LOAD_WORD`].
const LOAD_OCTET: u16 = 0x30;
/// `BPF_JMP | BPF_JEQ | BPF_K`.
const JUMP_IF_EQUAL: u16 = 0x15;
/// `BPF_RET | BPF_K`: so many octets of the frame are received.
const RETURN: u16 = 0x06;

/// Octets of a frame that are received: more than a question or an answer has.
pub(super) const MOST_OCTETS: usize = 256;

/// Octets of the two addresses that a frame begins with.
pub(super) const ADDRESSES: usize = 12;

/// Where a frame without tag has its EtherType, an IPv6 header its next header, and what follows it its type.
const ETHERTYPE_AT: u32 = 12;
/// See [`ETHERTYPE_AT`].
const NEXT_HEADER_AT: u32 = 20;
/// See [`ETHERTYPE_AT`].
const ICMP_TYPE_AT: u32 = 54;

/// ICMPv6, and its types "neighbour solicitation" and "neighbour advertisement" (RFC 4861, 4.3 and 4.4).
const ICMPV6: u32 = libc::IPPROTO_ICMPV6 as u32;
/// See [`ICMPV6`].
const SOLICITATION: u32 = 135;
/// See [`ICMPV6`].
const ADVERTISEMENT: u32 = 136;

/// A program that passes ARP and neighbour discovery addressed to one of these; without any, to whomever. The kernel
/// has taken the outer tag out of the frame before.
pub(super) fn program(to: &[Mac]) -> Vec<libc::sock_filter> {
    let [arp, ipv6] = ETHERTYPES.map(u32::from);
    // From behind, so that the distance of each jump is known.
    let protocols = [
        step(LOAD_HALF, ETHERTYPE_AT),
        jump(arp, 6, 0),
        jump(ipv6, 0, 6),
        step(LOAD_OCTET, NEXT_HEADER_AT),
        jump(ICMPV6, 0, 4),
        step(LOAD_OCTET, ICMP_TYPE_AT),
        jump(ADVERTISEMENT, 1, 0),
        jump(SOLICITATION, 0, 1),
        step(RETURN, 256),
        step(RETURN, 0),
    ];
    let mut program = Vec::new();
    for (left, mac) in (0..u8::try_from(to.len()).unwrap_or_default()).rev().zip(to) {
        let [a, b, c, d, e, f] = mac.0;
        let all = [
            step(LOAD_WORD, 0),
            jump(u32::from_be_bytes([a, b, c, d]), 0, 2),
            step(LOAD_HALF, 4),
            // Over the checks of the other addresses and what drops a frame that is addressed to none.
            jump(u16::from_be_bytes([e, f]).into(), left * 4 + 1, 0),
        ];
        program.extend(all);
    }
    if !to.is_empty() {
        program.push(step(RETURN, 0));
    }
    program.extend(protocols);
    program
}

/// A program that passes the addresses of all frames to, or from, this one.
pub(super) fn addressed(frames: FramesOfInterest, mac: Mac) -> [libc::sock_filter; 6] {
    let at = match frames {
        FramesOfInterest::ToUs => 0,
        FramesOfInterest::FromUs => 6,
    };
    let [a, b, c, d, e, f] = mac.0;
    [
        step(LOAD_WORD, at),
        jump(u32::from_be_bytes([a, b, c, d]), 0, 3),
        step(LOAD_HALF, at + 4),
        jump(u16::from_be_bytes([e, f]).into(), 0, 1),
        step(RETURN, 12),
        step(RETURN, 0),
    ]
}

const fn step(code: u16, k: u32) -> libc::sock_filter {
    libc::sock_filter { code, jt: 0, jf: 0, k }
}

const fn jump(k: u32, jt: u8, jf: u8) -> libc::sock_filter {
    libc::sock_filter { code: JUMP_IF_EQUAL, jt, jf, k }
}
