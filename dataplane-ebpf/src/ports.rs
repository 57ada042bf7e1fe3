//! The table of ports.

use aggctl_common::{IfIndex, MAX_PORTS, PortId, Ports, rule::PortsView};

use crate::live::Volatile;

/// The map. The controller writes it through a mapping of its memory, so that a new choice is one store.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".bss.ports")]
static PORTS: Volatile<Ports> = Volatile::new(Ports::EMPTY);

/// The live table. Every word is loaded when the rule asks for it, and exactly once: the controller may be storing.
pub struct LivePorts;

/// Loads one field of the table.
macro_rules! load {
    ($($field:tt)+) => {
        // SAFETY: the pointer is to the value of an array map, whose memory stays while the program runs, and the
        // verifier proves every index to be within it.
        unsafe { core::ptr::read_volatile(&raw const (*PORTS.get()).$($field)+) }
    };
}

impl PortsView for LivePorts {
    #[inline(always)]
    fn usable(&self) -> u64 {
        load!(usable)
    }

    #[inline(always)]
    fn accept(&self) -> u64 {
        load!(accept)
    }

    #[inline(always)]
    fn active(&self) -> u32 {
        load!(active)
    }

    #[inline(always)]
    fn count(&self) -> u32 {
        load!(count)
    }

    #[inline(always)]
    fn order(&self, position: usize) -> u8 {
        load!(order[position & (MAX_PORTS - 1)])
    }

    #[inline(always)]
    fn ifindex(&self, slot: PortId) -> IfIndex {
        load!(ifindex[slot.index() & (MAX_PORTS - 1)])
    }

    #[inline(always)]
    fn mac(&self) -> u64 {
        load!(mac)
    }
}
