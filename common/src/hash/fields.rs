//! What goes into a hash, and why something does not.

use core::net::IpAddr;

/// The part of the hash that is taken from the Ethernet header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EthernetFields {
    /// The last octet of the destination MAC.
    pub destination: u8,
    /// The last octet of the source MAC.
    pub source: u8,
    /// The ethertype that follows them, of the tag if the frame has one within it.
    pub ethertype: u16,
}

impl EthernetFields {
    /// The three combined.
    #[inline(always)]
    pub(super) const fn word(self) -> u32 {
        (self.destination ^ self.source) as u32 ^ self.ethertype as u32
    }
}

/// The addresses of an IP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpAddresses(AddressWords);

impl IpAddresses {
    /// Where it comes from.
    #[must_use]
    pub fn source(self) -> IpAddr {
        match self.0 {
            AddressWords::V4([source, _]) => address4(source),
            AddressWords::V6([a, b, c, d, ..]) => address6([a, b, c, d]),
        }
    }

    /// Where it goes to.
    #[must_use]
    pub fn destination(self) -> IpAddr {
        match self.0 {
            AddressWords::V4([_, destination]) => address4(destination),
            AddressWords::V6([.., a, b, c, d]) => address6([a, b, c, d]),
        }
    }
}

/// The address whose octets are those of a word in memory.
fn address4(word: u32) -> IpAddr {
    IpAddr::from(word.to_ne_bytes())
}

/// The same for IPv6.
fn address6(words: [u32; 4]) -> IpAddr {
    let mut octets = [0; 16];
    for (octets, word) in octets.as_chunks_mut::<4>().0.iter_mut().zip(words) {
        *octets = word.to_ne_bytes();
    }
    IpAddr::from(octets)
}

/// The source and the destination address, one after the other as in the header, word by word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AddressWords {
    V4([u32; 2]),
    V6([u32; 8]),
}

impl From<AddressWords> for IpAddresses {
    fn from(words: AddressWords) -> Self {
        Self(words)
    }
}

/// Why no addresses go into a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoAddresses {
    /// The policy leaves them out.
    Policy,
    /// A VLAN tag within the frame hides them.
    Tagged,
    /// The frame is neither IPv4 nor IPv6.
    NotIp,
    /// The frame ends within the IP header, or within the one that an ICMP error quotes.
    Truncated,
}

/// What of the transport's header goes into the hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// The ports of TCP, UDP, DCCP, SCTP and UDP-Lite. The word that is hashed is their octets as a number in the
    /// machine's byte order.
    Ports(TransportPorts),
    /// The security parameters index of ESP and AH, likewise.
    Spi(u32),
    /// The identifier of an ICMP or ICMPv6 query or its answer (echo, timestamp). The word has type, code and
    /// identifier in the order of memory, the identifier being in the machine's byte order; one that is 0 counts as 1.
    Icmp {
        /// The type of the message.
        kind: u8,
        /// The code of the message.
        code: u8,
        /// The identifier as it is in the message.
        identifier: u16,
    },
}

/// A source and a destination port: the first four octets of the transport's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransportPorts(pub [u8; 4]);

impl TransportPorts {
    /// The source port.
    #[must_use]
    pub const fn source(self) -> u16 {
        u16::from_be_bytes([self.0[0], self.0[1]])
    }

    /// The destination port.
    #[must_use]
    pub const fn destination(self) -> u16 {
        u16::from_be_bytes([self.0[2], self.0[3]])
    }
}

/// Why nothing of the transport's header goes into the hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoTransport {
    /// The policy leaves it out.
    Policy,
    /// There are no addresses, either.
    NoAddresses,
    /// The packet is a fragment, and only the first one would have the ports. (IPv4. In IPv6 a fragment is a protocol
    /// without ports.)
    Fragment,
    /// This IP protocol has no ports; in IPv6, this is an extension header, none of which is looked behind.
    Protocol(u8),
    /// It is an ICMP message of this type, which has no identifier.
    Message(u8),
    /// The frame ends before it.
    Truncated,
}

/// What went into the hash of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fields {
    /// The MAC addresses and the ethertype; none if IP addresses are there under a policy that then leaves them out.
    pub link: Option<EthernetFields>,
    /// The IP addresses.
    pub addresses: Result<IpAddresses, NoAddresses>,
    /// The ports, or what takes their place.
    pub transport: Result<Transport, NoTransport>,
    /// Whether addresses and transport are those of the packet that an ICMP error quotes.
    pub quoted: bool,
    /// The hash of them, unseeded: the same that [`hash`](super::hash) gives.
    pub hash: u32,
}

/// A pair of addresses of which only what the hash needs is kept: all words of both, combined into one.
#[derive(Clone, Copy)]
pub(super) struct Folded(pub(super) u32);

impl From<AddressWords> for Folded {
    #[inline(always)]
    fn from(words: AddressWords) -> Self {
        Self(match words {
            AddressWords::V4([a, b]) => a ^ b,
            AddressWords::V6([a, b, c, d, e, f, g, h]) => a ^ b ^ c ^ d ^ e ^ f ^ g ^ h,
        })
    }
}

impl From<IpAddresses> for Folded {
    fn from(IpAddresses(words): IpAddresses) -> Self {
        words.into()
    }
}

/// What is found of the transport's header, as the word that is hashed: 0 if nothing is.
#[derive(Clone, Copy)]
pub(super) struct TransportWord(pub(super) u32);

impl From<Result<Transport, NoTransport>> for TransportWord {
    #[inline(always)]
    fn from(transport: Result<Transport, NoTransport>) -> Self {
        Self(match transport {
            Ok(Transport::Ports(TransportPorts(octets))) => u32::from_ne_bytes(octets),
            Ok(Transport::Spi(index)) => index.to_be(),
            Ok(Transport::Icmp { kind, code, identifier }) => {
                let [a, b] = if identifier == 0 { 1 } else { identifier }.to_ne_bytes();
                u32::from_ne_bytes([kind, code, a, b])
            }
            Err(_) => 0,
        })
    }
}
