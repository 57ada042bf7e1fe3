//! Ports whose interface went away: unplugged, removed, or moved to another network namespace. How they come back is in
//! [`returning`](super::returning).

use aggctl_common::{IfIndex, PortId};
use aggctl_engine::{Event, record::Record};
use tracing::{info, warn};

use super::Controller;
use crate::elsewhere::{self, Moved};

impl Controller {
    /// An interface is gone, perhaps to another network namespace, where its index is `elsewhere`.
    pub(super) fn on_deleted(&mut self, index: IfIndex, elsewhere: Option<IfIndex>) {
        self.returning.forget(index);
        if let Some(port) = self.port_at(index) {
            self.tell_gone(port);
        }
        // A question may have found out before.
        if let Some(port) = self.links.left.remove(&index)
            && elsewhere.is_some()
        {
            self.let_go(port, elsewhere);
        }
    }

    /// The interface of a port is gone, and its index means nothing from now on.
    pub(super) fn tell_gone(&mut self, port: PortId) {
        self.links.forget(port);
        self.feed(Event::Gone { port });
        let Some(index) = self.index_of(port) else { return };
        self.links.left.insert(index, port);
        // It may live on in another network namespace, where one of our programs would drop what is its own, and
        // another send to whoever has our indexes there.
        let dataplane = &self.executor.dataplane;
        let off = dataplane.detach_early(port);
        if let Err(error) = off.and(dataplane.detach_rx(port, IfIndex::NONE, self.record.hook)) {
            warn!(%error, "cannot take the programs off a port that is gone");
        }
        self.change_record(|record| set_index(record, port, None));
    }

    /// Takes the settings of a port off an interface that was moved to another network namespace. That is nothing to
    /// wait for: there may be many namespaces.
    pub(super) fn let_go(&self, port: PortId, elsewhere: Option<IfIndex>) {
        let Some(port) = self.record.ports.iter().find(|record| record.id == port).cloned() else { return };
        if !self.record.has_own_device() {
            return; // nothing was set
        }
        let record = self.record.clone();
        std::thread::spawn(move || {
            let name = port.config.name.as_str();
            match elsewhere::restore(&record, &port, elsewhere) {
                Moved::Restored(errors) => info!(name, ?errors, "a port was moved: it has its settings back there"),
                Moved::NotFound => warn!(name, "a port was moved to a network namespace that cannot be entered"),
            }
        });
    }
}

/// Notes the interface that a port has now.
pub(super) fn set_index(record: &mut Record, id: PortId, index: Option<IfIndex>) {
    if let Some(port) = record.ports.iter_mut().find(|port| port.id == id) {
        port.index = index;
    }
}
