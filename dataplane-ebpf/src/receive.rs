//! Frames that a port heard.

use aggctl_common::{
    Addresses, DropReason, PortId,
    programs::Reception,
    rule::{self, Hearer, Received, View},
};
use aya_ebpf::{Global, programs::TcContext};

use crate::{action, deliver, drops, ports, vlan};

/// The slot of the port that this copy of the program hangs on. Set when the program is loaded.
#[unsafe(no_mangle)]
static SLOT: Global<u32> = Global::new(0);

/// Which frames are accepted: a [`Reception`]. Set when the program is loaded.
#[unsafe(no_mangle)]
static RECEPTION: Global<u32> = Global::new(0);

/// The port that this copy of the program hangs on.
struct ThisPort;

impl Hearer for ThisPort {
    #[inline(always)]
    fn slot(&self) -> PortId {
        PortId((SLOT.load() & 63) as u8)
    }

    #[inline(always)]
    fn reception(&self) -> Reception {
        Reception::of(RECEPTION.load())
    }

    #[inline(always)]
    fn table(&self) -> Result<impl View, DropReason> {
        ports::table()
    }
}

/// Gives the frame to the aggregate, to the port's own sockets, or to both, or drops it.
#[inline(always)]
pub fn receive(context: &TcContext) -> i32 {
    match linear(context) {
        Some(addresses) => carry_out(context, addresses),
        None => paged(context),
    }
}

/// Does what the rule says.
#[inline(always)]
fn carry_out(context: &TcContext, addresses: &Addresses) -> i32 {
    match rule::receive(&ThisPort, addresses) {
        Ok(Received::Aggregate) => match vlan::incoming(context) {
            Ok(()) => deliver::deliver(context),
            Err(reason) => drop(reason),
        },
        Ok(Received::Port) => action::NEXT,
        Ok(Received::PortAndAggregate) => {
            deliver::copy(context);
            action::NEXT
        }
        Err(reason) => drop(reason),
    }
}

/// The addresses where they lie, if the kernel put them in the linear part of the frame, as it nearly always does.
#[inline(always)]
fn linear(context: &TcContext) -> Option<&Addresses> {
    let start = context.data() as *const Addresses;
    // SAFETY: they end before the end of the data, as the verifier checks, and the data stays in place while
    // nothing is changed about the frame; they start at an even address.
    (start as usize + size_of::<Addresses>() <= context.data_end()).then(|| unsafe { &*start })
}

/// The same for a frame whose header is elsewhere: they are copied out. Out of line, so that the ordinary case does not
/// carry the addresses about in a form that suits both.
#[cold]
#[inline(never)]
fn paged(context: &TcContext) -> i32 {
    match context.load(0) {
        Ok(octets) => carry_out(context, &Addresses::from_octets(octets)),
        Err(_) => drop(DropReason::Malformed),
    }
}

/// Drops, and counts it for this port.
#[inline(always)]
fn drop(reason: DropReason) -> i32 {
    drops::count(reason.received_on(ThisPort.slot()))
}
