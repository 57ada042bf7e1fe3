//! The ports in turn: for round-robin, random, and for bonding's way of using a hash (`--table kernel-compat`).
//!
//! A *rotation* is a list of slots. The port is the entry at a number modulo the length, where the number is a count of
//! packets, a random number or a hash. With each usable port once, in the order in which they joined, that is what
//! bonding does (`bond_xmit_3ad_xor_slave_get`, `bond_xmit_roundrobin_slave_get` in drivers/net/bonding/bond_main.c).

use core::mem::offset_of;

use bytemuck::{Pod, Zeroable};

use super::{END, live};
use crate::{PortId, rule::PortsView};

/// The most entries of a rotation.
pub const MAX_ROTATION: usize = 240;

/// The value of a map: as large as the smallest table of buckets, so that it fits into the same map.
///
/// It is not changed once it is published; the next one takes its place as a whole.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct Rotation {
    /// A bit for each slot that was usable when the rotation was made. While these are the usable ones, the rotation
    /// holds.
    pub usable: u64,
    /// How many entries of `slots` are in use; 0 without usable port.
    pub count: u32,
    /// Zero.
    pub reserved: u32,
    /// The slots in turn; [`END`] behind the last one.
    pub slots: [u8; MAX_ROTATION],
}

const _: () = assert!(
    size_of::<Rotation>() == super::MIN_BUCKETS as usize
        && offset_of!(Rotation, usable) == 0
        && offset_of!(Rotation, count) == 8
        && offset_of!(Rotation, slots) == 16
);

/// A rotation that the rule can read. See [`Rotation`] for the meaning of the words.
pub trait RotationView {
    /// The mask of ports for which the rotation was made.
    fn usable(&self) -> u64;
    /// How many entries are in use.
    fn count(&self) -> u32;
    /// The slot at `position` (below [`MAX_ROTATION`]).
    fn slot(&self, position: usize) -> u8;
}

/// The port whose turn `number` is: the entry at `number` modulo the length. If other ports are usable now than those
/// for which the rotation was made, then only the entries count whose ports still are, in the same order: for a
/// rotation of each port once this is what the next rotation says. So it is for the turns of a port that is not alive,
/// unless none is alive; those of others stay. `None` if no port of the rotation is usable.
#[inline(always)]
#[must_use]
pub fn pick(ports: &impl PortsView, rotation: &impl RotationView, number: u32) -> Option<PortId> {
    let usable = ports.usable();
    if rotation.usable() == usable {
        match entry(usable, rotation, number) {
            Some(port) if !ports.is_alive(port) => {}
            entry => return entry,
        }
    }
    remaining(ports.alive(), rotation, number)
}

/// The turn among all entries.
#[inline(always)]
fn entry(usable: u64, rotation: &impl RotationView, number: u32) -> Option<PortId> {
    let count = rotation.count();
    if count == 0 {
        return None;
    }
    let position = (number % count) as usize;
    // Not a check of `count` before, from which the compiler, but not the verifier, would conclude the same.
    if position < MAX_ROTATION { live(usable, rotation.slot(position)) } else { None }
}

/// The turn among the entries whose ports are usable. Two passes, since the first has to say how many they are.
#[inline(always)]
fn remaining(usable: u64, rotation: &impl RotationView, number: u32) -> Option<PortId> {
    let mut entries = 0;
    let mut position = 0;
    while position < MAX_ROTATION {
        let slot = rotation.slot(position);
        if slot == END {
            break;
        }
        entries += u32::from(live(usable, slot).is_some());
        position += 1;
    }
    if entries == 0 {
        return None;
    }
    let mut before = number % entries;
    position = 0;
    while position < MAX_ROTATION {
        let port = live(usable, rotation.slot(position));
        if port.is_some() {
            if before == 0 {
                return port;
            }
            before -= 1;
        }
        position += 1;
    }
    None
}

impl Rotation {
    /// A rotation without ports.
    pub const EMPTY: Self = Self { usable: 0, count: 0, reserved: 0, slots: [END; MAX_ROTATION] };

    /// The entries in use.
    #[must_use]
    pub fn entries(&self) -> &[u8] {
        &self.slots[..MAX_ROTATION.min(self.count as usize)]
    }
}

impl RotationView for Rotation {
    fn usable(&self) -> u64 {
        self.usable
    }

    fn count(&self) -> u32 {
        self.count
    }

    fn slot(&self, position: usize) -> u8 {
        self.slots[position]
    }
}

impl Default for Rotation {
    fn default() -> Self {
        Self::EMPTY
    }
}

#[cfg(test)]
#[allow(clippy::cast_possible_truncation, reason = "rotations and slots are short")]
mod tests;
