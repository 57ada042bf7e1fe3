//! The way of a frame from the port that received it to the aggregate.
//!
//! Either straight, out of the peer, where what leaves arrives on the aggregate. Or, where the peer is in a network
//! namespace of its own, by the short way: `bpf_redirect_peer` to the aggregate puts the frame at the peer's ingress,
//! and the relay that is attached there puts it at the aggregate's, at once and without a queue.
//!
//! On the short way the kernel takes every frame for one to this host (it resets the packet type). For frames to a
//! group, and for those to others, which a promiscuous port receives, that would be wrong: a router would forward them.
//! So the port's program labels each frame, and the relay lets those out of the peer, where the kernel looks at the
//! destination again. What has no label was sent by this host past the sending program, and must not come back.

use core::hint::cold_path;

use aggctl_common::IfIndex;
use aya_ebpf::{Global, bindings::BPF_F_INGRESS, programs::TcContext};

use crate::action;

/// The interface number of the peer or, on the short way, of the aggregate. Set when the program is loaded.
#[unsafe(no_mangle)]
static TARGET: Global<u32> = Global::new(0);

/// Whether there is a relay: 1 or 0. Set when the program is loaded.
#[unsafe(no_mangle)]
static RELAYED: Global<u32> = Global::new(0);

/// `PACKET_HOST` of linux/if_packet.h: a frame to the MAC of the interface that received it.
const PACKET_HOST: u32 = 0;
/// The label of a frame to this host. Numbers that are hardly found there by chance.
const TO_HOST: u32 = 0x266c_1e01;
/// The label of any other frame.
const TO_OTHERS: u32 = 0x266c_1e02;

/// Gives the frame to the aggregate.
#[inline(always)]
pub fn deliver(context: &TcContext) -> i32 {
    let target = IfIndex(TARGET.load());
    if RELAYED.load() == 0 {
        return action::redirect(target);
    }
    let frame = context.skb.skb;
    // SAFETY: the kernel gives the program a valid context, of which the packet type may be read and the control block,
    // which nobody else uses between two ingress hooks, be written.
    unsafe {
        let label = if (*frame).pkt_type == PACKET_HOST { TO_HOST } else { TO_OTHERS };
        core::ptr::write_volatile(&raw mut (*frame).cb[0], label);
    }
    action::redirect_peer(target)
}

/// Gives the aggregate a copy. One that finds no memory is lost like any frame on a wire; the original stays.
#[inline(always)]
pub fn copy(context: &TcContext) {
    // A clone cannot take the short way. At the ingress the kernel looks at its destination itself; only the
    // aggregate's counter does not see it.
    let flags = if RELAYED.load() == 0 { 0 } else { u64::from(BPF_F_INGRESS) };
    let _ = context.clone_redirect(TARGET.load(), flags);
}

/// Passes on, at the peer, what a port's program labelled.
#[inline(always)]
pub fn relay(context: &TcContext) -> i32 {
    let frame = context.skb.skb;
    // SAFETY: the kernel gives the program a valid context.
    let (label, peer) = unsafe { (core::ptr::read_volatile(&raw const (*frame).cb[0]), (*frame).ifindex) };
    if label == TO_HOST {
        return action::redirect_peer(IfIndex(peer));
    }
    cold_path();
    if label == TO_OTHERS { action::redirect(IfIndex(peer)) } else { action::DROP }
}
