//! When the controller of an aggregate in wiring `over` was last at work. If that is too long ago, the programs leave
//! the choice of the port to the driver.

use core::mem::offset_of;

use bytemuck::{Pod, Zeroable};

/// The value of the map `STAMP` (an array of one entry), which only data paths of wiring `over` have.
///
/// The controller writes `limit`; a small program that it runs at intervals writes the rest, because user space cannot
/// read the clock that is cheapest for programs: jiffies, a word in memory that the kernel counts up at each tick.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
pub struct Stamp {
    /// The jiffy after which the driver chooses. 0: it chooses now.
    pub until: u64,
    /// When it was written: nanoseconds of CLOCK_MONOTONIC.
    pub at: u64,
    /// How many jiffies after a stamp the driver chooses.
    pub limit: u64,
}

// As docs/maps.md has it.
const _: () = assert!(
    size_of::<Stamp>() == 24
        && offset_of!(Stamp, until) == 0
        && offset_of!(Stamp, at) == 8
        && offset_of!(Stamp, limit) == 16
);

impl Stamp {
    /// Never stamped: the driver chooses.
    pub const NEVER: Self = Self { until: 0, at: 0, limit: 0 };

    /// The stamp that is written at this jiffy and time.
    #[inline(always)]
    #[must_use]
    pub const fn renewed(self, jiffies: u64, now: u64) -> Self {
        Self { until: jiffies.wrapping_add(self.limit), at: now, limit: self.limit }
    }

    /// Whether the driver chooses at this jiffy.
    #[inline(always)]
    #[must_use]
    pub const fn is_over(until: u64, jiffies: u64) -> bool {
        jiffies > until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_driver_chooses_before_the_first_stamp_and_once_the_limit_has_passed() {
        assert!(Stamp::is_over(Stamp::NEVER.until, 1));
        let stamp = Stamp { limit: 62, ..Stamp::NEVER }.renewed(4_294_892_296, 7);
        assert_eq!((stamp.at, stamp.limit), (7, 62));
        for (jiffies, over) in [(4_294_892_296, false), (4_294_892_358, false), (4_294_892_359, true)] {
            assert_eq!(Stamp::is_over(stamp.until, jiffies), over, "{jiffies}");
        }
    }
}
