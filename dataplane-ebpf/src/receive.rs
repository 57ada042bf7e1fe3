//! Frames that a port received.

use core::hint::cold_path;

use aggctl_common::{
    Destination, DropReason, MacAddresses, PortId,
    programs::RxPolicy,
    rule::{self, PortsView, Received, ReceivingPort},
};
use aya_ebpf::{Global, programs::TcContext};

use crate::{action, bound, deliver, drops, linear, ports, vlan};

/// The slot of the port that this copy of the program is attached to. Set when the program is loaded.
#[unsafe(no_mangle)]
static SLOT: Global<u32> = Global::new(0);

/// The port that this copy of the program is attached to, what it accepts, and the frame that it received. `PAGED`:
/// called from [`paged`].
struct ThisPort<'a, const PAGED: bool>(RxPolicy, &'a TcContext);

impl<const PAGED: bool> ReceivingPort for ThisPort<'_, PAGED> {
    #[inline(always)]
    fn slot(&self) -> PortId {
        slot()
    }

    #[inline(always)]
    fn rx_policy(&self) -> RxPolicy {
        self.0
    }

    #[inline(always)]
    fn table(&self) -> impl PortsView {
        ports::LivePorts::<PAGED>
    }

    #[inline(always)]
    fn is_awaited(&self) -> bool {
        if !bound::anybody() {
            return false;
        }
        cold_path();
        let protocol = action::protocol(self.1);
        if PAGED { bound::is_awaited(slot(), protocol) } else { is_awaited(protocol) }
    }

    #[inline(always)]
    fn accept(&self, group: bool) -> Result<(), DropReason> {
        // The loader misplaces a call from one function outside a program's own section to another (aya-obj 0.3).
        if PAGED { rule::accept(&self.table(), self.slot(), group) } else { accept(group) }
    }
}

/// Out of line, because the registers that only this needs would be saved and restored for every frame.
#[cold]
#[inline(never)]
fn accept(group: bool) -> Result<(), DropReason> {
    rule::accept(&ports::LivePorts::<true>, slot(), group)
}

/// As [`accept`].
#[cold]
#[inline(never)]
fn is_awaited(protocol: u16) -> bool {
    bound::is_awaited(slot(), protocol)
}

/// The slot of the port.
#[inline(always)]
pub fn slot() -> PortId {
    PortId((SLOT.load() & 63) as u8)
}

/// Gives the frame to the aggregate, to the port's own sockets, or to both, or drops it. `FORMER`: also one to the MAC
/// that the aggregate had before.
#[inline(always)]
pub fn receive<const TAGS: bool, const FORMER: bool>(context: &TcContext, rx_policy: RxPolicy) -> i32 {
    match linear::header(context) {
        Some(addresses) => carry_out::<TAGS, FORMER, false>(context, rx_policy, addresses),
        None => paged::<TAGS, FORMER>(context, rx_policy),
    }
}

/// Does what the rules say; `TAGS`: also the one about VLANs.
#[inline(always)]
fn carry_out<const TAGS: bool, const FORMER: bool, const PAGED: bool>(
    context: &TcContext,
    rx_policy: RxPolicy,
    addresses: &MacAddresses,
) -> i32 {
    match rule::receive(&ThisPort::<PAGED>(rx_policy, context), addresses) {
        Ok(Received::Aggregate) => {
            if FORMER && let Err(reason) = readdress(context, addresses) {
                return drop(reason);
            }
            match if TAGS { vlan::incoming(context) } else { Ok(()) } {
                Ok(()) => deliver::deliver(context),
                Err(reason) => drop(reason),
            }
        }
        Ok(Received::Port) => action::leave(context),
        Ok(Received::PortAndAggregate { control }) => {
            let copied = if TAGS && !control {
                vlan::as_incoming(context, || deliver::copy(context))
            } else {
                deliver::copy(context);
                Ok(())
            };
            match copied {
                Ok(()) => action::leave(context),
                Err(reason) => drop(reason),
            }
        }
        Err(reason) => drop(reason),
    }
}

/// Gives a frame to the MAC that the aggregate had before the present one. Pointers to its octets are void afterwards.
#[inline(always)]
fn readdress(context: &TcContext, addresses: &MacAddresses) -> Result<(), DropReason> {
    let Some(Destination(mac)) = rule::readdressed(&ports::TABLE, &addresses.destination) else { return Ok(()) };
    cold_path();
    context.store(0, &mac, 0).map_err(|_| DropReason::Malformed)
}

/// The same for a frame whose header is not in the linear part: the addresses are copied out. Out of line, so that the
/// ordinary case keeps only a pointer to them.
#[cold]
#[inline(never)]
fn paged<const TAGS: bool, const FORMER: bool>(context: &TcContext, rx_policy: RxPolicy) -> i32 {
    match context.load(0) {
        Ok(octets) => carry_out::<TAGS, FORMER, true>(context, rx_policy, &MacAddresses::from_octets(octets)),
        Err(_) => drop(DropReason::Malformed),
    }
}

/// Drops, and counts it for this port.
#[inline(always)]
fn drop(reason: DropReason) -> i32 {
    drops::count(reason.received_on(slot()));
    action::DROP
}
