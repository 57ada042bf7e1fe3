//! The flow hash: a number that is the same for all frames of a flow, and differs between flows.
//!
//! It is the one that the kernel's bonding driver computes (`drivers/net/bonding/bond_main.c`, `bond_xmit_hash`; the
//! ports by `net/core/flow_dissector.c`), bit for bit, so that an aggregate can take over from a bond:
//!
//! - `layer2`: *link* = last octet of the destination MAC ⊕ last octet of the source MAC ⊕ ethertype.
//! - `layer2+3`: *x* = *link* ⊕ source ⊕ destination; *x* ⊕= *x* ≫ 16; *x* ⊕= *x* ≫ 8.
//! - `layer3+4`: *x* = *transport* ⊕ source ⊕ destination; *x* ⊕= *x* ≫ 16; *x* ⊕= *x* ≫ 8; *x* ≫= 1. The last step
//!   leaves out a bit that tells little, since the kernel prefers even source ports.
//!
//! *source* and *destination* are the IP addresses as numbers in the machine's byte order, taken from the octets of the
//! wire as they are; the four words of an IPv6 address are combined by ⊕. What *transport* is says [`Transport`]. A
//! frame that is not IP, or not whole up to the end of its IP header, is hashed by *link* alone under every policy.
//!
//! An ICMP error is hashed like the packet that it quotes, so that it takes the way of the flow it is about.
//!
//! Besides, there are policies that are lists of fields: [`list`].

mod fields;
pub mod list;
mod numbers;
mod parse;
mod parts;
mod policy;
mod usual;

pub use fields::{EthernetFields, Fields, IpAddresses, NoAddresses, NoTransport, Transport, TransportPorts};
use fields::{Folded, TransportWord};
use parse::parse;
use parts::Parts;
pub use policy::Policy;

use crate::frame::Frame;

/// The hash of a frame, or nothing if it is shorter than an Ethernet header.
///
/// A VLAN tag within the frame hides what follows, so only *link* counts, with the tag's own ethertype; one that the
/// kernel keeps beside the frame does not matter.
#[inline(always)]
#[must_use]
pub fn hash<F: Frame + ?Sized>(policy: Policy, frame: &F) -> Option<u32> {
    let parts: Parts<Folded, TransportWord> = parse(policy, frame)?;
    Some(parts.hash())
}

/// The same hash of a frame of the usual kind, which is nearly every frame; nothing for any other, and for one of which
/// the headers are not all at hand. By layer 2 every frame is usual; else TCP and UDP over IPv4 without options, and
/// over IPv6.
///
/// For programs: it takes about a third of the instructions.
#[inline(always)]
#[must_use]
pub fn usual<F: Frame + ?Sized>(policy: Policy, frame: &F) -> Option<u32> {
    usual::parts(policy, frame).map(Parts::hash)
}

/// The hash of a frame together with what went into it, or nothing if it is shorter than an Ethernet header.
#[must_use]
pub fn fields<F: Frame + ?Sized>(policy: Policy, frame: &F) -> Option<Fields> {
    let parts: Parts<IpAddresses, Result<Transport, NoTransport>> = parse(policy, frame)?;
    Some(parts.into())
}

/// The hash as it is used: mixed with the seed of the aggregate, so that two stages of aggregation with different seeds
/// spread flows differently. Seed 0 leaves it as it is.
///
/// All bits of the result depend on all bits of both. No two hashes become the same: what differs stays different.
#[inline(always)]
#[must_use]
pub const fn seeded(hash: u32, seed: u32) -> u32 {
    if seed == 0 {
        return hash;
    }
    // The finalizer of MurmurHash3, which Austin Appleby placed in the public domain: every step can be undone, and
    // a flipped bit of the input flips each bit of the output with a chance of nearly one half.
    let mut mixed = hash ^ seed;
    mixed = (mixed ^ (mixed >> 16)).wrapping_mul(0x85eb_ca6b);
    mixed = (mixed ^ (mixed >> 13)).wrapping_mul(0xc2b2_ae35);
    mixed ^ (mixed >> 16)
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod vectors;
