//! The short way to the fields of the frames that there are most of.

use super::{
    Policy,
    fields::{AddressWords, EthernetFields, Folded, NoAddresses, Transport, TransportPorts, TransportWord},
    numbers::{ethertype, protocol},
    parts::{Network, Parts},
};
use crate::frame::Frame;

/// Where the ethertype ends: a word, with two octets of the source address before it.
const LINK: usize = 10;

/// The ethertypes as they lie in a frame.
const IPV4: u16 = ethertype::IPV4.to_be();
const IPV6: u16 = ethertype::IPV6.to_be();

/// What [`parse`](super::parse::parse) finds in a frame with a whole TCP or UDP packet over IPv4 without options or
/// over IPv6, and by layer 2 in every frame. Nothing for any other frame.
///
/// It looks once how long the frame is, and keeps nothing in mind from one header to the next.
#[inline(always)]
pub(super) fn parts<F: Frame + ?Sized>(policy: Policy, frame: &F) -> Option<Parts<Folded, TransportWord>> {
    if policy == Policy::Layer2 {
        return Some(Parts { link: Some(link(frame)?), network: Err(NoAddresses::Policy) });
    }
    let start = frame.words(LINK)?;
    let [_, _, high, low] = start[0].to_ne_bytes();
    // Compared as they lie.
    let (addresses, ports) = match u16::from_ne_bytes([high, low]) {
        IPV4 => ipv4(start),
        IPV6 => ipv6(frame),
        _ => None,
    }?;
    let link = if policy == Policy::Layer34 { None } else { Some(link(frame)?) };
    let transport = Ok(Transport::Ports(TransportPorts(ports.to_ne_bytes())));
    Some(Parts { link, network: Ok(Network { addresses, transport: transport.into(), quoted: false }) })
}

/// The part of the Ethernet header.
#[inline(always)]
fn link<F: Frame + ?Sized>(frame: &F) -> Option<EthernetFields> {
    let [first, _, last] = frame.words(2)?;
    let [_, _, _, destination] = first.to_ne_bytes();
    let [_, source, high, low] = last.to_ne_bytes();
    Some(EthernetFields { destination, source, ethertype: u16::from_be_bytes([high, low]) })
}

/// Addresses and ports of a packet with five words of header that is no fragment.
#[inline(always)]
fn ipv4([_, first, second, third, source, destination, ports]: [u32; 7]) -> Option<(Folded, u32)> {
    /// The length of the header, and that length.
    const LENGTH: [u32; 2] = [u32::from_ne_bytes([0x0f, 0, 0, 0]), u32::from_ne_bytes([0x05, 0, 0, 0])];
    /// "More fragments" and the fragment's offset.
    const FRAGMENT: u32 = u32::from_ne_bytes([0, 0, 0x3f, 0xff]);

    let [_, protocol, ..] = third.to_ne_bytes();
    let usual = first & LENGTH[0] == LENGTH[1] && second & FRAGMENT == 0 && has_ports(protocol);
    usual.then(|| (AddressWords::V4([source, destination]).into(), ports))
}

/// Addresses and ports of a packet without extension headers.
#[inline(always)]
fn ipv6<F: Frame + ?Sized>(frame: &F) -> Option<(Folded, u32)> {
    let [_, _, second, a, b, c, d, e, f, g, h, ports] = frame.words(LINK)?;
    let [_, _, next, _] = second.to_ne_bytes();
    has_ports(next).then(|| (AddressWords::V6([a, b, c, d, e, f, g, h]).into(), ports))
}

/// The two protocols that nearly all packets are of.
#[inline(always)]
const fn has_ports(protocol: u8) -> bool {
    matches!(protocol, protocol::UDP | protocol::TCP)
}
