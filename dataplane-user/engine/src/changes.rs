//! The time of day at which things changed last, for `show`.

use std::collections::BTreeMap;

use aggctl_common::PortId;
use serde::{Deserialize, Serialize};

use crate::status::{AggregateStatus, PortState};

/// The last change of an aggregate and of each of its ports.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastChanges {
    aggregate: Option<Since<(bool, Option<PortId>)>>,
    ports: BTreeMap<PortId, Since<(bool, PortState)>>,
}

/// What something is, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Since<T> {
    /// Milliseconds since the Unix epoch.
    at_ms: u64,
    to: T,
}

impl LastChanges {
    /// Takes in the present state.
    pub fn note(&mut self, now_ms: u64, status: &AggregateStatus) {
        let is = (status.carrier, status.active);
        if self.aggregate.is_none_or(|known| known.to != is) {
            self.aggregate = Some(Since { at_ms: now_ms, to: is });
        }
        self.ports.retain(|id, _| status.ports.iter().any(|port| port.id == *id));
        for port in &status.ports {
            let is = (port.link, port.state);
            if self.ports.get(&port.id).is_none_or(|known| known.to != is) {
                self.ports.insert(port.id, Since { at_ms: now_ms, to: is });
            }
        }
    }

    /// Writes the times into a status.
    pub fn date(&self, status: &mut AggregateStatus) {
        status.changed_ms = self.aggregate.map(|change| change.at_ms);
        for port in &mut status.ports {
            port.changed_ms = self.ports.get(&port.id).map(|change| change.at_ms);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::PortStatus;

    fn status(active: u8, links: [bool; 2]) -> AggregateStatus {
        let port = |id: u8| PortStatus {
            id: PortId(id),
            name: format!("eth{id}"),
            link: links[usize::from(id)],
            usable: links[usize::from(id)],
            state: if id == active { PortState::Active } else { PortState::Standby },
            link_failures: 0,
            why: String::new(),
            held: None,
            changed_ms: None,
            watches: Vec::new(),
        };
        let ports = vec![port(0), port(1)];
        AggregateStatus { carrier: true, active: Some(PortId(active)), ports, ..AggregateStatus::default() }
    }

    fn dates(changes: &LastChanges, status: &AggregateStatus) -> (Option<u64>, Vec<Option<u64>>) {
        let mut status = status.clone();
        changes.date(&mut status);
        (status.changed_ms, status.ports.iter().map(|port| port.changed_ms).collect())
    }

    #[test]
    fn only_what_changes_gets_a_new_time() {
        let mut changes = LastChanges::default();
        changes.note(1, &status(0, [true, true]));
        changes.note(2, &status(0, [true, true]));
        changes.note(3, &status(0, [true, false]));
        assert_eq!(dates(&changes, &status(0, [true, false])), (Some(1), vec![Some(1), Some(3)]));
        changes.note(4, &status(1, [true, false]));
        assert_eq!(dates(&changes, &status(1, [true, false])), (Some(4), vec![Some(4), Some(4)]));
    }

    #[test]
    fn times_outlive_a_controller_and_a_port_takes_its_own_along() {
        let mut changes = LastChanges::default();
        changes.note(1, &status(0, [true, true]));
        let kept: LastChanges = serde_json::from_str(&serde_json::to_string(&changes).unwrap()).unwrap();
        assert_eq!(kept, changes);
        let mut alone = status(0, [true, true]);
        alone.ports.pop();
        changes.note(5, &alone);
        changes.note(6, &status(0, [true, true]));
        assert_eq!(dates(&changes, &status(0, [true, true])), (Some(1), vec![Some(1), Some(6)]));
    }
}
