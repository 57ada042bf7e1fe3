//! What a program is told of a list: which headers to look at, and a mask for each word that is hashed.

use super::{Field, FieldList, PrefixLengths};

/// What is read of a frame, and how much of it counts: in a program its read-only globals, so that the verifier removes
/// what the list does not ask for.
pub trait Wanted {
    /// A word of [`Masks`].
    fn word(&self, index: usize) -> u32;
}

/// The words of a list, as they are given to programs: masks of what is hashed. Addresses, ports and the flow label are
/// hashed as their octets lie in the frame, all else as numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Masks(pub [u32; Self::WORDS]);

/// Places of the words. The first has the fields as bits ([`Field::bit`]) and [`group`]s.
pub(super) mod at {
    /// Which fields are wanted, and [`super::group`].
    pub const FLAGS: usize = 0;
    /// Protocol, class of service and VLAN.
    pub const SMALL: usize = 1;
    /// Source and destination address of IPv4.
    pub const FOUR: usize = 2;
    /// Source and destination address of IPv6, four words each.
    pub const SIX: usize = 4;
    /// Source and destination port.
    pub const PORTS: usize = 12;
    /// Ethertype and inner VLAN.
    pub const TYPES: usize = 13;
    /// The flow label.
    pub const LABEL: usize = 14;
    /// What the header behind that of IP, or a label, identifies the flow by.
    pub const IDENTIFIER: usize = 15;
    /// The lower four octets of the destination MAC, those of the source MAC, and the upper two of both.
    pub const MACS: usize = 16;
    /// Mark, queue, and the kernel's hash.
    pub const BESIDE: usize = 19;
    /// How many there are.
    pub const END: usize = 22;
}

/// Bits of the first word behind those of the fields: words that are hashed together, of which any is wanted.
pub(super) mod group {
    pub const SMALL: u32 = 1 << 21;
    pub const FOUR: u32 = 1 << 22;
    pub const SIX_FIRST: u32 = 1 << 23;
    pub const SIX_SECOND: u32 = 1 << 24;
    pub const SIX_THIRD: u32 = 1 << 25;
    /// Any of these three.
    pub const SIX: u32 = SIX_FIRST | SIX_SECOND | SIX_THIRD;
    pub const MORE: u32 = 1 << 26;
    pub const MACS: u32 = 1 << 27;
    pub const BESIDE: u32 = 1 << 28;
    /// No group: that the hash is symmetric.
    pub const SYMMETRIC: u32 = 1 << 29;
}

/// The places that the group of three words of an IPv4 packet and those of an IPv6 packet are made of.
const GROUPS: [(u32, &[usize]); 8] = [
    (group::SMALL, &[at::SMALL]),
    (group::FOUR, &[at::FOUR, at::FOUR + 1, at::PORTS]),
    (group::SIX_FIRST, &[at::SIX, at::SIX + 1, at::SIX + 2]),
    (group::SIX_SECOND, &[at::SIX + 3, at::SIX + 4, at::SIX + 5]),
    (group::SIX_THIRD, &[at::SIX + 6, at::SIX + 7, at::PORTS]),
    (group::MORE, &[at::TYPES, at::LABEL, at::IDENTIFIER]),
    (group::MACS, &[at::MACS, at::MACS + 1, at::MACS + 2]),
    (group::BESIDE, &[at::BESIDE, at::BESIDE + 1, at::BESIDE + 2]),
];

impl Masks {
    /// How many words there are.
    pub const WORDS: usize = at::END;
    /// Those of a list without fields.
    pub const NOTHING: Self = Self([0; Self::WORDS]);

    /// Those of a list.
    #[must_use]
    pub fn of(list: &FieldList) -> Self {
        let mut words = [0; Self::WORDS];
        for field in list.iter() {
            match field {
                Field::SrcMac => set(&mut words, at::MACS + 1, &[u32::MAX, 0x0000_ffff]),
                Field::DstMac => {
                    set(&mut words, at::MACS, &[u32::MAX]);
                    set(&mut words, at::MACS + 2, &[0xffff_0000]);
                }
                Field::EtherType => set(&mut words, at::TYPES, &[0x0000_ffff]),
                Field::Vlan => set(&mut words, at::SMALL, &[0x0fff_0000]),
                Field::InnerVlan => set(&mut words, at::TYPES, &[0x0fff_0000]),
                Field::SrcIp => addresses(&mut words, 0, list.source),
                Field::DstIp => addresses(&mut words, 1, list.destination),
                Field::Proto => set(&mut words, at::SMALL, &[0x0000_00ff]),
                Field::SrcPort => set(&mut words, at::PORTS, &[0xffff_0000_u32.to_be()]),
                Field::DstPort => set(&mut words, at::PORTS, &[0x0000_ffff_u32.to_be()]),
                Field::FlowLabel => set(&mut words, at::LABEL, &[0x000f_ffff_u32.to_be()]),
                Field::Dscp => set(&mut words, at::SMALL, &[0x0000_3f00]),
                Field::Spi | Field::Vni | Field::GreKey | Field::GtpTeid | Field::Mpls | Field::IcmpId => {
                    set(&mut words, at::IDENTIFIER, &[u32::MAX]);
                }
                Field::Mark => set(&mut words, at::BESIDE, &[u32::MAX]),
                Field::Queue => set(&mut words, at::BESIDE + 1, &[u32::MAX]),
                Field::SkbHash => set(&mut words, at::BESIDE + 2, &[u32::MAX]),
            }
        }
        let asked = GROUPS.iter().filter(|(_, places)| places.iter().any(|place| words[*place] != 0));
        let groups = asked.fold(0, |all, (group, _)| all | group);
        words[at::FLAGS] = list.fields | groups | if list.symmetric { group::SYMMETRIC } else { 0 };
        Self(words)
    }
}

impl Wanted for Masks {
    fn word(&self, index: usize) -> u32 {
        self.0[index]
    }
}

/// Adds masks from a place on.
fn set(words: &mut [u32; Masks::WORDS], place: usize, masks: &[u32]) {
    for (word, mask) in words[place..].iter_mut().zip(masks) {
        *word |= mask;
    }
}

/// Adds the masks of source (0) or destination (1) addresses.
fn addresses(words: &mut [u32; Masks::WORDS], side: usize, lengths: PrefixLengths) {
    set(words, at::FOUR + side, &[leading(lengths.four.into())]);
    for word in 0..4 {
        let left = usize::from(lengths.six).saturating_sub(word * 32);
        set(words, at::SIX + side * 4 + word, &[leading(left)]);
    }
}

/// A word with so many leading bits, as the octets lie in the frame.
fn leading(bits: usize) -> u32 {
    match u32::try_from(bits) {
        Ok(0) => 0,
        Ok(bits) if bits < u32::BITS => (u32::MAX << (u32::BITS - bits)).to_be(),
        _ => u32::MAX,
    }
}
