//! Frames that a port heard.

use aggctl_common::{Destination, DropReason, PortId, rule, rule::Received};
use aya_ebpf::{Global, programs::TcContext};

use crate::{action, deliver, drops, ports};

/// The slot of the port that this copy of the program hangs on. Set when the program is loaded.
#[unsafe(no_mangle)]
static SLOT: Global<u32> = Global::new(0);

/// The slot of this port.
#[inline(always)]
fn slot() -> PortId {
    PortId((SLOT.load() & 63) as u8)
}

/// Gives the frame to the aggregate, to the port's own sockets, or to both, or drops it.
#[inline(always)]
pub fn receive(context: &TcContext) -> i32 {
    match linear(context) {
        Some(destination) => carry_out(context, destination),
        None => paged(context),
    }
}

/// Does what the rule says.
#[inline(always)]
fn carry_out(context: &TcContext, destination: &Destination) -> i32 {
    match ports::table().and_then(|table| rule::receive(&table, slot(), destination)) {
        Ok(Received::Aggregate) => deliver::deliver(context),
        Ok(Received::Port) => action::NEXT,
        Ok(Received::PortAndAggregate) => {
            deliver::copy(context);
            action::NEXT
        }
        Err(reason) => drop(reason),
    }
}

/// The destination address where it lies, if the kernel put it in the linear part of the frame, as it nearly always does.
#[inline(always)]
fn linear(context: &TcContext) -> Option<&Destination> {
    let start = context.data() as *const Destination;
    // SAFETY: the address ends before the end of the data, as the verifier checks, and the data stays in place while
    // nothing is changed about the frame; it starts at an even address.
    (start as usize + size_of::<Destination>() <= context.data_end()).then(|| unsafe { &*start })
}

/// The same for a frame whose header is elsewhere: it is copied out. Out of line, so that the ordinary case does not
/// carry the address about in a form that suits both.
#[cold]
#[inline(never)]
fn paged(context: &TcContext) -> i32 {
    match context.load(0) {
        Ok(octets) => carry_out(context, &Destination::from_octets(octets)),
        Err(_) => drop(DropReason::Malformed),
    }
}

/// Drops, and counts it for this port.
#[inline(always)]
fn drop(reason: DropReason) -> i32 {
    drops::count(reason.received_on(slot()))
}
