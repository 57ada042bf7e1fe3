//! Frames that the host sends.

use aggctl_common::rule;
use aya_ebpf::programs::TcContext;

use crate::{action, drops, ports, vlan};

/// Sends the frame, with the tag that it has on the wire, out of the port that carries the traffic, or drops it.
#[inline(always)]
pub fn send(context: &TcContext) -> i32 {
    match vlan::outgoing(context).and_then(|()| ports::table()).and_then(|table| rule::send(&table)) {
        Ok(port) => action::redirect(port),
        Err(reason) => drops::count(reason.sent()),
    }
}
