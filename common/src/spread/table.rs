//! The table of mode `hash`: for each bucket a port, and the order in which the others take its place.
//!
//! A bucket has a *fallback order*: all ports of the aggregate in an order of its own, which does not depend on which
//! of them are usable. The bucket's port is the first usable one of its order. So a port that leaves moves only its own
//! buckets, and gets the same ones back when it returns. The *primary* is that port as it was when the table was
//! published.

use super::{END, MAX_FALLBACKS, live};
use crate::{PortId, rule::PortsView};

/// A table that the rule can read.
pub trait TableView {
    /// The slot of the port that has this bucket, or [`END`].
    fn primary(&self, bucket: u32) -> u8;
    /// The slot at `position` (below [`MAX_FALLBACKS`]) of the bucket's order; [`END`] behind the last one.
    fn fallback(&self, bucket: u32, position: usize) -> u8;
    /// [`first_usable`] of this table, wherever the code for that is best kept: it is not what happens to most frames.
    #[inline(always)]
    fn first_usable(&self, usable: u64, bucket: u32) -> Option<PortId>
    where
        Self: Sized,
    {
        first_usable(self, usable, bucket)
    }
}

/// The port that carries the flows of a bucket now: the primary while it is usable and alive, else the first of the
/// bucket's order that is. If no usable port is alive, the first usable one of the order. `None` if no port of the
/// order is usable.
///
/// If ports only became unusable since the table was published, this is what the next table says. Where a port came
/// back meanwhile, its buckets wait for that table, unless the port that has them now is gone too.
#[inline(always)]
#[must_use]
pub fn choose(ports: &impl PortsView, table: &impl TableView, bucket: u32) -> Option<PortId> {
    match live(ports.usable(), table.primary(bucket)) {
        Some(primary) if ports.is_alive(primary) => Some(primary),
        _ => table.first_usable(ports.alive(), bucket),
    }
}

/// The first port of a bucket's order that is among the usable ones.
#[inline(always)]
#[must_use]
pub fn first_usable(table: &impl TableView, usable: u64, bucket: u32) -> Option<PortId> {
    let mut position = 0;
    while position < MAX_FALLBACKS {
        let slot = table.fallback(bucket, position);
        if slot == END {
            return None;
        }
        let port = live(usable, slot);
        if port.is_some() {
            return port;
        }
        position += 1;
    }
    None
}

#[cfg(test)]
mod tests;
