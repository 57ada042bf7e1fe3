//! The map that holds the table of ports.

use aggctl_common::{DropReason, IfIndex, MAX_PORTS, PortId, Ports, rule::View};
use aya_ebpf::{bindings::BPF_F_MMAPABLE, macros::map, maps::Array};

/// The table. The controller writes it through a mapping of its memory, so that a new choice is one store.
#[map]
static PORTS: Array<Ports> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// The live table. Every word is loaded when the rule asks for it, and exactly once: the controller may be storing.
pub struct Table(*const Ports);

/// The live table of this aggregate.
///
/// # Errors
///
/// [`DropReason::NoPort`] if there is none, which an array map of one entry rules out.
#[inline(always)]
pub fn table() -> Result<Table, DropReason> {
    PORTS.get_ptr(0).map(Table).ok_or(DropReason::NoPort)
}

/// Loads one field of the table.
macro_rules! load {
    ($table:expr, $($field:tt)+) => {
        // SAFETY: the pointer is to a live entry of an array map, whose memory stays while the program runs, and the
        // verifier proves every index to be within it.
        unsafe { core::ptr::read_volatile(&raw const (*$table.0).$($field)+) }
    };
}

impl View for Table {
    #[inline(always)]
    fn usable(&self) -> u64 {
        load!(self, usable)
    }

    #[inline(always)]
    fn accept(&self) -> u64 {
        load!(self, accept)
    }

    #[inline(always)]
    fn active(&self) -> u32 {
        load!(self, active)
    }

    #[inline(always)]
    fn count(&self) -> u32 {
        load!(self, count)
    }

    #[inline(always)]
    fn order(&self, position: usize) -> u8 {
        load!(self, order[position & (MAX_PORTS - 1)])
    }

    #[inline(always)]
    fn ifindex(&self, slot: PortId) -> IfIndex {
        load!(self, ifindex[slot.index() & (MAX_PORTS - 1)])
    }

    #[inline(always)]
    fn mac(&self) -> u64 {
        load!(self, mac)
    }
}
