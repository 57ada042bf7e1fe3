//! Frames that the host sends.

use aggctl_common::rule;

use crate::{action, drops, ports};

/// Sends the frame out of the port that carries the traffic, or drops it. Its contents do not matter, so a VLAN tag
/// passes as it is.
#[inline(always)]
pub fn send() -> i32 {
    match ports::table().and_then(|table| rule::send(&table)) {
        Ok(port) => action::redirect(port),
        Err(reason) => drops::count(reason.sent()),
    }
}
