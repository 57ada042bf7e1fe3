//! How traffic is spread over the ports, as the pinned maps have it.

use aggctl_common::{
    PortId, Ports,
    programs::Selection,
    spread::{self, Cycle, END, ROW, TableView},
};
use aggctl_kernel::dataplane::Dataplane;

use crate::failure::Failure;

/// What the programs go by.
#[derive(Debug)]
pub enum Spread {
    /// The slot of each bucket.
    Buckets(Vec<u8>),
    /// The slots in turn.
    Cycle(Box<Cycle>),
}

impl Spread {
    /// What is published; `None` if one port carries all.
    ///
    /// # Errors
    /// If the maps cannot be read.
    pub fn of(dataplane: &Dataplane) -> Result<Option<Self>, Failure> {
        Ok(match dataplane.settings().selection {
            Selection::Active => None,
            Selection::Buckets => dataplane.buckets()?.map(Self::Buckets),
            Selection::Modulo | Selection::RoundRobin | Selection::Random => {
                dataplane.cycle()?.map(|cycle| Self::Cycle(Box::new(cycle)))
            }
        })
    }

    /// The slots, each as often as it is to get traffic.
    fn slots(&self) -> &[u8] {
        match self {
            Self::Buckets(slots) => slots,
            Self::Cycle(cycle) => cycle.turns(),
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
            Self::Cycle(_) => None,
        }
    }
}

/// A bucket, with its order of ports.
#[derive(Debug)]
pub struct Bucket {
    /// Its slot.
    pub primary: u8,
    /// The others, in order.
    pub row: [u8; ROW],
}

impl TableView for Bucket {
    fn primary(&self, _: u32) -> u8 {
        self.primary
    }

    fn row(&self, _: u32, position: usize) -> u8 {
        self.row.get(position).copied().unwrap_or(END)
    }
}

impl Bucket {
    /// A bucket as the programs have it.
    ///
    /// # Errors
    /// If the maps cannot be read.
    pub fn read(dataplane: &Dataplane, slots: &[u8], bucket: u32) -> Result<Self, Failure> {
        let primary = slots.get(bucket as usize).copied().unwrap_or(END);
        Ok(Self { primary, row: dataplane.row(bucket)?.unwrap_or([END; ROW]) })
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
        let spread = Spread::Buckets(vec![0, 0, 0, 5]);
        assert_eq!([0, 5, 1].map(|slot| spread.share(PortId(slot))), [0.75, 0.25, 0.0]);
        assert_eq!(Spread::Buckets(Vec::new()).share(PortId(0)), 0.0);
    }
}
