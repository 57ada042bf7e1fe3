//! Frames that the host sends.

use aggctl_common::{DropReason, rule};

use crate::{action, ports};

/// Sends the frame out of the port that carries the traffic. Its contents do not matter, so a VLAN tag passes as it is.
///
/// # Errors
///
/// Why it is dropped.
#[inline(always)]
pub fn send() -> Result<i32, DropReason> {
    rule::send(&ports::table()?).map(action::redirect)
}
