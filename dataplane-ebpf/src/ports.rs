//! The table of ports.

use aggctl_common::{
    IfIndex, MAX_PORTS, PortId, PortsMap,
    rule::{self, PortsView},
    spread,
};

use crate::{device, live::Volatile};

/// The map. The controller writes it through a mapping of its memory, so that a new choice is one store.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".bss.ports")]
static PORTS: Volatile<PortsMap> = Volatile::new(PortsMap::EMPTY);

/// The live table. Every word is loaded when the rule asks for it, and exactly once: the controller may be storing.
/// `OUTSIDE`: it is read by a function outside the program's own section, which the loader does not let call another
/// one (aya-obj 0.3 misplaces such calls).
pub struct LivePorts<const OUTSIDE: bool>;

/// The table as the programs themselves read it.
pub const TABLE: LivePorts<false> = LivePorts;

/// Loads one field of the map.
macro_rules! load {
    ($($field:tt)+) => {
        // SAFETY: the pointer is to the value of an array map, whose memory stays while the program runs, and the
        // verifier proves every index to be within it.
        unsafe { core::ptr::read_volatile(&raw const (*PORTS.get()).$($field)+) }
    };
}

impl<const OUTSIDE: bool> PortsView for LivePorts<OUTSIDE> {
    #[inline(always)]
    fn usable(&self) -> u64 {
        load!(ports.usable)
    }

    #[inline(always)]
    fn accept(&self) -> u64 {
        load!(ports.accept)
    }

    #[inline(always)]
    fn active(&self) -> u32 {
        load!(ports.active)
    }

    #[inline(always)]
    fn count(&self) -> u32 {
        load!(ports.count)
    }

    #[inline(always)]
    fn order(&self, position: usize) -> u8 {
        load!(ports.order[position & (MAX_PORTS - 1)])
    }

    #[inline(always)]
    fn ifindex(&self, slot: PortId) -> IfIndex {
        load!(ports.ifindex[slot.index() & (MAX_PORTS - 1)])
    }

    #[inline(always)]
    fn mac(&self) -> u64 {
        load!(ports.mac)
    }

    #[inline(always)]
    fn former_mac(&self) -> u64 {
        load!(ports.former_mac)
    }

    #[inline(always)]
    fn is_alive(&self, slot: PortId) -> bool {
        if !device::can_be_asked() {
            return true;
        }
        let address = load!(device[slot.index() & (MAX_PORTS - 1)]);
        address == 0 || device::is_alive(address)
    }

    #[inline(always)]
    fn another(&self) -> Option<PortId> {
        if OUTSIDE {
            return rule::another(self);
        }
        match u8::try_from(another()) {
            Ok(slot) if slot < 64 => Some(PortId(slot)),
            _ => None,
        }
    }

    #[inline(always)]
    fn alive(&self) -> u64 {
        if OUTSIDE { rule::alive(self) } else { alive() }
    }
}

/// The slot that [`rule::another`] says, or [`spread::END`]. Out of line, because the registers that only this needs
/// would be saved and restored for every frame.
#[cold]
#[inline(never)]
fn another() -> u32 {
    rule::another(&LivePorts::<true>).map_or(spread::END, |port| port.0).into()
}

/// [`rule::alive`], out of line for the same reason.
#[cold]
#[inline(never)]
fn alive() -> u64 {
    rule::alive(&LivePorts::<true>)
}
