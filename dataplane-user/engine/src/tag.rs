//! VLAN tags in frames.

use aggctl_common::vlan::VlanId;

/// A VLAN tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag {
    /// Its EtherType: 0x8100 (IEEE 802.1Q) or 0x88a8 (802.1ad).
    pub protocol: u16,
    /// The VLAN.
    pub vlan: VlanId,
}

/// An untagged frame with `tags`, the outermost first.
#[must_use]
pub fn tagged(frame: &[u8], tags: &[Tag]) -> Vec<u8> {
    /// Octets of the two addresses, behind which the tags stand.
    const ADDRESSES: usize = 12;

    let (addresses, rest) = frame.split_at(ADDRESSES.min(frame.len()));
    let mut tagged = addresses.to_vec();
    for tag in tags {
        tagged.extend(tag.protocol.to_be_bytes());
        tagged.extend(tag.vlan.0.to_be_bytes());
    }
    tagged.extend(rest);
    tagged
}
