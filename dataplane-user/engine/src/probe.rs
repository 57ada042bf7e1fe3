//! The frames that ask neighbours whether they are there, and what their answers say.
//!
//! A port asks from a MAC of its own ([`own_mac`]) and, in ARP, for nobody (0.0.0.0): so nobody's idea of where the
//! aggregate is changes by it, neither a switch's nor a neighbour's, whichever port asks. A request for nobody is one
//! for duplicates of the target's address (RFC 5227, 2.1.1), which its owner answers and nobody may answer for it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use aggctl_common::{
    Mac, PortId,
    vlan::{CUSTOMER, ETHERTYPE_AT, VlanId},
};
use etherparse::{
    ArpEthIpv4Packet, ArpOperation, EtherType, Icmpv6Type, NetSlice, PacketBuilder, SlicedPacket, TransportSlice,
};

use crate::watches::WatchKind;

/// Neighbour discovery packets that passed a router are ignored (RFC 4861, 7.1.1 and 7.1.2).
const HOP_LIMIT: u8 = 255;
/// Options "source link-layer address" and "target link-layer address" (RFC 4861, 4.6.1).
const SOURCE_LINK_LAYER_ADDRESS: u8 = 1;
/// See [`SOURCE_LINK_LAYER_ADDRESS`].
const TARGET_LINK_LAYER_ADDRESS: u8 = 2;

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asker {
    /// From which MAC.
    pub mac: Mac,
    /// For which IPv4 address.
    pub source: Ipv4Addr,
}

/// What a frame says that was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceivedProbe {
    /// Of which protocol it is.
    pub protocol: ProbeProtocol,
    /// From which MAC.
    pub from: Mac,
    /// The VLAN by its tag; `None`: without tag, or with one that only says how urgent it is.
    pub vlan: Option<VlanId>,
    /// What it answers, if it is an answer.
    pub answer: Option<ProbeAnswer>,
}

/// The protocol of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeProtocol {
    /// ARP.
    Arp,
    /// Neighbour discovery.
    Nd,
}

/// An answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbeAnswer {
    /// Whose address was asked for.
    pub target: IpAddr,
    /// The MAC that has it, by what it says.
    pub mac: Mac,
    /// Who asked, by what it says.
    pub asker: Mac,
}

/// The MAC from which a port asks: its own, made into one of those that nobody was given (IEEE 802-2014, 8.4), and
/// another for each slot.
#[must_use]
pub fn own_mac(permanent: Mac, port: PortId) -> Mac {
    /// So that it differs from one that somebody made by setting the same bit.
    const OURS: u8 = 0x5a;

    let [first, second, third, rest @ ..] = permanent.0;
    let [fourth, fifth, sixth] = rest;
    Mac([first & !1 | 2, second ^ OURS, third ^ port.0, fourth, fifth, sixth])
}

/// A frame that asks for a target, without tag. `None` is not to be expected: it has a fixed size.
#[must_use]
pub fn question(asker: Asker, target: IpAddr) -> Option<Vec<u8>> {
    match target {
        IpAddr::V4(target) => arp_request(asker, target),
        IpAddr::V6(target) => neighbour_solicitation(asker.mac, target),
    }
}

/// The same frame in a VLAN.
#[must_use]
pub fn tagged(mut frame: Vec<u8>, vlan: Option<VlanId>) -> Vec<u8> {
    let tag = vlan.into_iter().flat_map(|vid| [CUSTOMER, vid.0]).flat_map(u16::to_be_bytes);
    frame.splice(ETHERTYPE_AT..ETHERTYPE_AT, tag);
    frame
}

/// The VLAN of a frame by its outer tag.
#[must_use]
pub fn vlan_of(frame: &[u8]) -> Option<VlanId> {
    let word = |at: usize| frame.get(at..)?.first_chunk().map(|octets| u16::from_be_bytes(*octets));
    word(ETHERTYPE_AT).filter(|ethertype| *ethertype == CUSTOMER)?;
    word(ETHERTYPE_AT + 2).and_then(vlan_in)
}

/// The VLAN in the control information of a tag; `None`: it only says how urgent the frame is.
#[must_use]
pub fn vlan_in(tci: u16) -> Option<VlanId> {
    Some(VlanId(tci & 0x0fff)).filter(|vid| vid.is_valid())
}

fn arp_request(asker: Asker, target: Ipv4Addr) -> Option<Vec<u8>> {
    let arp = ArpEthIpv4Packet {
        operation: ArpOperation::REQUEST,
        sender_mac: asker.mac.0,
        sender_ipv4: asker.source.octets(),
        target_mac: [0; 6],
        target_ipv4: target.octets(),
    };
    let builder = PacketBuilder::ethernet2(asker.mac.0, Mac::BROADCAST.0).arp(arp.into());
    let mut frame = Vec::with_capacity(builder.size());
    builder.write(&mut frame).ok()?;
    Some(frame)
}

