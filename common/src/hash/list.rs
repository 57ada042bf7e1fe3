//! Hash policies that are lists of fields: any fields of the headers, and of what the kernel knows of a frame beside
//! them.
//!
//! A frame is read for the listed fields alone, and what is found goes into the hash in words at fixed
//! places, whatever the order of the list. A field that a frame does not have is hashed as 0. Behind
//! up to two VLAN tags within the frame the headers are found as without, and a tag counts the same within the frame
//! and beside it, where the kernel keeps the outermost one.
//!
//! All fragments of a datagram are without what follows the IP header, also the first one; so is an IPv6 packet with
//! extension headers, and `proto` is then the number of the first of these. An ICMP error is hashed as the packet that
//! it is, not as the one that it quotes.

mod beside;
mod field;
mod find;
mod found;
mod masks;
mod mix;

pub use beside::{Beside, Known, Tag};
pub use field::{Field, FieldList, PrefixLengths};
use find::find;
pub use found::{Found, Value};
pub use masks::{Masks, Wanted};

use crate::frame::Frame;

/// The hash of the fields of a frame that are wanted, unseeded, or nothing if it is shorter than an Ethernet header.
#[inline(always)]
pub fn hash<W, F, B>(wanted: &W, frame: &F, beside: &B) -> Option<u32>
where
    W: Wanted,
    F: Frame + ?Sized,
    B: Beside,
{
    Some(find(wanted, frame, beside)?.hash(wanted))
}

/// The same together with what was found, or nothing if the frame is shorter than an Ethernet header.
#[must_use]
pub fn fields<F: Frame + ?Sized>(list: &FieldList, frame: &F, beside: &Known) -> Option<(Found, u32)> {
    let masks = Masks::of(list);
    let found = find(&masks, frame, beside)?;
    Some((found, found.hash(&masks)))
}

#[cfg(test)]
mod tests;
