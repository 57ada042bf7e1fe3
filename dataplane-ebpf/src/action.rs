//! What a program tells the kernel to do with a frame. tcx and clsact understand the same numbers.

use aggctl_common::{IfIndex, bound};
use aya_ebpf::{
    bindings::{TC_ACT_SHOT, TC_ACT_UNSPEC},
    helpers::{bpf_redirect, bpf_redirect_peer, bpf_skb_change_type},
    programs::TcContext,
};

/// Let whoever comes after us decide (`TCX_NEXT`), which ends at the interface's own sockets. `TC_ACT_OK` would end the
/// chain instead.
pub const NEXT: i32 = TC_ACT_UNSPEC;

/// `PACKET_OTHERHOST` of linux/if_packet.h: a frame to another host.
const PACKET_OTHERHOST: u32 = 3;

/// Drop.
pub const DROP: i32 = TC_ACT_SHOT;

/// Send it out of an interface.
#[inline(always)]
pub fn redirect(to: IfIndex) -> i32 {
    // SAFETY: the helper takes two numbers and touches no memory of ours.
    unsafe { bpf_redirect(to.0, 0) as i32 }
}

/// Put it at the ingress of the other end of this interface, which is in another network namespace. At an ingress hook
/// only.
///
/// Minimum kernel version: 5.10 (netkit: 6.7).
#[inline(always)]
pub fn redirect_peer(of: IfIndex) -> i32 {
    // SAFETY: the helper takes two numbers and touches no memory of ours.
    unsafe { bpf_redirect_peer(of.0, 0) as i32 }
}

/// The protocol that the kernel goes by when it looks for sockets and handlers: the EtherType, behind the outermost
/// tag.
#[inline(always)]
pub fn protocol(context: &TcContext) -> u16 {
    // SAFETY: the kernel gives the program a valid context.
    u16::from_be(unsafe { (*context.skb.skb).protocol } as u16)
}

/// Leaves the frame to the port's own sockets. The port's IPv4, ARP and IPv6 take it for another host's, and leave it
/// alone: it is for the aggregate to answer, once, or for nobody.
#[inline(always)]
pub fn leave(context: &TcContext) -> i32 {
    // SAFETY: the helper changes a word of the frame's description.
    if bound::is_answered(protocol(context)) && unsafe { bpf_skb_change_type(context.skb.skb, PACKET_OTHERHOST) } != 0 {
        return DROP;
    }
    NEXT
}
