//! Two tables in one map: programs read one side while the controller fills the other.
//!
//! The value of the map begins with a word: 0 before anything was published, and then a number whose lowest bit is the
//! side that is in use. At [`START`] come the octets of both sides: of a table of buckets in pairs, an octet of each
//! side; of rotations one after the other. The controller fills the side that is not in use, and then stores the word.
//! Before it fills that side again it waits until no program runs that may have read the word before.

use super::{MIN_BUCKETS, Rotation};

/// Where the octets begin.
pub const START: u32 = 8;

/// The octets of a value with two sides of so many each.
#[must_use]
pub const fn octets(each: u32) -> u32 {
    START + 2 * each
}

/// The side in use by the value's first word, if anything was published.
#[inline(always)]
#[must_use]
pub const fn published(word: u32) -> Option<usize> {
    if word == 0 { None } else { Some((word & 1) as usize) }
}

/// The word that follows `word`: it puts the other side in use. Who finds the same word before and after has read a
/// side that nobody filled meanwhile.
#[must_use]
pub const fn next(word: u32) -> u32 {
    // Not 0, which would mean that nothing is published.
    if word == u32::MAX { 2 } else { word + 1 }
}

/// The offset of a bucket's octet.
#[inline(always)]
#[must_use]
pub const fn of_bucket(bucket: usize, side: usize) -> usize {
    START as usize + 2 * bucket + side
}

/// The offset of a rotation.
#[inline(always)]
#[must_use]
pub const fn of_rotation(side: usize) -> usize {
    START as usize + size_of::<Rotation>() * side
}

const _: () =
    assert!(size_of::<Rotation>() == MIN_BUCKETS as usize && (START as usize).is_multiple_of(align_of::<Rotation>()));

#[cfg(test)]
mod tests {
    use super::*;

    extern crate std;
    use std::collections::BTreeSet;

    #[test]
    fn nothing_is_published_at_first_and_then_the_sides_take_turns() {
        assert_eq!(published(0), None);
        let first = next(0);
        let second = next(first);
        assert_eq!(
            [first, second, next(second), u32::MAX, next(u32::MAX)].map(published),
            [Some(1), Some(0), Some(1), Some(1), Some(0)]
        );
    }

    #[test]
    fn each_bucket_has_an_octet_of_its_own_on_each_side() {
        let offsets: BTreeSet<usize> = (0..256).flat_map(|bucket| [0, 1].map(|side| of_bucket(bucket, side))).collect();
        assert_eq!(offsets, (START as usize..octets(256) as usize).collect());
    }

    #[test]
    fn both_cycles_have_room() {
        assert_eq!(of_rotation(0) + size_of::<Rotation>(), of_rotation(1));
        assert_eq!(of_rotation(1) + size_of::<Rotation>(), octets(MIN_BUCKETS) as usize);
    }
}
