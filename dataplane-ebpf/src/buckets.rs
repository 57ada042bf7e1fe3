//! The maps that say how traffic is spread over several ports. Each is an array of one inner map, which the controller
//! swaps as a whole: a program sees the old table or the new one.

use aggctl_common::spread::{self, Cycle, MIN_BUCKETS, ROW};
use aya_ebpf::{
    btf_maps::{Array, ArrayOfMaps},
    macros::{btf_map, map},
    maps::PerCpuArray,
};

/// The port of each bucket, an octet each: one value as large as there are buckets. In modes without buckets a [`Cycle`].
// The sizes here are those of the smallest table. The loader finds the map made and pinned in the size that is needed.
#[btf_map]
static TABLE: ArrayOfMaps<Array<[u8; MIN_BUCKETS as usize], 1>, 1> = ArrayOfMaps::new();

/// The order of ports of each bucket.
#[btf_map]
static ROWS: ArrayOfMaps<Array<[u8; ROW], { MIN_BUCKETS as usize }>, 1> = ArrayOfMaps::new();

/// How many packets this CPU has sent in turn.
#[map]
static TURN: PerCpuArray<u32> = PerCpuArray::with_max_entries(1, 0);

/// What is published in [`TABLE`].
#[inline(always)]
fn table() -> Option<*const [u8; MIN_BUCKETS as usize]> {
    // On the stack: of a constant the compiler would make a read-only global, and that it may join with another one of the
    // same value, which the loader then sets to something else.
    let first = 0;
    TABLE.get_value_ptr_mut(0, &first).map(<*mut _>::cast_const)
}

/// The table of buckets.
pub struct Buckets(*const u8);

/// The present table of buckets, if one was published.
#[inline(always)]
pub fn buckets() -> Option<Buckets> {
    table().map(|table| Buckets(table.cast()))
}

impl spread::TableView for Buckets {
    #[inline(always)]
    fn primary(&self, bucket: u32) -> u8 {
        // SAFETY: the value is as large as there are buckets, and the verifier proves the number to be below that.
        unsafe { self.0.add(bucket as usize).read_volatile() }
    }

    #[inline(always)]
    fn row(&self, bucket: u32, position: usize) -> u8 {
        match ROWS.get_value_ptr_mut(0, &bucket) {
            // SAFETY: a row has a power of two of entries, so the position is within it.
            Some(row) => unsafe { row.cast_const().cast::<u8>().add(position & (ROW - 1)).read_volatile() },
            None => spread::END,
        }
    }
}

/// The cycle that ports take turns in.
pub struct Turns(*const Cycle);

/// The present cycle, if one was published.
#[inline(always)]
pub fn turns() -> Option<Turns> {
    table().map(|table| Turns(table.cast()))
}

impl spread::CycleView for Turns {
    #[inline(always)]
    fn usable(&self) -> u64 {
        // SAFETY: a table is at least as large as a cycle, and a published one is not written to any more.
        unsafe { (*self.0).usable }
    }

    #[inline(always)]
    fn count(&self) -> u32 {
        // SAFETY: as above.
        unsafe { (*self.0).count }
    }

    #[inline(always)]
    fn slot(&self, position: usize) -> u8 {
        // SAFETY: as above; callers keep the position below the number of entries, as the verifier checks.
        unsafe { *(&raw const (*self.0).slots).cast::<u8>().add(position) }
    }
}

/// The number of this packet among those that this CPU sends.
#[inline(always)]
pub fn next() -> u32 {
    match TURN.get_ptr_mut(0) {
        // SAFETY: the entry is this CPU's own, and a program is not moved to another CPU while it runs.
        Some(count) => unsafe {
            let number = *count;
            *count = number.wrapping_add(1);
            number
        },
        None => 0,
    }
}
