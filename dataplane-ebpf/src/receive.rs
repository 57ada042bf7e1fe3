//! Frames that a port heard.

use aggctl_common::{Destination, DropReason, IfIndex, PortId, rule, rule::Received};
use aya_ebpf::{Global, programs::TcContext};

use crate::{action, ports};

/// The slot of the port that this copy of the program hangs on. Set when the program is loaded.
#[unsafe(no_mangle)]
static SLOT: Global<u32> = Global::new(0);

/// The interface number of the aggregate's hidden end: what leaves through it arrives on the aggregate. Set when the
/// program is loaded.
#[unsafe(no_mangle)]
static HIDDEN: Global<u32> = Global::new(0);

/// The slot of this port.
#[inline(always)]
pub fn slot() -> PortId {
    PortId((SLOT.load() & 63) as u8)
}

/// Gives the frame to the aggregate, to the port's own sockets, or to both.
///
/// # Errors
///
/// Why it is dropped.
#[inline(always)]
pub fn receive(context: &TcContext) -> Result<i32, DropReason> {
    let destination = destination(context)?;
    match rule::receive(&ports::table()?, slot(), destination)? {
        Received::Aggregate => Ok(action::redirect(IfIndex(HIDDEN.load()))),
        Received::Port => Ok(action::NEXT),
        Received::PortAndAggregate => {
            // A copy that finds no memory is lost like any frame on a wire; the port still gets the original.
            let _ = context.clone_redirect(HIDDEN.load(), 0);
            Ok(action::NEXT)
        }
    }
}

/// The frame's destination address, read where it lies if the kernel put it in the linear part (it nearly always
/// does), else by a copy.
#[inline(always)]
fn destination(context: &TcContext) -> Result<Destination, DropReason> {
    let start = context.data() as *const [u16; 3];
    if start as usize + size_of::<[u16; 3]>() <= context.data_end() {
        // SAFETY: the three words end before the end of the data, as the verifier checks; packet data starts at an
        // even address.
        return Ok(Destination(unsafe { *start }));
    }
    context.load(0).map(Destination::from_octets).map_err(|_| DropReason::Malformed)
}
