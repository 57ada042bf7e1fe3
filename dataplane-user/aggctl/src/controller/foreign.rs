//! Noticing what others put on the ports: once when it appears, and once when it is gone.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use aggctl_common::{IfIndex, PortId};
use aggctl_engine::{action::Notice, foreign::Foreign};
use aggctl_kernel::{error::KernelError, foreign, watch::EventBatch};
use tracing::warn;

use super::Controller;

/// A look may take this part of the time.
const SHARE: u32 = 20;
/// The longest pause between two looks.
const LONGEST: Duration = Duration::from_secs(60);

/// What is known of it.
#[derive(Debug)]
pub(super) struct OnPorts {
    on: BTreeMap<PortId, BTreeSet<Foreign>>,
    stale: bool,
    not_before: Instant,
}

impl Default for OnPorts {
    fn default() -> Self {
        Self { on: BTreeMap::new(), stale: true, not_before: Instant::now() }
    }
}

impl Controller {
    /// Whether to look again, after these events.
    pub(super) fn suspect_foreign(&mut self, batch: &EventBatch) {
        let mut links = batch.addresses.iter().chain(&batch.changed).chain(batch.deleted.keys());
        self.foreign.stale |= batch.routes || batch.overrun || links.any(|index| self.port_at(*index).is_some());
    }

    /// Looks again if anything may have changed, and tells what did.
    pub(super) fn look_for_foreign(&mut self) {
        if !self.foreign.stale || Instant::now() < self.foreign.not_before {
            return;
        }
        let began = Instant::now();
        self.foreign.stale = false;
        let ports = self.record.ports.iter();
        let ports: Vec<_> = ports.map(|port| (port.id, port.config.name.clone(), port.index)).collect();
        self.foreign.on.retain(|id, _| ports.iter().any(|(port, ..)| port == id));
        for (id, name, index) in ports {
            match self.foreign_on(index) {
                Ok(found) => self.tell_foreign(id, &name, found),
                Err(error) => {
                    warn!(%error, port = name, "cannot look for what others put on a port");
                    self.foreign.stale = true;
                }
            }
        }
        self.foreign.not_before = Instant::now() + began.elapsed().saturating_mul(SHARE).min(LONGEST);
    }

    /// What is on a port; nothing if its interface is gone.
    fn foreign_on(&mut self, index: Option<IfIndex>) -> Result<BTreeSet<Foreign>, KernelError> {
        let netlink = &mut self.executor.netlink;
        let link = index.map(|index| netlink.link(index)).transpose()?.flatten();
        match link.filter(|link| self.record.port_of(link).is_some()) {
            Some(link) => foreign::look(netlink, &link),
            None => Ok(BTreeSet::new()),
        }
    }

    fn tell_foreign(&mut self, id: PortId, port: &str, found: BTreeSet<Foreign>) {
        let former = self.foreign.on.insert(id, found.clone()).unwrap_or_default();
        for Foreign { kind, what } in former.difference(&found).cloned() {
            self.notify(Notice::ForeignGone { port: port.to_owned(), kind, what });
        }
        for foreign in found.difference(&former).cloned() {
            warn!(port, %foreign, "somebody else put this on a port: it may take traffic past the aggregate");
            let Foreign { kind, what } = foreign;
            self.notify(Notice::Foreign { port: port.to_owned(), kind, what });
        }
    }
}
