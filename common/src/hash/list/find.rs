//! Finds the fields of a list in a frame.

use super::{
    Beside, Field, Found, Tag, Wanted,
    found::Version,
    masks::{at, group},
};
use crate::{
    frame::Frame,
    hash::numbers::{ethertype, port, protocol},
};

/// Where the ethertype ends: a word, with two octets of the source address before it.
const LAST: usize = 10;
/// Length of the Ethernet header.
const LINK_LENGTH: usize = 14;
/// Length of the header of UDP.
const UDP_LENGTH: usize = 8;

/// A set of fields.
const fn any_of(fields: &[Field]) -> u32 {
    let (mut bits, mut index) = (0, 0);
    while index < fields.len() {
        bits |= fields[index].bit();
        index += 1;
    }
    bits
}

/// Fields of the MACs.
const MACS: u32 = any_of(&[Field::SrcMac, Field::DstMac]);
/// Fields of VLAN tags.
const TAGS: u32 = any_of(&[Field::Vlan, Field::InnerVlan]);
/// Fields that the UDP header leads to.
const OVER_UDP: u32 = any_of(&[Field::Vni, Field::GtpTeid]);
/// Fields of the GRE header.
const GRE: u32 = any_of(&[Field::Vni, Field::GreKey]);
/// Ports.
const PORTS: u32 = any_of(&[Field::SrcPort, Field::DstPort]);
/// Fields behind the IP header.
const TRANSPORT: u32 = PORTS | OVER_UDP | GRE | any_of(&[Field::Spi, Field::IcmpId]);
/// Fields of the IP header.
const NETWORK: u32 = any_of(&[Field::SrcIp, Field::DstIp, Field::Proto, Field::FlowLabel, Field::Dscp]);
/// Fields behind the Ethernet header and its tags.
const PACKET: u32 = NETWORK | TRANSPORT | Field::Mpls.bit();

/// Finds what is wanted, or nothing if the frame is shorter than an Ethernet header.
#[inline(always)]
pub(super) fn find<W, F, B>(wanted: &W, frame: &F, beside: &B) -> Option<Found>
where
    W: Wanted,
    F: Frame + ?Sized,
    B: Beside,
{
    let flags = wanted.word(at::FLAGS);
    let [last] = frame.words(LAST)?;
    let mut found = Found::NOTHING;
    if flags & MACS != 0 {
        found.macs = macs(frame)?;
        found.present |= MACS;
    }
    if flags & (TAGS | PACKET | Field::EtherType.bit()) != 0 {
        let [_, _, high, low] = last.to_ne_bytes();
        tagged(&mut found, flags, frame, beside, u16::from_be_bytes([high, low]));
    }
    if flags & group::BESIDE != 0 {
        found.beside = aside(flags, beside);
        found.present |= any_of(&[Field::Mark, Field::Queue, Field::SkbHash]);
    }
    Some(found)
}

/// Destination and source.
#[inline(always)]
fn macs<F: Frame + ?Sized>(frame: &F) -> Option<[u64; 2]> {
    let [high, low] = frame.first_two()?;
    let [second, third, fourth] = frame.words(2)?.map(u32::from_be).map(u64::from);
    let first = u64::from(u16::from_be_bytes([high, low]));
    Some([first << 32 | second, third << 16 | fourth >> 16])
}

/// What the kernel has beside the frame.
#[inline(always)]
fn aside<B: Beside>(flags: u32, beside: &B) -> [u32; 3] {
    [
        if flags & Field::Mark.bit() != 0 { beside.mark() } else { 0 },
        if flags & Field::Queue.bit() != 0 { beside.queue() } else { 0 },
        if flags & Field::SkbHash.bit() != 0 { beside.hash() } else { 0 },
    ]
}

