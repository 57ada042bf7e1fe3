//! The map of drop counters.

use aggctl_common::DropReason;
use aya_ebpf::{macros::map, maps::PerCpuArray};

/// A counter for each reason and port: see [`DropReason::received_on`] and [`DropReason::sent`].
#[map]
static DROPS: PerCpuArray<u64> = PerCpuArray::with_max_entries(DropReason::COUNTERS, 0);

/// Counts a frame that is dropped.
// Inlined, because the loader misplaces a call from one function outside a program's own section to another
// (aya-obj 0.3), and `receive::paged` is such a one.
#[inline(always)]
pub fn count(counter: u32) {
    if let Some(packets) = DROPS.get_ptr_mut(counter) {
        // SAFETY: the entry is this CPU's own, and a program is not moved to another CPU while it runs.
        unsafe { *packets += 1 };
    }
}
