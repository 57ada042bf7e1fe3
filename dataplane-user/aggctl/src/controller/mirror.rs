//! Remembering the aggregate's addresses, routes and neighbours, in case somebody deletes its interface.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use aggctl_common::IfIndex;
use aggctl_engine::record::{Layer3, Record};
use aggctl_kernel::netlink::{Netlink, listener::ChangeListener};
use tracing::warn;

use super::host_read::HostRead;
use crate::failure::Failure;

/// A refresh may take this part of the time.
const SHARE: u32 = 20;

/// No socket has this number: what we do to the aggregate ourselves counts like what others do.
const NOBODY: u32 = u32::MAX;

/// When to look again, and what came since.
#[derive(Debug)]
pub struct Mirror {
    stale: bool,
    not_before: Instant,
    listener: Option<ChangeListener>,
    look: HostRead<Layer3Look>,
    /// Receives what comes since the look under way began.
    next: Option<ChangeListener>,
}

/// What a look told.
#[derive(Debug)]
pub struct Layer3Look {
    /// What the aggregate had; `None` if it is gone.
    layer3: Option<Layer3>,
    /// How long that took.
    took: Duration,
}

impl Default for Mirror {
    fn default() -> Self {
        Self { stale: true, not_before: Instant::now(), listener: None, look: HostRead::default(), next: None }
    }
}

impl Mirror {
    /// Something changed.
    pub fn touch(&mut self) {
        self.stale = true;
    }

    /// Looks again at once. Returns whether the record changed.
    pub fn refresh(&mut self, netlink: &mut Netlink, record: &mut Record) -> bool {
        self.next = listen(record);
        let seen = look(netlink, record.index);
        self.take_in(seen, record)
    }

    /// Begins to look again, if something changed and the last look is long enough ago. Called by a timer and not by
    /// the event itself: while an interface is being deleted its addresses go first, and that is no change to remember.
    /// What comes between two looks is received: see [`Mirror::bring_up_to_date`].
    pub fn begin(&mut self, record: &Record) {
        let lost = self.listener.as_mut().is_some_and(|listener| {
            listener.receive(NOBODY, false);
            listener.take_overrun()
        });
        self.stale |= lost;
        if !self.stale || self.look.is_under_way() || Instant::now() < self.not_before {
            return;
        }
        self.stale = false;
        // Before the look, so that nothing comes between it and what is received.
        self.next = listen(record);
        let index = record.index;
        self.look.begin("mirror", move |netlink| look(netlink, index));
    }

    /// What the look under way told. May be given up and called again.
    pub async fn seen(&mut self) -> Result<Layer3Look, Failure> {
        self.look.result().await
    }

    /// Takes in what a look told. Returns whether the record changed.
    pub fn take_in(&mut self, seen: Result<Layer3Look, Failure>, record: &mut Record) -> bool {
        match seen {
            Ok(Layer3Look { layer3, took }) => {
                self.not_before = Instant::now() + took.saturating_mul(SHARE).min(Duration::from_secs(60));
                let Some(layer3) = layer3 else {
                    self.stale = true;
                    return false;
                };
                self.listener = self.next.take();
                let changed = layer3 != record.last_seen;
                record.last_seen = layer3;
                changed
            }
            Err(error) => {
                warn!(%error, "cannot look at the aggregate's addresses");
                self.stale = true;
                false
            }
        }
    }

    /// Makes what the record remembers what the aggregate had at last: with what came to it after the last look, and
    /// without what its owner took from it. That it lost everything with its interface is no change.
    pub fn bring_up_to_date(&mut self, record: &mut Record) {
        if let Some(listener) = &mut self.listener {
            listener.receive(NOBODY, false);
            listener.arrivals().bring_up_to_date(record.index, &mut record.last_seen);
        }
    }
}

fn listen(record: &Record) -> Option<ChangeListener> {
    let listener = ChangeListener::open(Some(BTreeSet::from([record.index])));
    listener.inspect_err(|error| warn!(%error, "cannot listen: what comes between two looks may be missed")).ok()
}

/// Looks what the aggregate has now.
fn look(netlink: &mut Netlink, index: IfIndex) -> Result<Layer3Look, Failure> {
    let began = Instant::now();
    let layer3 = Layer3 {
        addresses: netlink.addresses_of(index)?,
        routes: netlink.routes()?.into_iter().filter(|route| route.links.contains(&index)).collect(),
        nexthops: netlink.nexthops()?.into_iter().filter(|nexthop| nexthop.link == Some(index)).collect(),
        neighbours: netlink.neighbours()?.into_iter().filter(|neighbour| neighbour.link == index).collect(),
    };
    // Asked last: what was seen before was seen while it was there.
    let layer3 = netlink.link(index)?.filter(|link| link.admin_up).map(|_| layer3);
    Ok(Layer3Look { layer3, took: began.elapsed() })
}
