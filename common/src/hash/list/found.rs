//! What was found in a frame, and the hash of it.

use core::{fmt, net::IpAddr};

use super::{
    Field, Wanted,
    masks::{at, group},
    mix::mix,
};
use crate::Mac;

/// Of which kind an IP packet is, if a frame has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    None,
    Four,
    Six,
}

/// The fields of a frame, as far as they were asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Which fields the frame has, of those that were asked for.
    pub(super) present: u32,
    /// Protocol, class of service and VLAN.
    pub(super) small: u32,
    pub(super) version: Version,
    /// The source address in the first four words, the destination address in the others, as their octets lie in the
    /// frame. Those of IPv4 are in the first word of each.
    pub(super) addresses: [u32; 8],
    /// Source and destination port, as their octets lie in the frame.
    pub(super) ports: u32,
    /// Ethertype and inner VLAN.
    pub(super) types: u32,
    /// The flow label, as its octets lie in the frame.
    pub(super) label: u32,
    /// What a header behind that of IP, or a label, identifies the flow by.
    pub(super) identifier: u32,
    /// The destination MAC as a number, and the source MAC.
    pub(super) macs: [u64; 2],
    /// Mark, queue, and the kernel's hash.
    pub(super) beside: [u32; 3],
}

impl Found {
    pub(super) const NOTHING: Self = Self {
        present: 0,
        small: 0,
        version: Version::None,
        addresses: [0; 8],
        ports: 0,
        types: 0,
        label: 0,
        identifier: 0,
        macs: [0; 2],
        beside: [0; 3],
    };

    /// The hash of what is wanted: groups of three words, each mixed with what the groups before it gave. A group of
    /// which nothing is wanted is left out; so are those of addresses where there are none.
    #[inline(always)]
    pub(super) fn hash<W: Wanted>(&self, wanted: &W) -> u32 {
        let flags = wanted.word(at::FLAGS);
        let masked = |index: usize, word: u32| word & wanted.word(index);
        let pair = |one: u32, other: u32| if flags & group::SYMMETRIC != 0 { sorted(one, other) } else { [one, other] };
        let mut hash = if flags & group::SMALL != 0 { masked(at::SMALL, self.small) } else { 0 };
        let [a, b, c, d, e, f, g, h] = self.addresses;
        match self.version {
            Version::Four if flags & group::FOUR != 0 => {
                let [one, other] = pair(masked(at::FOUR, a), masked(at::FOUR + 1, e));
                hash = mix(hash, [one, other, self.ports(wanted)]);
            }
            Version::Six if flags & group::SIX != 0 => {
                let word = |index: usize, source, destination| {
                    pair(masked(at::SIX + index, source), masked(at::SIX + 4 + index, destination))
                };
                let [[a, e], [b, f], [c, g], [d, h]] = [word(0, a, e), word(1, b, f), word(2, c, g), word(3, d, h)];
                if flags & group::SIX_FIRST != 0 {
                    hash = mix(hash, [a, b, c]);
                }
                if flags & group::SIX_SECOND != 0 {
                    hash = mix(hash, [d, e, f]);
                }
                if flags & group::SIX_THIRD != 0 {
                    hash = mix(hash, [g, h, self.ports(wanted)]);
                }
            }
            _ if flags & group::SMALL != 0 => hash = mix(hash, [0; 3]),
            _ => {}
        }
        if flags & group::MORE != 0 {
            let words = [self.types, self.label, self.identifier];
            hash = mix(hash, [0, 1, 2].map(|index| masked(at::TYPES + index, words[index])));
        }
        if flags & group::MACS != 0 {
            hash = mix(hash, self.mac_words(wanted));
        }
        if flags & group::BESIDE != 0 {
            hash = mix(hash, [0, 1, 2].map(|index| masked(at::BESIDE + index, self.beside[index])));
        }
        hash
    }