/// Finds the tags, and what is behind them.
#[inline(always)]
fn tagged<F, B>(found: &mut Found, flags: u32, frame: &F, beside: &B, ethertype: u16)
where
    F: Frame + ?Sized,
    B: Beside,
{
    let (first, ethertype, offset) = tag(frame, ethertype, LINK_LENGTH);
    let (second, ethertype, offset) =
        if first.is_there() { tag(frame, ethertype, offset) } else { (Tag::NONE, ethertype, offset) };
    if flags & TAGS != 0 {
        let beside = beside.tag();
        let (outer, inner) = if beside.is_there() { (beside, first) } else { (first, second) };
        found.small |= outer.vid() << 16;
        found.types |= inner.vid() << 16;
        for (tag, field) in [(outer, Field::Vlan), (inner, Field::InnerVlan)] {
            found.present |= if tag.is_there() { field.bit() } else { 0 };
        }
    }
    found.types |= u32::from(ethertype);
    found.present |= Field::EtherType.bit();
    if flags & PACKET != 0 {
        packet(found, flags, frame, ethertype, offset);
    }
}

/// A tag, if that is what the ethertype says, and where to go on. One within which the frame ends is none.
#[inline(always)]
fn tag<F: Frame + ?Sized>(frame: &F, ethertype: u16, offset: usize) -> (Tag, u16, usize) {
    if !matches!(ethertype, ethertype::VLAN | ethertype::SERVICE_VLAN) {
        return (Tag::NONE, ethertype, offset);
    }
    let Some([word]) = frame.words(offset) else { return (Tag::NONE, ethertype, offset) };
    let [tci_high, tci_low, high, low] = word.to_ne_bytes();
    (Tag::new(u16::from_be_bytes([tci_high, tci_low])), u16::from_be_bytes([high, low]), offset + 4)
}

/// Finds the fields of a packet at an offset.
#[inline(always)]
fn packet<F: Frame + ?Sized>(found: &mut Found, flags: u32, frame: &F, ethertype: u16, offset: usize) {
    match ethertype {
        ethertype::IPV4 => packet4(found, flags, frame, offset),
        ethertype::IPV6 => packet6(found, flags, frame, offset),
        ethertype::MPLS | ethertype::MPLS_MULTICAST if flags & Field::Mpls.bit() != 0 => {
            if let Some([entry]) = frame.words(offset) {
                // RFC 3032, 2.1: the label is the first 20 bits.
                identify(found, Field::Mpls, u32::from_be(entry) >> 12);
            }
        }
        _ => {}
    }
}

/// IPv4 (RFC 791, 3.1). A length that is too small is taken as it is.
#[inline(always)]
fn packet4<F: Frame + ?Sized>(found: &mut Found, flags: u32, frame: &F, offset: usize) {
    /// "More fragments" and the fragment's offset in the second word: one of them is there in every fragment.
    const FRAGMENT: u32 = u32::from_ne_bytes([0, 0, 0x3f, 0xff]);

    let Some([first, second, third, source, destination]) = frame.words(offset) else { return };
    let [length, service, ..] = first.to_ne_bytes();
    let [_, protocol, ..] = third.to_ne_bytes();
    found.version = Version::Four;
    [found.addresses[0], found.addresses[4]] = [source, destination];
    found.small |= u32::from(protocol) | u32::from(service >> 2) << 8;
    found.present |= NETWORK & !Field::FlowLabel.bit();
    if second & FRAGMENT == 0 {
        transport(found, flags, frame, protocol, offset + usize::from(length & 0x0f) * 4);
    }
}

/// IPv6 (RFC 8200, 3).
#[inline(always)]
fn packet6<F: Frame + ?Sized>(found: &mut Found, flags: u32, frame: &F, offset: usize) {
    let Some([first, second, addresses @ ..]) = frame.words::<10>(offset) else { return };
    let [_, _, next, _] = second.to_ne_bytes();
    let service = u32::from_be(first) >> 22 & 0x3f;
    found.version = Version::Six;
    found.addresses = addresses;
    found.small |= u32::from(next) | service << 8;
    found.label = first & 0x000f_ffff_u32.to_be();
    found.present |= NETWORK;
    transport(found, flags, frame, next, offset + 40);
}

