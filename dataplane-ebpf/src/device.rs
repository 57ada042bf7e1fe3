//! Asking the kernel about the device of a port. See [`aggctl_common::device`] for how.

use core::arch::asm;

use aggctl_common::device::{self, placeholder};

/// Whether the kernel says that the device at this address can carry traffic.
#[inline(always)]
pub fn is_alive(address: u64) -> bool {
    device::is_alive(state(address))
}

/// Whether this kernel can be asked.
#[inline(always)]
pub fn can_be_asked() -> bool {
    let asks: u64;
    // SAFETY: it sets one register.
    unsafe {
        asm!("{asks} = {placeholder}", asks = lateout(reg) asks, placeholder = const placeholder::ASKS,
            options(pure, nomem, nostack, preserves_flags));
    }
    asks != 0
}

/// `state` of the `net_device` at this address.
#[inline(always)]
fn state(address: u64) -> u64 {
    let state: u64;
    // SAFETY: the kernel looks whether it can read from the address, and gives 0 if not. A call changes the registers
    // that are named and no others.
    unsafe {
        asm!(
            "r2 = {net_device}",
            "call {cast}",
            "r0 = *(u64 *)(r0 + {offset})",
            net_device = const placeholder::NET_DEVICE,
            cast = const placeholder::CAST,
            offset = const placeholder::STATE,
            inlateout("r1") address => _,
            lateout("r0") state,
            lateout("r2") _,
            lateout("r3") _,
            lateout("r4") _,
            lateout("r5") _,
            options(readonly, nostack)
        );
    }
    state
}