    /// The word of the ports.
    #[inline(always)]
    fn ports<W: Wanted>(&self, wanted: &W) -> u32 {
        let ports = self.ports & wanted.word(at::PORTS);
        if wanted.word(at::FLAGS) & group::SYMMETRIC == 0 {
            return ports;
        }
        let [upper, lower] = sorted(ports >> 16, ports & 0xffff);
        upper << 16 | lower
    }

    /// The words of the MACs.
    #[inline(always)]
    fn mac_words<W: Wanted>(&self, wanted: &W) -> [u32; 3] {
        let [destination, source] = self.macs;
        let symmetric = wanted.word(at::FLAGS) & group::SYMMETRIC != 0;
        let [one, other] = if symmetric { sorted(destination, source) } else { [destination, source] };
        #[allow(clippy::cast_possible_truncation, reason = "the lower halves are meant; the upper ones have 16 bits")]
        let words = [one as u32, other as u32, ((one >> 32) << 16 | other >> 32) as u32];
        [0, 1, 2].map(|index| words[index] & wanted.word(at::MACS + index))
    }

    /// What the frame has in a field that was asked for; nothing if it has none such.
    #[must_use]
    pub fn value(&self, field: Field) -> Option<Value> {
        if self.present & field.bit() == 0 {
            return None;
        }
        let ports = u32::from_be(self.ports);
        Some(match field {
            Field::SrcMac => Value::Mac(mac(self.macs[1])),
            Field::DstMac => Value::Mac(mac(self.macs[0])),
            Field::EtherType => Value::Hexadecimal(self.types & 0xffff),
            Field::Vlan => Value::Number(self.small >> 16),
            Field::InnerVlan => Value::Number(self.types >> 16),
            Field::SrcIp => Value::Address(self.address(0)?),
            Field::DstIp => Value::Address(self.address(1)?),
            Field::Proto => Value::Number(self.small & 0xff),
            Field::SrcPort => Value::Number(ports >> 16),
            Field::DstPort => Value::Number(ports & 0xffff),
            Field::FlowLabel => Value::Hexadecimal(u32::from_be(self.label)),
            Field::Dscp => Value::Number(self.small >> 8 & 0x3f),
            Field::Vni | Field::Mpls | Field::IcmpId => Value::Number(self.identifier),
            Field::Spi | Field::GreKey | Field::GtpTeid => Value::Hexadecimal(self.identifier),
            Field::Mark => Value::Hexadecimal(self.beside[0]),
            Field::Queue => Value::Number(self.beside[1]),
            Field::SkbHash => Value::Hexadecimal(self.beside[2]),
        })
    }

    /// The source (0) or destination (1) address.
    fn address(&self, side: usize) -> Option<IpAddr> {
        let words = &self.addresses[side * 4..];
        match self.version {
            Version::None => None,
            Version::Four => Some(IpAddr::from(words[0].to_ne_bytes())),
            Version::Six => {
                let mut octets = [0; 16];
                for (octets, word) in octets.as_chunks_mut::<4>().0.iter_mut().zip(words) {
                    *octets = word.to_ne_bytes();
                }
                Some(IpAddr::from(octets))
            }
        }
    }
}

/// The lesser one first.
#[inline(always)]
fn sorted<T: PartialOrd>(one: T, other: T) -> [T; 2] {
    if one < other { [one, other] } else { [other, one] }
}

/// The MAC of a number.
fn mac(number: u64) -> Mac {
    let [_, _, octets @ ..] = number.to_be_bytes();
    Mac(octets)
}

/// What a frame has in a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// A MAC.
    Mac(Mac),
    /// An IP address.
    Address(IpAddr),
    /// A number.
    Number(u32),
    /// A number that is written in base 16.
    Hexadecimal(u32),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mac(mac) => mac.fmt(f),
            Self::Address(address) => address.fmt(f),
            Self::Number(number) => number.fmt(f),
            Self::Hexadecimal(number) => write!(f, "{number:#x}"),
        }
    }
}
