//! How traffic is spread over the ports, as the pinned maps have it.

use aggctl_common::{
    PortId, Ports,
    programs::TxPolicy,
    spread::{self, END, MAX_FALLBACKS, Rotation, TableView},
};
use aggctl_kernel::dataplane::Dataplane;

use crate::failure::Failure;

/// What the programs go by.
#[derive(Debug)]
pub enum PublishedSpread {
    /// The slot of each bucket.
    Buckets(Vec<u8>),
    /// The slots in turn.
    Rotation(Box<Rotation>),
}

impl PublishedSpread {
    /// What is published; `None` if one port carries all.
    ///
    /// # Errors
    /// If the maps cannot be read.
    pub fn of(dataplane: &Dataplane) -> Result<Option<Self>, Failure> {
        Ok(match dataplane.settings().tx_policy {
            TxPolicy::Active => None,
            TxPolicy::Buckets => dataplane.buckets()?.map(Self::Buckets),
            TxPolicy::Modulo | TxPolicy::RoundRobin | TxPolicy::Random => {
                dataplane.rotation()?.map(|rotation| Self::Rotation(Box::new(rotation)))
            }
        })
    }

    /// The slots, each as often as it is to get traffic.
    fn slots(&self) -> &[u8] {
        match self {
            Self::Buckets(slots) => slots,
            Self::Rotation(rotation) => rotation.entries(),
        }
    }

    /// The part of the traffic that a port gets, 0 to 1.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "at most 65,536")]
    pub fn share(&self, port: PortId) -> f64 {
        let slots = self.slots();
        let own = slots.iter().filter(|slot| **slot == port.0).count();
        if slots.is_empty() { 0.0 } else { own as f64 / slots.len() as f64 }
    }

    /// The name of each bucket's port, if it has one; `None` if there are no buckets.
    #[must_use]
    pub fn names(&self, name: impl Fn(PortId) -> Option<String>) -> Option<Vec<Option<String>>> {
        match self {
            Self::Buckets(slots) => Some(slots.iter().map(|slot| name(PortId(*slot))).collect()),
            Self::Rotation(_) => None,
        }
    }
}

/// A bucket, with its order of ports.
#[derive(Debug)]
pub struct Bucket {
    /// Its slot.
    pub primary: u8,
    /// The others, in order.
    pub order: [u8; MAX_FALLBACKS],
}

impl TableView for Bucket {
    fn primary(&self, _: u32) -> u8 {
        self.primary
    }

    fn fallback(&self, _: u32, position: usize) -> u8 {
        self.order.get(position).copied().unwrap_or(END)
    }
}

impl Bucket {
    /// A bucket as the programs have it.
    ///
    /// # Errors
    /// If the maps cannot be read.
    pub fn read(dataplane: &Dataplane, slots: &[u8], bucket: u32) -> Result<Self, Failure> {
        let primary = slots.get(bucket as usize).copied().unwrap_or(END);
        Ok(Self { primary, order: dataplane.fallback(bucket)?.unwrap_or([END; MAX_FALLBACKS]) })
    }

    /// The port that it leads to while these are usable.
    #[must_use]
    pub fn port(&self, ports: &Ports) -> Option<PortId> {
        spread::choose(ports, self, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_the_part_of_all_buckets() {
        let spread = PublishedSpread::Buckets(vec![0, 0, 0, 5]);
        assert_eq!([0, 5, 1].map(|slot| spread.share(PortId(slot))), [0.75, 0.25, 0.0]);
        assert_eq!(PublishedSpread::Buckets(Vec::new()).share(PortId(0)), 0.0);
    }
}
