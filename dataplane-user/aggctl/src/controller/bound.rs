//! What sockets bound to the ports wait for, on its way to the programs.

use std::time::Duration;

use aggctl_common::{Bound, EtherTypes};
use aggctl_engine::{
    probe,
    record::{PortRecord, Record},
};
use aggctl_kernel::{
    dataplane::BoundTable,
    packet_sockets::{ListeningSocket, listeners},
};
use tokio::time::{Interval, MissedTickBehavior};
use tracing::{info, warn};

/// How often the kernel is asked, which does not tell by itself: a program that was started receives its frames no
/// later than this. One question takes some thirty microseconds.
const PERIOD: Duration = Duration::from_millis(100);

/// Keeps the table of what is waited for.
#[derive(Debug)]
pub(super) struct BoundSockets {
    table: BoundTable,
    /// Whether the kernel did not answer the last time.
    failed: bool,
}

impl BoundSockets {
    pub(super) fn new(table: BoundTable) -> Self {
        Self { table, failed: false }
    }

    /// Asks who is bound to the ports, and tells the programs if it is not what they know. If it cannot be told, all
    /// stays as it was.
    pub(super) fn look(&mut self, record: &Record) {
        match listeners() {
            Ok(listeners) => {
                self.failed = false;
                let bound = wanted(record, &listeners);
                if bound != self.table.load() {
                    info!(ports = format!("{:#x}", bound.any), "other sockets are bound to ports");
                    self.table.publish(&bound);
                }
            }
            Err(error) if !self.failed => {
                self.failed = true;
                warn!(%error, "cannot see which sockets are bound to ports: frames for new ones go to the aggregate \
                               alone");
            }
            Err(_) => {}
        }
    }
}

/// What these listeners, and watches of ours, want of the ports.
fn wanted(record: &Record, listeners: &[ListeningSocket]) -> Bound {
    Bound::of(record.ports.iter().map(|port| {
        let here = listeners.iter().filter(|listener| port.index == Some(listener.index));
        let asked = watched(record, port);
        (port.id, EtherTypes::of(here.map(|listener| listener.ethertype).chain(asked)))
    }))
}

/// What watches of a port wait for that drops early: before its sockets receive anything.
fn watched<'a>(record: &'a Record, port: &'a PortRecord) -> impl Iterator<Item = u16> + use<'a> {
    let watches = record.config.watches_of(&port.config).all().iter().filter(|_| port.xdp.is_some());
    watches.filter_map(|watch| probe::ethertype(watch.kind))
}

/// When to look.
pub(super) fn timer() -> Interval {
    let mut timer = tokio::time::interval(PERIOD);
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    timer
}
