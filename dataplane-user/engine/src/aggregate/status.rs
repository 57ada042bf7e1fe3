//! The state of an aggregate, for those who ask.

use aggctl_common::Ports;

use super::{Aggregate, port::Port};
use crate::status::{AggregateStatus, PortStatus};

impl Aggregate {
    /// The state, for people. Before every member was reported no port is active.
    #[must_use]
    pub fn status(&self) -> AggregateStatus {
        let mut ports: Vec<_> = self.ports.iter().map(|port| self.port_status(port)).collect();
        ports.sort_by_key(|port| port.id);
        AggregateStatus {
            carrier: self.carrier.unwrap_or(false),
            active: self.active_port().filter(|_| !self.config.mode.shares()).map(|port| port.id),
            designated: self.designated().map(|port| port.id),
            ports,
            ..AggregateStatus::default()
        }
    }

    /// Whether the aggregate should have carrier; `None` until all ports were reported.
    #[must_use]
    pub fn carrier(&self) -> Option<bool> {
        self.carrier
    }

    /// The table that was published last; empty before the first.
    #[must_use]
    pub fn table(&self) -> Ports {
        self.published
    }

    /// Settings of ports that are not what the aggregate needs, and that are not asked for any more at present, in
    /// words.
    #[must_use]
    pub fn unfulfilled(&self) -> Vec<String> {
        let own = self.unfulfilled_mac();
        self.ports.iter().flat_map(|port| port.unfulfilled(self.now)).chain(own).collect()
    }

    fn port_status(&self, port: &Port) -> PortStatus {
        PortStatus {
            id: port.id,
            name: port.config.name.clone(),
            link: port.raw_up(),
            usable: port.usable,
            state: self.state_of(port),
            link_failures: port.link_failures,
            why: self.why(port),
            held: self.held_status(port),
            changed_ms: None,
            watches: self.watch_statuses(port),
        }
    }
}
