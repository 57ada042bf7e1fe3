//! The map of drop counters.

use aggctl_common::DropReason;
use aya_ebpf::{macros::map, maps::PerCpuArray};

use crate::action;

/// A counter for each reason and port: see [`DropReason::received_on`] and [`DropReason::sent`].
#[map]
static DROPS: PerCpuArray<u64> = PerCpuArray::with_max_entries(DropReason::COUNTERS, 0);

/// Counts, and drops. Kept out of line: nothing of it belongs on the path of a frame that goes through.
#[inline(never)]
pub fn count(counter: u32) -> i32 {
    if let Some(packets) = DROPS.get_ptr_mut(counter) {
        // SAFETY: the entry is this CPU's own, and a program is not moved to another CPU while it runs.
        unsafe { *packets += 1 };
    }
    action::DROP
}
