//! VLAN devices, and tags on the wire.

use std::net::IpAddr;

use etherparse::{NetSlice, SlicedPacket};

use crate::Namespace;

/// A tag: its protocol (`0x8100` customer, `0x88a8` service) and the VLAN.
pub type TagNumbers = (u16, u16);

/// The customer tag of a VLAN (IEEE 802.1Q).
pub const fn customer(vlan: u16) -> TagNumbers {
    (0x8100, vlan)
}

/// The service tag of a VLAN (IEEE 802.1ad).
pub const fn service(vlan: u16) -> TagNumbers {
    (0x88a8, vlan)
}

/// Makes a VLAN device for each tag, the first one on `lower` and each on the one before, and takes them up. Returns
/// the name of the last.
#[track_caller]
pub fn stack(namespace: &Namespace, lower: &str, tags: &[TagNumbers]) -> String {
    tags.iter().fold(lower.to_owned(), |lower, (protocol, vlan)| {
        let device = format!("{lower}.{vlan}");
        let protocol = if *protocol == 0x88a8 { "802.1ad" } else { "802.1q" };
        namespace.ip(&format!("link add link {lower} name {device} type vlan protocol {protocol} id {vlan}"));
        namespace.ip(&format!("link set {device} up"));
        namespace.keep_queues_short(&device);
        device
    })
}

/// The tags of a frame, the outer one first.
pub fn tags(frame: &[u8]) -> Vec<TagNumbers> {
    let word = |at: usize| frame.get(at..at + 2).map(|octets| u16::from_be_bytes([octets[0], octets[1]]));
    let tag = |at: usize| {
        let protocol = word(at).filter(|protocol| matches!(protocol, 0x8100 | 0x88a8))?;
        Some((protocol, word(at + 2)? & 0xfff))
    };
    (12..).step_by(4).map_while(tag).collect()
}

/// Whom a frame's packet is from, also behind tags.
pub fn source(frame: &[u8]) -> Option<IpAddr> {
    match SlicedPacket::from_ethernet(frame).ok()?.net? {
        NetSlice::Ipv4(ip) => Some(ip.header().source_addr().into()),
        NetSlice::Ipv6(ip) => Some(ip.header().source_addr().into()),
        NetSlice::Arp(_) => None,
    }
}
