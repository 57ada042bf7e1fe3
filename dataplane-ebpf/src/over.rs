//! Sending over a driver (kernel bonding, team): what the program does not decide passes on, and the driver chooses the
//! port.

use core::hint::cold_path;

use aggctl_common::{DropReason, MacAddresses, Stamp, control::Control, rule};
use aya_ebpf::{
    helpers::{bpf_jiffies64, bpf_ktime_get_ns},
    programs::TcContext,
};

use crate::{action, drops, live::Volatile, ports, send::Picked};

/// The map. The controller writes the limit into it, and has [`stamp`] write the rest.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".bss.stamp")]
static STAMP: Volatile<Stamp> = Volatile::new(Stamp::NEVER);

/// The EtherType of IPv4 as the kernel has it in the frame's description: in the order of the wire.
const IPV4: u32 = 0x0800_u16.to_be() as u32;
/// The same of IPv6.
const IPV6: u32 = 0x86dd_u16.to_be() as u32;

/// Whether the driver shall choose the port of this frame: because no controller was at work for too long, so that what
/// the table says may be out of date; or because it is a link-local control frame.
#[inline(always)]
pub fn is_for_driver(context: &TcContext) -> bool {
    // SAFETY: the pointer is to the value of an array map, whose memory stays while the program runs.
    let until = unsafe { core::ptr::read_volatile(&raw const (*STAMP.get()).until) };
    // SAFETY: the helper takes nothing and touches no memory of ours.
    let now = unsafe { bpf_jiffies64() };
    if Stamp::is_over(until, now) {
        cold_path();
        return true;
    }
    is_control(context)
}

/// Whether it is a link-local control frame, which no IP packet is. One whose header is not in the linear part is not
/// made by a host's own daemons.
#[inline(always)]
fn is_control(context: &TcContext) -> bool {
    // SAFETY: the kernel hands the program a valid context.
    let protocol = unsafe { (*context.skb.skb).protocol };
    if protocol == IPV4 || protocol == IPV6 {
        return false;
    }
    cold_path();
    let start = context.data();
    if start + size_of::<MacAddresses>() > context.data_end() {
        return false;
    }
    // SAFETY: the addresses end before the end of the data, as the verifier checks, and the data stays in place while
    // nothing is changed about the frame; they start at an even address.
    let addresses = unsafe { &*(start as *const MacAddresses) };
    !matches!(Control::of(&addresses.destination), Control::No)
}

/// Sends the frame out of the port; leaves it to the driver if there is none to send it out of; drops it if it must not
/// be sent.
#[inline(always)]
pub fn send(picked: Picked) -> i32 {
    match picked.and_then(|port| rule::egress(&ports::TABLE, port)) {
        Ok(port) => action::redirect(port),
        Err(DropReason::NoPort | DropReason::Malformed) => action::NEXT,
        Err(reason) => {
            drops::count(reason.sent());
            action::DROP
        }
    }
}

/// Writes down that the controller is at work now.
#[inline(always)]
pub fn stamp() {
    let stamp = STAMP.get().cast_mut();
    // SAFETY: the pointer is to the value of an array map; one process at a time runs this, and readers take one word.
    unsafe {
        let renewed = core::ptr::read_volatile(stamp).renewed(bpf_jiffies64(), bpf_ktime_get_ns());
        core::ptr::write_volatile(&raw mut (*stamp).at, renewed.at);
        core::ptr::write_volatile(&raw mut (*stamp).until, renewed.until);
    }
}