/// Finds what a header behind that of IP says.
#[inline(always)]
fn transport<F: Frame + ?Sized>(found: &mut Found, flags: u32, frame: &F, protocol: u8, offset: usize) {
    match protocol {
        protocol::TCP | protocol::UDP | protocol::DCCP | protocol::SCTP | protocol::UDP_LITE
            if flags & (PORTS | OVER_UDP) != 0 =>
        {
            let Some([ports]) = frame.words(offset) else { return };
            found.ports = ports;
            found.present |= PORTS;
            if flags & OVER_UDP != 0 && protocol == protocol::UDP {
                let [_, _, high, low] = ports.to_ne_bytes();
                over_udp(found, flags, frame, u16::from_be_bytes([high, low]), offset + UDP_LENGTH);
            }
        }
        protocol::ESP | protocol::AH if flags & Field::Spi.bit() != 0 => {
            let offset = if protocol == protocol::AH { offset + 4 } else { offset };
            if let Some([index]) = frame.words(offset) {
                identify(found, Field::Spi, u32::from_be(index));
            }
        }
        protocol::ICMP | protocol::ICMPV6 if flags & Field::IcmpId.bit() != 0 => {
            let Some([first, second]) = frame.words(offset) else { return };
            let [kind, ..] = first.to_ne_bytes();
            if has_identifier(protocol, kind) {
                identify(found, Field::IcmpId, u32::from_be(second) >> 16);
            }
        }
        protocol::GRE if flags & GRE != 0 => gre(found, flags, frame, offset),
        _ => {}
    }
}

/// Finds the network of VXLAN (RFC 7348, 5) and GENEVE (RFC 8926, 3.4), and the endpoint of GTP-U (3GPP TS 29.281,
/// 5.1).
#[inline(always)]
fn over_udp<F: Frame + ?Sized>(found: &mut Found, flags: u32, frame: &F, destination: u16, offset: usize) {
    let field = match destination {
        port::VXLAN | port::VXLAN_LINUX | port::GENEVE => Field::Vni,
        port::GTP_U => Field::GtpTeid,
        _ => return,
    };
    if flags & field.bit() == 0 {
        return;
    }
    if let Some([_, second]) = frame.words(offset) {
        let second = u32::from_be(second);
        identify(found, field, if destination == port::GTP_U { second } else { second >> 8 });
    }
}

/// Finds the key of GRE (RFC 2890, 2), and the network in that of NVGRE (RFC 7637, 3.2).
#[inline(always)]
fn gre<F: Frame + ?Sized>(found: &mut Found, flags: u32, frame: &F, offset: usize) {
    /// There is a checksum before the key.
    const CHECKSUM: u8 = 0x80;
    /// There is a key.
    const KEY: u8 = 0x20;
    /// The bits of the version.
    const VERSION: u8 = 0x07;

    let Some([first]) = frame.words(offset) else { return };
    let [bits, version, high, low] = first.to_ne_bytes();
    if bits & KEY == 0 || version & VERSION != 0 {
        return;
    }
    let offset = offset + if bits & CHECKSUM == 0 { 4 } else { 8 };
    let Some([key]) = frame.words(offset) else { return };
    let key = u32::from_be(key);
    if flags & Field::GreKey.bit() != 0 {
        identify(found, Field::GreKey, key);
    } else if u16::from_be_bytes([high, low]) == ethertype::BRIDGED {
        identify(found, Field::Vni, key >> 8);
    }
}

/// Keeps what the flow is identified by. A packet has only one such field.
#[inline(always)]
fn identify(found: &mut Found, field: Field, identifier: u32) {
    found.identifier = identifier;
    found.present |= field.bit();
}

/// Whether a message has an identifier: echo, timestamp and their answers in ICMP, echo and its answer in ICMPv6.
#[inline(always)]
const fn has_identifier(protocol: u8, kind: u8) -> bool {
    if protocol == protocol::ICMP { matches!(kind, 0 | 8 | 13 | 14) } else { matches!(kind, 128 | 129) }
}
