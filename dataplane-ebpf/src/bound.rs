//! What sockets bound to the ports wait for.

use aggctl_common::{Bound, EtherTypes, MAX_PORTS, PortId};

use crate::live::Volatile;

/// The map. The controller writes it through a mapping of its memory.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".bss.bound")]
static BOUND: Volatile<Bound> = Volatile::new(Bound::NOTHING);

/// Whether any socket is bound to any of the ports. All that frames pay for while there is none.
#[inline(always)]
pub fn anybody() -> bool {
    // SAFETY: the pointer is to the value of an array map, whose memory stays while the program runs.
    unsafe { core::ptr::read_volatile(&raw const (*BOUND.get()).any) != 0 }
}

/// What sockets bound to the port in this slot wait for.
#[inline(always)]
pub fn awaited(slot: PortId) -> EtherTypes {
    // SAFETY: as above; the verifier proves the index to be within it.
    unsafe { core::ptr::read_volatile(&raw const (*BOUND.get()).slots[slot.index() & (MAX_PORTS - 1)]) }
}

/// Whether a socket bound to the port in this slot waits for frames of this protocol.
#[inline(always)]
pub fn is_awaited(slot: PortId, protocol: u16) -> bool {
    awaited(slot).contain(protocol)
}
