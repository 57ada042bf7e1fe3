//! How traffic is spread over several ports: the rules for the modes `hash`, `round-robin` and `random`.
//!
//! - [`table`]: hash → bucket → port, by a table in which a port that leaves moves only its own buckets.
//! - [`double_buffer`]: how one table takes the place of another.
//! - [`rotation`]: a number → the ports in turn, for round-robin, random, and bonding's way of using a hash.
//!
//! Both have an answer of their own when the ports that are usable are no longer those for which the controller made
//! the table or the rotation. It is the answer that the next one gives, so a flow moves once. How tables and rotations
//! are made is the engine's business (`aggctl_engine::spread`); the rules for users are in docs/table.md.

use crate::{MAX_PORTS, PortId};

pub mod double_buffer;
pub mod rotation;
pub mod table;

pub use rotation::{MAX_ROTATION, Rotation, RotationView, pick};
pub use table::{TableView, choose, first_usable};

/// The fewest buckets that a table can have.
pub const MIN_BUCKETS: u32 = 256;

/// The most buckets that a table can have.
pub const MAX_BUCKETS: u32 = 65_536;

/// The buckets of a table unless the owner says otherwise.
pub const DEFAULT_BUCKETS: u32 = 4_096;

/// The entries of a fallback order: one for each port that there can be.
pub const MAX_FALLBACKS: usize = MAX_PORTS;

/// Stands for "no port" in a table, a fallback order or a rotation, and so marks the end of an order.
pub const END: u8 = 0xff;

/// 2^32 divided by the golden ratio, and odd: multiplying by it loses nothing, and the high bits of the product depend
/// on all bits of the hash, of which bonding's hashes have the best ones at the low end (Knuth, TAOCP 3, 6.4).
const GOLDEN: u32 = 0x9e37_79b1;

/// Whether a table can have so many buckets: a power of two from [`MIN_BUCKETS`] to [`MAX_BUCKETS`].
#[must_use]
pub const fn is_table_size(buckets: u32) -> bool {
    buckets.is_power_of_two() && buckets >= MIN_BUCKETS && buckets <= MAX_BUCKETS
}

/// What [`bucket`] shifts by for a table of `buckets` ([`is_table_size`]): 16 to 24.
#[must_use]
pub const fn shift(buckets: u32) -> u32 {
    buckets.leading_zeros() + 1
}

/// The bucket of a hash. `shift` is [`shift`] of the table's size, 16 to 24.
#[inline(always)]
#[must_use]
pub const fn bucket(hash: u32, shift: u32) -> u32 {
    hash.wrapping_mul(GOLDEN).wrapping_shr(shift)
}

/// The port that `slot` names, if it is one that is usable.
#[inline(always)]
fn live(usable: u64, slot: u8) -> Option<PortId> {
    // The mask is for the verifier, which then knows the range; comparing with END leaves it in the program.
    let port = PortId(slot & 63);
    if slot != END && usable & port.bit() != 0 { Some(port) } else { None }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    extern crate std;
    use std::vec;

    proptest! {
        #[test]
        fn every_hash_has_a_bucket_of_its_table(hash: u32, power in 8_u32..=16) {
            prop_assert!(bucket(hash, shift(1 << power)) < 1 << power);
        }

        #[test]
        fn a_table_of_twice_the_size_halves_each_bucket(hash: u32, power in 8_u32..16) {
            prop_assert_eq!(bucket(hash, shift(2 << power)) / 2, bucket(hash, shift(1 << power)));
        }
    }

    #[test]
    fn powers_of_two_between_the_limits_are_table_sizes() {
        let sizes: vec::Vec<u32> = (0..=1 << 17).filter(|buckets| is_table_size(*buckets)).collect();
        assert_eq!(sizes, [256, 512, 1_024, 2_048, 4_096, 8_192, 16_384, 32_768, 65_536]);
        assert_eq!((shift(MIN_BUCKETS), shift(DEFAULT_BUCKETS), shift(MAX_BUCKETS)), (24, 20, 16));
    }

    /// Hashes that differ in a few bits only, wherever these are, must not share a few buckets: addresses and ports of
    /// real flows are consecutive.
    #[test]
    fn consecutive_values_of_any_field_spread_over_the_buckets() {
        for shifted in 0..=24 {
            let mut filled = vec![0_u32; DEFAULT_BUCKETS as usize];
            for value in 0_u32..256 {
                filled[bucket(0x0a00_0001 ^ (value << shifted), shift(DEFAULT_BUCKETS)) as usize] += 1;
            }
            let most = filled.iter().max().copied().unwrap_or(0);
            assert!(most <= 3, "{most} of 256 hashes, {shifted} bits up, share a bucket");
        }
    }
}
