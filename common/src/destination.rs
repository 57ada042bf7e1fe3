//! The destination address of a frame, in the form in which a program reads it from the packet.

use crate::Mac;

/// A destination address as three 16-bit loads from the start of a frame, in the machine's byte order.
///
/// Packet data is aligned to two octets at least, so three loads are the cheapest way to read it that needs no
/// unaligned access; one of them settles for nearly every frame that it is no control frame. That is also why the rule
/// takes a reference: a program's refers to the packet itself, and only what is needed is loaded.
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

impl From<Mac> for Destination {
    fn from(Mac(octets): Mac) -> Self {
        Self::from_octets(octets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_mac_about_group_addresses() {
        for octets in
            [[0, 1, 2, 3, 4, 5], [1, 0, 0, 0, 0, 0], [0xff; 6], [0x02, 0xff, 0xff, 0xff, 0xff, 0xff], [0x33; 6]]
        {
            assert_eq!(Destination::from_octets(octets).is_group(), Mac(octets).is_group(), "{octets:x?}");
        }
    }
}
