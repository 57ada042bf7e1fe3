//! What a program tells the kernel to do with a frame. tcx and clsact understand the same numbers.

use aggctl_common::IfIndex;
use aya_ebpf::{
    bindings::{TC_ACT_SHOT, TC_ACT_UNSPEC},
    helpers::{bpf_redirect, bpf_redirect_peer},
};

/// Let whoever comes after us decide (`TCX_NEXT`), which ends at the interface's own sockets. `TC_ACT_OK` would end the
/// chain instead.
pub const NEXT: i32 = TC_ACT_UNSPEC;

/// Drop.
pub const DROP: i32 = TC_ACT_SHOT;

/// Send it out of an interface.
#[inline(always)]
pub fn redirect(to: IfIndex) -> i32 {
    // SAFETY: the helper takes two numbers and touches no memory of ours.
    unsafe { bpf_redirect(to.0, 0) as i32 }
}

/// Put it at the ingress of the other end of this interface, which is in another network namespace. At an ingress hook only.
///
/// Minimum kernel version: 5.10 (netkit: 6.7).
#[inline(always)]
pub fn redirect_peer(of: IfIndex) -> i32 {
    // SAFETY: the helper takes two numbers and touches no memory of ours.
    unsafe { bpf_redirect_peer(of.0, 0) as i32 }
}
