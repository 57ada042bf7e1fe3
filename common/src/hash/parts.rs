//! What was found in a frame, and the hash of it.

use super::fields::{EthernetFields, Fields, Folded, IpAddresses, NoAddresses, NoTransport, Transport, TransportWord};

/// What a frame is hashed by. The kinds of addresses and transport say how much is kept of them: everything, to be
/// shown, or a word each, for the hash alone.
#[derive(Clone, Copy)]
pub(super) struct Parts<A, T> {
    /// What the Ethernet header adds, unless the policy leaves it out and there is something else.
    pub link: Option<EthernetFields>,
    pub network: Result<Network<A, T>, NoAddresses>,
}

/// The part of an IP packet.
#[derive(Clone, Copy)]
pub(super) struct Network<A, T> {
    pub addresses: A,
    pub transport: T,
    /// Whether it is the packet that an ICMP error quotes.
    pub quoted: bool,
}

impl<A: Into<Folded>, T: Into<TransportWord>> Parts<A, T> {
    /// The hash: see the formulas of the [module](super).
    #[inline(always)]
    pub fn hash(self) -> u32 {
        let link = self.link.map(EthernetFields::word);
        let Ok(network) = self.network else {
            return link.unwrap_or(0);
        };
        let first = link.unwrap_or_else(|| network.transport.into().0);
        let mut hash = first ^ network.addresses.into().0;
        hash ^= hash >> 16;
        hash ^= hash >> 8;
        if link.is_some() { hash } else { hash >> 1 }
    }
}

impl From<Parts<IpAddresses, Result<Transport, NoTransport>>> for Fields {
    fn from(parts: Parts<IpAddresses, Result<Transport, NoTransport>>) -> Self {
        let (addresses, transport, quoted) = match parts.network {
            Ok(network) => (Ok(network.addresses), network.transport, network.quoted),
            Err(NoAddresses::Policy) => (Err(NoAddresses::Policy), Err(NoTransport::Policy), false),
            Err(reason) => (Err(reason), Err(NoTransport::NoAddresses), false),
        };
        Self { link: parts.link, addresses, transport, quoted, hash: parts.hash() }
    }
}
