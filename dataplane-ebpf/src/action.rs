//! What a program tells the kernel to do with a frame. tcx and clsact understand the same numbers.

use aggctl_common::IfIndex;
use aya_ebpf::{
    bindings::{TC_ACT_SHOT, TC_ACT_UNSPEC},
    helpers::bpf_redirect,
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
