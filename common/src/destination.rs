//! The addresses of a frame, in the form in which a program reads them from the packet.

use crate::Mac;

/// A destination address as three 16-bit loads from the start of a frame, in the machine's byte order.
///
/// Packet data is aligned to two octets at least, so three loads are the cheapest way to read it that needs no
/// unaligned access. For nearly every frame one of them is enough to see that it is no control frame. That is also why
/// the rule takes a reference: in a program it refers to the packet itself, and only what is needed is loaded.
#[repr(transparent)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Destination(pub [u16; 3]);

impl Destination {
    /// The first two octets of 01:80:c2:00:00:0x.
    pub(crate) const CONTROL_0: u16 = u16::from_ne_bytes([0x01, 0x80]);
    /// The next two.
    pub(crate) const CONTROL_1: u16 = u16::from_ne_bytes([0xc2, 0x00]);

    /// From the six octets in the order of the wire.
    #[inline(always)]
    #[must_use]
    pub const fn from_octets([a, b, c, d, e, f]: [u8; 6]) -> Self {
        Self([u16::from_ne_bytes([a, b]), u16::from_ne_bytes([c, d]), u16::from_ne_bytes([e, f])])
    }

    /// Whether the group bit is set: a multicast or the broadcast address (IEEE 802-2014, 8.2.2).
    #[inline(always)]
    #[must_use]
    pub const fn is_group(&self) -> bool {
        self.0[0] & u16::from_ne_bytes([1, 0]) != 0
    }
}

impl Destination {
    /// The six octets as the lower 48 bits of a word, for a comparison with [`crate::Ports::mac`].
    #[inline(always)]
    #[must_use]
    pub const fn word(&self) -> u64 {
        self.0[0] as u64 | (self.0[1] as u64) << 16 | (self.0[2] as u64) << 32
    }

    /// What this is the [word](Self::word) of.
    #[inline(always)]
    #[must_use]
    #[allow(clippy::cast_possible_truncation, reason = "16 bits at a time")]
    pub const fn from_word(word: u64) -> Self {
        Self([word as u16, (word >> 16) as u16, (word >> 32) as u16])
    }
}

/// Both addresses of a frame, where it begins.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MacAddresses {
    /// Where it goes.
    pub destination: Destination,
    /// Where it comes from.
    pub source: Destination,
}

impl MacAddresses {
    /// From the first twelve octets of a frame.
    #[inline(always)]
    #[must_use]
    pub const fn from_octets([a, b, c, d, e, f, g, h, i, j, k, l]: [u8; 12]) -> Self {
        Self {
            destination: Destination::from_octets([a, b, c, d, e, f]),
            source: Destination::from_octets([g, h, i, j, k, l]),
        }
    }
}

impl From<Mac> for Destination {
    fn from(Mac(octets): Mac) -> Self {
        Self::from_octets(octets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_has_all_six_octets_and_nothing_else() {
        let zero = Destination::from_octets([0; 6]).word();
        assert_eq!(zero, 0);
        let mut all = 0;
        for position in 0..6 {
            let mut octets = [0; 6];
            octets[position] = 0xff;
            let word = Destination::from_octets(octets).word();
            assert_eq!((word.count_ones(), word & all), (8, 0));
            assert_eq!(Destination::from_word(word), Destination::from_octets(octets));
            all |= word;
        }
        assert_eq!(all, (1 << 48) - 1);
    }

    #[test]
    fn the_source_follows_the_destination() {
        let both = MacAddresses::from_octets([9, 8, 7, 6, 5, 4, 1, 2, 3, 4, 5, 6]);
        assert_eq!(both.destination, Destination::from_octets([9, 8, 7, 6, 5, 4]));
        assert_eq!(both.source, Destination::from_octets([1, 2, 3, 4, 5, 6]));
    }

    #[test]
    fn agrees_with_mac_about_group_addresses() {
        for octets in
            [[0, 1, 2, 3, 4, 5], [1, 0, 0, 0, 0, 0], [0xff; 6], [0x02, 0xff, 0xff, 0xff, 0xff, 0xff], [0x33; 6]]
        {
            assert_eq!(Destination::from_octets(octets).is_group(), Mac(octets).is_group(), "{octets:x?}");
        }
    }
}
