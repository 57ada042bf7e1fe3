//! The frames that tell the neighbours where an address is now: gratuitous ARP and unsolicited neighbour
//! advertisements. They also teach the switches, since they come from the MAC in question. For a MAC whose addresses
//! are not known there are learning frames, which teach the switches alone.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use aggctl_common::Mac;
use etherparse::{
    ArpEthIpv4Packet, ArpOperation, Icmpv6Type, PacketBuilder, icmpv6::NeighborAdvertisementHeader,
    icmpv6::NeighborAdvertisementPayload,
};

use crate::host::Address;

/// `IFA_F_DADFAILED`: somebody else has the address.
const DAD_FAILED: u32 = 0x08;
/// `IFA_F_TENTATIVE`: it is not known yet whether somebody else has the address.
const TENTATIVE: u32 = 0x40;
/// `RT_SCOPE_HOST`: the address means nothing outside this host.
const SCOPE_HOST: u8 = 254;

/// All nodes of the link (RFC 4291, 2.7.1), and the MAC that belongs to it (RFC 2464, 7).
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_NODES_MAC: [u8; 6] = [0x33, 0x33, 0, 0, 0, 1];

/// Whether the host forwards IPv6 packets for others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ipv6Role {
    /// It does not.
    #[default]
    Host,
    /// It does (sysctl `net.ipv6.conf.LINK.forwarding`), so its advertisements must say so: neighbours that used it as
    /// their default router would otherwise forget it (RFC 4861, 7.2.5).
    Router,
}

/// One frame for each address that is worth announcing, of a host that is no router. Left out are addresses of host
/// scope, addresses that are not unicast, IPv6 addresses that are tentative or failed duplicate address
/// detection, and repetitions.
#[must_use]
pub fn frames(mac: Mac, addresses: &[Address]) -> Vec<Vec<u8>> {
    frames_as(Ipv6Role::Host, mac, addresses)
}

/// As [`frames`], for a host or for a router.
#[must_use]
pub fn frames_as(role: Ipv6Role, mac: Mac, addresses: &[Address]) -> Vec<Vec<u8>> {
    let mut seen = BTreeSet::new();
    let worthy = addresses.iter().filter(|address| is_announced(address) && seen.insert(address.local));
    worthy
        .filter_map(|address| match address.local {
            IpAddr::V4(local) => gratuitous_arp(mac, local),
            IpAddr::V6(local) => neighbour_advertisement(role, mac, local),
        })
        .collect()
}

/// A frame that tells nobody anything but every switch on its way where `mac` is: a reverse ARP request, broadcast from
/// that MAC, as other software switches send it for the machines behind them (RFC 903: operation 3, and both hardware
/// addresses are the sender's own). As long as the shortest frame on Ethernet.
#[must_use]
pub fn learning(mac: Mac) -> Vec<u8> {
    /// EtherType of reverse ARP (RFC 903).
    const RARP: [u8; 2] = [0x80, 0x35];
    /// Ethernet, IPv4, their lengths, and "request reverse".
    const REQUEST: [u8; 8] = [0, 1, 8, 0, 6, 4, 0, 3];
    /// Octets of the shortest frame, without its checksum (IEEE 802.3, 3.2.8).
    const SHORTEST: usize = 60;

    let unknown = [0; 4];
    let parts: [&[u8]; 8] = [&Mac::BROADCAST.0, &mac.0, &RARP, &REQUEST, &mac.0, &unknown, &mac.0, &unknown];
    let mut frame = parts.concat();
    frame.resize(SHORTEST, 0);
    frame
}

fn is_announced(address: &Address) -> bool {
    let ip = address.local;
    let elsewhere = match ip {
        IpAddr::V4(ip) => !ip.is_broadcast(),
        IpAddr::V6(_) => address.flags & (TENTATIVE | DAD_FAILED) == 0,
    };
    elsewhere && address.scope != SCOPE_HOST && !ip.is_loopback() && !ip.is_multicast() && !ip.is_unspecified()
}

/// A broadcast ARP request whose sender and target are the address (RFC 5227, 3; RFC 5944, 4.6). `None` is not to be
/// expected: the frame has a fixed size.
fn gratuitous_arp(mac: Mac, address: Ipv4Addr) -> Option<Vec<u8>> {
    let arp = ArpEthIpv4Packet {
        operation: ArpOperation::REQUEST,
        sender_mac: mac.0,
        sender_ipv4: address.octets(),
        target_mac: [0; 6],
        target_ipv4: address.octets(),
    };
    let builder = PacketBuilder::ethernet2(mac.0, Mac::BROADCAST.0).arp(arp.into());
    let mut frame = Vec::with_capacity(builder.size());
    builder.write(&mut frame).ok()?;
    Some(frame)
}

/// An unsolicited neighbour advertisement to all nodes (RFC 4861, 7.2.6), which overrides what they have cached. `None`
/// is not to be expected: the frame has a fixed size.
fn neighbour_advertisement(role: Ipv6Role, mac: Mac, address: Ipv6Addr) -> Option<Vec<u8>> {
    /// Neighbour discovery packets that passed a router are ignored (RFC 4861, 7.1.2).
    const HOP_LIMIT: u8 = 255;
    /// Option "target link-layer address", one unit of eight octets long (RFC 4861, 4.6.1).
    const TARGET_LINK_LAYER_ADDRESS: [u8; 2] = [2, 1];

    let header = NeighborAdvertisementHeader { router: role == Ipv6Role::Router, solicited: false, r#override: true };
    let mut payload = Vec::with_capacity(NeighborAdvertisementPayload::LEN + 8);
    payload.extend(address.octets());
    payload.extend(TARGET_LINK_LAYER_ADDRESS);
    payload.extend(mac.0);
    let builder = PacketBuilder::ethernet2(mac.0, ALL_NODES_MAC)
        .ipv6(address.octets(), ALL_NODES.octets(), HOP_LIMIT)
        .icmpv6(Icmpv6Type::NeighborAdvertisement(header));
    let mut frame = Vec::with_capacity(builder.size(payload.len()));
    builder.write(&mut frame, &payload).ok()?;
    Some(frame)
}

#[cfg(test)]
mod tests;