/// From the link-local address that belongs to the MAC (RFC 4291, appendix A), and with the MAC, so that the target
/// need not ask back.
fn neighbour_solicitation(mac: Mac, target: Ipv6Addr) -> Option<Vec<u8>> {
    let [a, b, c, d, e, f] = mac.0;
    let from = Ipv6Addr::from([0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f]);
    // The solicited-node group (RFC 4291, 2.7.1), and its MAC (RFC 2464, 7).
    let [.., x, y, z] = target.octets();
    let group = Ipv6Addr::from([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, x, y, z]);
    let group_mac = [0x33, 0x33, 0xff, x, y, z];
    let mut payload = target.octets().to_vec();
    payload.extend([SOURCE_LINK_LAYER_ADDRESS, 1]);
    payload.extend(mac.0);
    let builder = PacketBuilder::ethernet2(mac.0, group_mac)
        .ipv6(from.octets(), group.octets(), HOP_LIMIT)
        .icmpv6(Icmpv6Type::NeighborSolicitation);
    let mut frame = Vec::with_capacity(builder.size(payload.len()));
    builder.write(&mut frame, &payload).ok()?;
    Some(frame)
}

/// Reads a frame of ARP or neighbour discovery whose outer tag, if it had one, is beside it. `None`: it is something
/// else, or broken.
#[must_use]
pub fn parse(frame: &[u8], tci: Option<u16>) -> Option<ReceivedProbe> {
    let packet = SlicedPacket::from_ethernet(frame).ok()?;
    let ethernet = packet.link.as_ref()?.to_header()?.ethernet2()?;
    let from = Mac(ethernet.source);
    let vlan = tci.and_then(vlan_in);
    match packet.net? {
        NetSlice::Arp(arp) => {
            let arp = ArpEthIpv4Packet::try_from(arp.to_packet()).ok()?;
            let answer = ProbeAnswer {
                target: Ipv4Addr::from(arp.sender_ipv4).into(),
                mac: Mac(arp.sender_mac),
                asker: Mac(arp.target_mac),
            };
            // What is flooded on its way to somebody else is addressed to them.
            let is_answer = arp.operation == ArpOperation::REPLY && ethernet.destination == arp.target_mac;
            Some(ReceivedProbe { protocol: ProbeProtocol::Arp, from, vlan, answer: is_answer.then_some(answer) })
        }
        NetSlice::Ipv6(ipv6) => {
            let Some(TransportSlice::Icmpv6(icmp)) = packet.transport else { return None };
            let header = ipv6.header();
            let is_sound = header.hop_limit() == HOP_LIMIT
                && icmp.code_u8() == 0
                && icmp.is_checksum_valid(header.source(), header.destination());
            let answer = match icmp.icmp_type() {
                Icmpv6Type::NeighborAdvertisement(header) if header.solicited => {
                    advertised(icmp.payload(), from).map(|(target, mac)| ProbeAnswer {
                        target: IpAddr::V6(target),
                        mac,
                        asker: Mac(ethernet.destination),
                    })
                }
                Icmpv6Type::NeighborAdvertisement(_) | Icmpv6Type::NeighborSolicitation => None,
                _ => return None,
            };
            is_sound.then_some(ReceivedProbe { protocol: ProbeProtocol::Nd, from, vlan, answer })
        }
        NetSlice::Ipv4(_) => None,
    }
}

/// The target of an advertisement, and its MAC: that of the option, else the frame's.
fn advertised(payload: &[u8], from: Mac) -> Option<(Ipv6Addr, Mac)> {
    /// Octets of an address.
    const ADDRESS: usize = 16;

    let (target, mut options) = payload.split_at_checked(ADDRESS)?;
    let target = Ipv6Addr::from(*target.first_chunk::<ADDRESS>()?);
    let mut mac = from;
    while let [kind, units, ..] = options {
        // In units of eight octets; none would never end (RFC 4861, 4.6).
        let (option, rest) = options.split_at_checked(usize::from(*units) * 8).filter(|_| *units > 0)?;
        if *kind == TARGET_LINK_LAYER_ADDRESS {
            mac = option.get(2..).and_then(|rest| rest.first_chunk()).copied().map(Mac)?;
        }
        options = rest;
    }
    Some((target, mac))
}

/// EtherTypes of the protocols.
pub const ETHERTYPES: [u16; 2] = [EtherType::ARP.0, EtherType::IPV6.0];

/// The EtherType of the answers that a watch waits for, if it asks.
#[must_use]
pub const fn ethertype(kind: WatchKind) -> Option<u16> {
    match kind {
        WatchKind::Arp => Some(EtherType::ARP.0),
        WatchKind::Ns => Some(EtherType::IPV6.0),
        WatchKind::Link | WatchKind::Traffic | WatchKind::Errors => None,
    }
}

#[cfg(test)]
mod tests;
