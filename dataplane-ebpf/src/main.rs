//! The programs of aggctl's data path: `tx_…` is attached where every frame passes that the host sends on the aggregate
//! (on the aggregate's transmit or egress, or the ingress of its peer), one for each way to pick the port; `rx_…` is
//! attached to the ingress hook of each port, one for each rule about what is accepted; `relay`, where the peer is in a
//! network namespace of its own, on the ingress of that; `xdp_…` and `xdpgen_…` on the XDP hook of each port, where
//! that was asked for. What differs is a program of its own rather than a global, because the verifier removes what a
//! global forbids, but not the loads of the global. The names are those of [`aggctl_common::programs`].
//!
//! The rule that decides lives in `aggctl-common` and is tested on the host. Here is only what needs a kernel: reading
//! the packet, the maps, and doing what was decided. Frames that pass are not counted, since the ports' device counters
//! count them; frames that are dropped are counted by reason.
#![no_std]
#![no_main]
// Loads of unaligned words (see `frame`); the same feature that aya-ebpf needs.
#![feature(asm_experimental_arch)]

mod action;
mod bound;
mod buckets;
mod deliver;
mod device;
mod drops;
mod early;
mod frame;
mod linear;
mod live;
mod over;
mod ports;
mod receive;
mod send;
mod vlan;
mod wanted;

use aggctl_common::{hash::Policy, programs::RxPolicy};
use aya_ebpf::{
    macros::{classifier, xdp},
    programs::{TcContext, XdpContext},
};

/// Programs for a frame that the host sends: the second of each line is for aggregates with a rule about VLANs, the
/// other two for the same over a driver.
macro_rules! senders {
    ($($plain:ident, $tagging:ident, $over:ident, $tagging_over:ident: |$context:ident| $pick:expr;)+) => {$(
        /// A frame that the host sends through the aggregate.
        #[classifier]
        pub fn $plain($context: TcContext) -> i32 {
            send::send($pick)
        }

        /// The same, with a rule about VLANs.
        #[classifier]
        pub fn $tagging($context: TcContext) -> i32 {
            send::send(match vlan::outgoing(&$context) {
                Ok(()) => $pick,
                Err(reason) => Err(reason),
            })
        }

        /// The same, over a driver.
        #[classifier]
        pub fn $over($context: TcContext) -> i32 {
            if over::is_for_driver(&$context) {
                return action::NEXT;
            }
            over::send($pick)
        }

        /// The same, over a driver and with a rule about VLANs.
        #[classifier]
        pub fn $tagging_over($context: TcContext) -> i32 {
            let tagged = vlan::outgoing(&$context);
            if tagged.is_ok() && over::is_for_driver(&$context) {
                return action::NEXT;
            }
            over::send(match tagged {
                Ok(()) => $pick,
                Err(reason) => Err(reason),
            })
        }
    )+};
}

// No functions or closures are passed as arguments here: the compiler would have several programs share the code, which
// then costs calls.
senders! {
    tx_active, tx_tag_active, tx_over_active, tx_over_tag_active: |_context| send::active();
    tx_layer2, tx_tag_layer2, tx_over_layer2, tx_over_tag_layer2: |context| send::bucket(&context, Policy::Layer2);
    tx_layer23, tx_tag_layer23, tx_over_layer23, tx_over_tag_layer23:
        |context| send::bucket(&context, Policy::Layer23);
    tx_layer34, tx_tag_layer34, tx_over_layer34, tx_over_tag_layer34:
        |context| send::bucket(&context, Policy::Layer34);
    tx_compat2, tx_tag_compat2, tx_over_compat2, tx_over_tag_compat2: |context| send::modulo(&context, Policy::Layer2);
    tx_compat23, tx_tag_compat23, tx_over_compat23, tx_over_tag_compat23:
        |context| send::modulo(&context, Policy::Layer23);
    tx_compat34, tx_tag_compat34, tx_over_compat34, tx_over_tag_compat34:
        |context| send::modulo(&context, Policy::Layer34);
    tx_fields, tx_tag_fields, tx_over_fields, tx_over_tag_fields: |context| send::listed_bucket(&context);
    tx_compatfields, tx_tag_compatfields, tx_over_compatfields, tx_over_tag_compatfields:
        |context| send::listed_modulo(&context);
    tx_turns, tx_tag_turns, tx_over_turns, tx_over_tag_turns: |_context| send::round_robin();
    tx_random, tx_tag_random, tx_over_random, tx_over_tag_random: |_context| send::random();
}

/// Programs for a frame that a port received: the second of each pair is for aggregates with a rule about VLANs.
macro_rules! receivers {
    ($($plain:ident, $tagging:ident: $rx_policy:ident, $former:literal;)+) => {$(
        /// A frame that a port received.
        #[classifier]
        pub fn $plain(context: TcContext) -> i32 {
            receive::receive::<false, $former>(&context, RxPolicy::$rx_policy)
        }

        /// The same, with a rule about VLANs.
        #[classifier]
        pub fn $tagging(context: TcContext) -> i32 {
            receive::receive::<true, $former>(&context, RxPolicy::$rx_policy)
        }
    )+};
}

// Where the aggregate's MAC is that of the active port, frames to the former one are taken as well.
receivers! {
    rx_active, rx_tag_active: Active, false;
    rx_former_active, rx_tag_former_active: Active, true;
    rx_designated, rx_tag_designated: Designated, false;
    rx_any, rx_tag_any: Any, false;
}

/// Programs for a frame that a port received, before the kernel makes a packet of it: the first of each pair runs in
/// the driver, the second just behind it.
macro_rules! early_receivers {
    ($($native:ident, $generic:ident: $rx_policy:ident, $tags:literal;)+) => {$(
        /// A frame that a port received, and of which there is no packet yet.
        // It may be in several pieces: else drivers refuse the program where frames are longer than a page.
        #[xdp(frags)]
        pub fn $native(context: XdpContext) -> u32 {
            early::receive::<$tags>(&context, RxPolicy::$rx_policy)
        }

        /// A frame that a port received, and of whose packet nobody knows yet.
        // In one piece. For a program that takes several, kernels (seen on 6.18) copy the frame and forget how long its
        // Ethernet header is (`mac_len`): then the receiving program is given a frame without one.
        #[xdp]
        pub fn $generic(context: XdpContext) -> u32 {
            early::receive::<$tags>(&context, RxPolicy::$rx_policy)
        }
    )+};
}

// Where all is accepted there is nothing to drop but VLANs.
early_receivers! {
    xdp_active, xdpgen_active: Active, false;
    xdp_tag_active, xdpgen_tag_active: Active, true;
    xdp_designated, xdpgen_designated: Designated, false;
    xdp_tag_designated, xdpgen_tag_designated: Designated, true;
    xdp_tag_any, xdpgen_tag_any: Any, true;
}

/// A frame that a port received, at the peer.
#[classifier]
pub fn relay(context: TcContext) -> i32 {
    deliver::relay(&context)
}

/// Writes down that the controller is at work. Attached nowhere: the controller runs it at intervals.
#[classifier]
pub fn stamp(_context: TcContext) -> i32 {
    over::stamp();
    action::NEXT
}

/// The kernel lets only programs under a licence compatible with the GPL call some helpers.
#[unsafe(no_mangle)]
#[unsafe(link_section = "license")]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

/// Nothing here panics, but the language requires a handler.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
