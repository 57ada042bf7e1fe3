//! The live table of what sockets bound to the ports wait for, mapped into this process.
#![allow(unsafe_code, reason = "looks at mapped memory as what the programs take it for")]

use std::{
    mem::offset_of,
    sync::atomic::{AtomicU64, Ordering},
};

use aggctl_common::{Bound, EtherTypes, MAX_PORTS};

use super::{
    error::DataplaneError,
    mapped::Mapped,
    maps::SharedMap,
    pins::{self, Pins},
};

/// The map. Data paths that earlier versions left have none, which is nothing against their other maps.
pub(super) const MAP: SharedMap = SharedMap::of::<Bound>(pins::BOUND, "BOUND");

/// [`Bound`] word by word, as the programs read it.
#[repr(C)]
#[derive(Debug)]
struct BoundWords {
    any: AtomicU64,
    slots: [AtomicU64; MAX_PORTS],
}

const _: () = assert!(
    size_of::<BoundWords>() == size_of::<Bound>()
        && align_of::<BoundWords>() == align_of::<Bound>()
        && offset_of!(BoundWords, any) == offset_of!(Bound, any)
        && offset_of!(BoundWords, slots) == offset_of!(Bound, slots)
);

/// The mapped table. One process at a time may write to it: the one that holds the aggregate's lock.
///
/// Minimum kernel version: 5.5 (`BPF_F_MMAPABLE`).
#[derive(Debug)]
pub struct BoundTable(Mapped);

impl BoundTable {
    /// Maps the pinned table.
    pub(super) fn open(pins: &Pins) -> Result<Self, DataplaneError> {
        Mapped::open(pins, pins::BOUND, size_of::<BoundWords>()).map(Self)
    }

    /// The table as it is now.
    #[must_use]
    pub fn load(&self) -> Bound {
        let words = self.words();
        let mut bound = Bound { any: words.any.load(Ordering::Acquire), ..Bound::NOTHING };
        for (to, from) in bound.slots.iter_mut().zip(&words.slots) {
            *to = EtherTypes(from.load(Ordering::Acquire));
        }
        bound
    }

    /// Makes the programs use this table.
    pub fn publish(&self, bound: &Bound) {
        let words = self.words();
        for (to, from) in words.slots.iter().zip(&bound.slots) {
            to.store(from.0, Ordering::Release);
        }
        words.any.store(bound.any, Ordering::Release);
    }

    fn words(&self) -> &BoundWords {
        // SAFETY: the memory lives as long as `self`, begins at a page, and is as long as the map's value, which is
        // that of `Bound`; every bit pattern is a valid `BoundWords`; programs and other processes change it
        // meanwhile, which atomics allow.
        unsafe { self.0.start().cast().as_ref() }
    }
}
