//! How traffic is spread over several ports: what the programs read in the modes `hash`, `round-robin` and `random`.
//!
//! [`fallback_orders()`] are the orders in which the ports have a claim on each bucket, [`primaries`] the table that
//! follows from them for the ports that are usable, [`rotation()`] the list of ports in turn. The rules that read them
//! are in
//! [`aggctl_common::spread`]; what owners should know is in docs/table.md.
//!
//! Fallback orders change only with the members and their weights, so the caller keeps them and makes a table out of
//! them whenever a port becomes usable or ceases to be.

use aggctl_common::{
    MAX_PORTS, PortId,
    spread::{END, MAX_FALLBACKS, TableView},
};

mod fallback_order;
mod rotation;

pub use fallback_order::fallback_orders;
pub use rotation::rotation;

/// A port, as far as its part of the traffic depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpreadMember {
    /// Its slot, below [`MAX_PORTS`]; no two ports have the same.
    pub id: PortId,
    /// How much it shall carry in proportion to the others, 1 to 255. 0 counts as 1.
    pub weight: u8,
    /// Whether it may carry traffic.
    pub usable: bool,
}

impl SpreadMember {
    /// The weight, at least 1.
    fn weight(&self) -> u8 {
        self.weight.max(1)
    }
}

/// The port of each bucket while the ports in the mask `usable` are: the first one of its order that is; [`END`] where
/// none is.
#[must_use]
pub fn primaries(fallback_orders: &[[u8; MAX_FALLBACKS]], usable: u64) -> Vec<u8> {
    let takes = |slot: &u8| *slot == END || usable & PortId(*slot).bit() != 0;
    fallback_orders.iter().map(|order| order.iter().copied().find(takes).unwrap_or(END)).collect()
}

/// How many buckets (or turns of a rotation) each slot has; its part of the traffic is that number of all. Entries
/// without port count for none.
#[must_use]
pub fn counts(entries: &[u8]) -> [u32; MAX_PORTS] {
    let mut counts = [0; MAX_PORTS];
    for slot in entries {
        if let Some(count) = counts.get_mut(usize::from(*slot)) {
            *count += 1;
        }
    }
    counts
}

/// A table as the programs see it, to ask [`aggctl_common::spread::choose`] what they do: now, or if a port failed.
/// Buckets that it does not have belong to no port.
#[derive(Clone, Copy, Debug)]
pub struct BucketTable<'a> {
    /// From [`primaries`].
    pub primaries: &'a [u8],
    /// From [`fallback_orders()`].
    pub fallback_orders: &'a [[u8; MAX_FALLBACKS]],
}

impl TableView for BucketTable<'_> {
    fn primary(&self, bucket: u32) -> u8 {
        entry(self.primaries, bucket).copied().unwrap_or(END)
    }

    fn fallback(&self, bucket: u32, position: usize) -> u8 {
        entry(self.fallback_orders, bucket).and_then(|order| order.get(position)).copied().unwrap_or(END)
    }
}

/// The entry of a bucket.
fn entry<T>(entries: &[T], bucket: u32) -> Option<&T> {
    usize::try_from(bucket).ok().and_then(|bucket| entries.get(bucket))
}

#[cfg(test)]
#[allow(clippy::cast_possible_truncation, reason = "slots, buckets and counts are small")]
mod tests;
