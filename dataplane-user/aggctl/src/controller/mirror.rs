//! Remembering what the aggregate has above the link, should somebody delete its interface.

use std::time::{Duration, Instant};

use aggctl_engine::record::{Layer3, Record};
use aggctl_kernel::{error::KernelError, netlink::Netlink};
use tracing::warn;

/// A refresh may take this part of the time.
const SHARE: u32 = 20;

/// When to look again.
#[derive(Debug)]
pub struct Mirror {
    stale: bool,
    not_before: Instant,
}

impl Default for Mirror {
    fn default() -> Self {
        Self { stale: true, not_before: Instant::now() }
    }
}

impl Mirror {
    /// Something changed.
    pub fn touch(&mut self) {
        self.stale = true;
    }

    /// Looks again, if something changed and the last look is long enough ago. Called by a timer and not by the event
    /// itself: while an interface is being deleted its addresses go first, and that is no change to remember.
    /// Returns whether the record changed.
    pub fn refresh(&mut self, netlink: &mut Netlink, record: &mut Record) -> bool {
        if !self.stale || Instant::now() < self.not_before {
            return false;
        }
        let started = Instant::now();
        let seen = look(netlink, record);
        self.not_before = Instant::now() + started.elapsed().saturating_mul(SHARE).min(Duration::from_secs(60));
        match seen {
            Ok(Some(layer3)) => {
                self.stale = false;
                let changed = layer3 != record.last_seen;
                record.last_seen = layer3;
                changed
            }
            Ok(None) => false,
            Err(error) => {
                warn!(%error, "cannot look at the aggregate's addresses");
                false
            }
        }
    }
}

/// What the aggregate has now; `None` if it is gone.
fn look(netlink: &mut Netlink, record: &Record) -> Result<Option<Layer3>, KernelError> {
    let index = record.index;
    let layer3 = Layer3 {
        addresses: netlink.addresses_of(index)?,
        routes: netlink.routes()?.into_iter().filter(|route| route.links.contains(&index)).collect(),
        nexthops: netlink.nexthops()?.into_iter().filter(|nexthop| nexthop.link == Some(index)).collect(),
        neighbours: netlink.neighbours()?.into_iter().filter(|neighbour| neighbour.link == index).collect(),
    };
    // Asked last: what was seen before was seen while it was there.
    Ok(netlink.link(index)?.filter(|link| link.admin_up).map(|_| layer3))
}
