//! The maps that say how traffic is spread over several ports. What is read for each frame has two sides, of which the
//! controller fills one while programs read the other; what is read when a port just failed is an array of one inner
//! map, which it swaps. Either way a program sees the old table or the new one.

use aggctl_common::{
    PortId,
    spread::{self, MAX_BUCKETS, MAX_FALLBACKS, MIN_BUCKETS, Rotation, double_buffer},
};
use aya_ebpf::{
    btf_maps::{Array, ArrayOfMaps},
    macros::{btf_map, map},
    maps::PerCpuArray,
};

use crate::live::Volatile;

/// The port of each bucket, an octet each; in modes without buckets a [`Rotation`]. In the layout of [`double_buffer`].
// As large as the largest table. The map that takes its place has the size that is needed, and the verifier goes by
// that.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".bss.table")]
static TABLE: Volatile<[u64; double_buffer::octets(MAX_BUCKETS) as usize / 8]> =
    Volatile::new([0; double_buffer::octets(MAX_BUCKETS) as usize / 8]);

/// The order of ports of each bucket.
// The sizes here are those of the smallest table. The loader finds the map made and pinned in the size that is needed.
#[btf_map]
static ROWS: ArrayOfMaps<Array<[u8; MAX_FALLBACKS], { MIN_BUCKETS as usize }>, 1> = ArrayOfMaps::new();

/// How many packets this CPU has sent in turn.
#[map]
static TURN: PerCpuArray<u32> = PerCpuArray::with_max_entries(1, 0);

/// The side of [`TABLE`] that is in use, if anything was published.
#[inline(always)]
fn side() -> Option<usize> {
    // SAFETY: the value begins with this word.
    double_buffer::published(unsafe { TABLE.get().cast::<u32>().read_volatile() })
}

/// The octet of [`TABLE`] at an offset.
#[inline(always)]
fn octet(offset: usize) -> *const u8 {
    // SAFETY: callers stay within the value, as the verifier checks.
    unsafe { TABLE.get().cast::<u8>().add(offset) }
}

/// The table of buckets: one side.
pub struct Buckets(usize);

/// The present table of buckets, if one was published.
#[inline(always)]
pub fn buckets() -> Option<Buckets> {
    side().map(Buckets)
}

impl spread::TableView for Buckets {
    #[inline(always)]
    fn primary(&self, bucket: u32) -> u8 {
        // SAFETY: the verifier proves the number of the bucket to be below that of the buckets that the value has room
        // for.
        unsafe { octet(double_buffer::of_bucket(bucket as usize, self.0)).read_volatile() }
    }

    #[inline(always)]
    fn fallback(&self, bucket: u32, position: usize) -> u8 {
        match ROWS.get_value_ptr_mut(0, &bucket) {
            // SAFETY: an order has a power of two of entries, so the position is within it.
            Some(order) => unsafe {
                order.cast_const().cast::<u8>().add(position & (MAX_FALLBACKS - 1)).read_volatile()
            },
            None => spread::END,
        }
    }

    #[inline(always)]
    fn first_usable(&self, usable: u64, bucket: u32) -> Option<PortId> {
        match u8::try_from(first_usable(usable, bucket)) {
            Ok(slot) if slot < 64 => Some(PortId(slot)),
            _ => None,
        }
    }
}

/// The slot of the first usable port of a bucket's order, or [`spread::END`]. Out of line, because the registers that
/// only this needs would be saved and restored for every frame.
#[cold]
#[inline(never)]
fn first_usable(usable: u64, bucket: u32) -> u32 {
    // Which side the primaries are on does not matter.
    spread::first_usable(&Buckets(0), usable, bucket).map_or(spread::END, |port| port.0).into()
}

/// The rotation in use.
pub struct CurrentRotation(*const Rotation);

/// The present rotation, if one was published.
#[inline(always)]
pub fn rotation() -> Option<CurrentRotation> {
    side().map(|side| CurrentRotation(octet(double_buffer::of_rotation(side)).cast()))
}

impl spread::RotationView for CurrentRotation {
    #[inline(always)]
    fn usable(&self) -> u64 {
        // SAFETY: the value has room for two rotations, and the controller writes to the other one.
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
pub fn next_number() -> u32 {
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
