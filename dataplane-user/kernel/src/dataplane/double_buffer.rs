//! The map of which programs read one side while the other one is filled ([`aggctl_common::spread::double_buffer`]).
#![allow(unsafe_code, reason = "looks at mapped memory as atomics")]

use std::{
    slice,
    sync::atomic::{AtomicU8, AtomicU32, Ordering, fence},
};

use aggctl_common::spread::double_buffer;

use super::{
    bpf,
    error::DataplaneError,
    mapped::Mapped,
    pins::{self, Pins},
};

/// How the octets of the two sides lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// In pairs: a table of buckets.
    Paired,
    /// One side after the other: rotations.
    Apart,
}

/// The pinned map `TABLE`, mapped.
#[derive(Debug)]
pub(super) struct DoubleBuffer {
    memory: Mapped,
    layout: Layout,
    each: u32,
}

impl DoubleBuffer {
    /// Maps it. Each side is of `each` octets, as the map was made for.
    pub(super) fn open(pins: &Pins, layout: Layout, each: u32) -> Result<Self, DataplaneError> {
        Ok(Self { memory: Mapped::open(pins, pins::TABLE, double_buffer::octets(each) as usize)?, layout, each })
    }

    /// The side that programs read, if anything was published.
    pub(super) fn published(&self) -> Option<Vec<u8>> {
        loop {
            let word = self.word().load(Ordering::Acquire);
            let side = double_buffer::published(word)?;
            let octets = (0..self.each).map(|index| self.octet(index, side).load(Ordering::Relaxed)).collect();
            fence(Ordering::Acquire);
            // Else another process has published meanwhile, and may have begun to fill this side.
            if self.word().load(Ordering::Relaxed) == word {
                return Some(octets);
            }
        }
    }

    /// Makes programs read these octets, as many as a side has.
    pub(super) fn publish(&self, octets: &[u8]) -> Result<(), DataplaneError> {
        // Runs that began before the side was given up may still read it.
        bpf::wait_for_programs().map_err(|error| DataplaneError::map(pins::TABLE, "wait", error))?;
        let next = double_buffer::next(self.word().load(Ordering::Acquire));
        let side = double_buffer::published(next).unwrap_or_default();
        for (index, octet) in (0..self.each).zip(octets) {
            self.octet(index, side).store(*octet, Ordering::Relaxed);
        }
        self.word().store(next, Ordering::Release);
        Ok(())
    }

    fn word(&self) -> &AtomicU32 {
        // SAFETY: the memory begins at a page and is longer than a word, lives as long as `self`, and is only accessed
        // through atomics.
        unsafe { self.memory.start().cast().as_ref() }
    }

    fn octet(&self, index: u32, side: usize) -> &AtomicU8 {
        // SAFETY: the memory lives as long as `self`, is of this length, and is only accessed through atomics.
        let octets =
            unsafe { slice::from_raw_parts(self.memory.start().as_ptr().cast::<AtomicU8>(), self.memory.length()) };
        let index = index as usize;
        &octets[match self.layout {
            Layout::Paired => double_buffer::of_bucket(index, side),
            Layout::Apart => double_buffer::of_rotation(side) + index,
        }]
    }
}
