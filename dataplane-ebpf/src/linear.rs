//! The linear part of a frame, which nearly always has its headers: where programs of every kind read them where they
//! lie.

use aggctl_common::MacAddresses;
use aya_ebpf::programs::{TcContext, XdpContext};

/// What a program is given, and what says where the linear part of the frame is.
pub trait Packet {
    /// The address of its first octet.
    fn start(&self) -> usize;
    /// The address behind its last one.
    fn end(&self) -> usize;
}

impl Packet for TcContext {
    #[inline(always)]
    fn start(&self) -> usize {
        self.data()
    }

    #[inline(always)]
    fn end(&self) -> usize {
        self.data_end()
    }
}

impl Packet for XdpContext {
    #[inline(always)]
    fn start(&self) -> usize {
        self.data()
    }

    #[inline(always)]
    fn end(&self) -> usize {
        self.data_end()
    }
}

/// What a frame begins with.
///
/// # Safety
///
/// Any octets are one, and it may lie at any even address.
pub unsafe trait Header {}

// SAFETY: both are made of numbers of two octets.
unsafe impl Header for MacAddresses {}
// SAFETY: as above.
unsafe impl<const N: usize> Header for [u16; N] {}

/// What a frame begins with, where it lies, if all of it is in the linear part.
#[inline(always)]
pub fn header<H: Header>(packet: &impl Packet) -> Option<&H> {
    let start = packet.start() as *const H;
    // SAFETY: it ends before the end of the data, as the verifier checks, and the data stays in place while nothing is
    // changed about the frame; a frame starts at an even address.
    (start as usize + size_of::<H>() <= packet.end()).then(|| unsafe { &*start })
}
