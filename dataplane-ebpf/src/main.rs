//! The programs of aggctl's data path: `tx` hangs where every frame passes that the host sends on the aggregate (on the
//! aggregate's transmit or egress, or the ingress of its hidden end); `rx` hangs on the ingress hook of each port; `relay`, where
//! the hidden end is in a network namespace of its own, on the ingress of that.
//!
//! The rule that decides lives in `aggctl-common` and is tested on the host. Here is only what needs a kernel: reading
//! the packet, the maps, and carrying the decision out. What goes right is not counted, since the ports' own device
//! counters do; what is dropped is counted by reason.
#![no_std]
#![no_main]
// Loads of unaligned words (see `frame`); the same feature that aya-ebpf needs.
#![feature(asm_experimental_arch)]

mod action;
mod buckets;
mod deliver;
mod drops;
mod frame;
mod ports;
mod receive;
mod send;
mod vlan;

use aya_ebpf::{macros::classifier, programs::TcContext};

/// A frame that the host sends through the aggregate.
#[classifier]
pub fn tx(context: TcContext) -> i32 {
    send::send(&context)
}

/// A frame that a port heard.
#[classifier]
pub fn rx(context: TcContext) -> i32 {
    receive::receive(&context)
}

/// A frame that a port heard, at the hidden end.
#[classifier]
pub fn relay(context: TcContext) -> i32 {
    deliver::relay(&context)
}

/// The kernel lets only programs under a licence compatible with the GPL call some helpers.
#[unsafe(no_mangle)]
#[unsafe(link_section = "license")]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

/// Nothing here panics; the language asks for a handler all the same.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
