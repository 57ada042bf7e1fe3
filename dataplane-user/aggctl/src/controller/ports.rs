//! Adding and removing ports while the aggregate runs.

use std::time::Instant;

use aggctl_common::{IfIndex, PortId};
use aggctl_engine::{
    Event,
    aggregate::ACCEPT_GRACE,
    config::{AggregateConfig, PortConfig},
    plan::{self, Step, Subject},
    record::{Entry, PortRecord},
};
use aggctl_kernel::{
    gather,
    transaction::{self, Left},
};
use tokio::sync::oneshot;
use tracing::warn;

use super::Controller;
use crate::{
    api::Answer,
    failure::Failure,
    operation::{self, Moved},
};

/// A port that is to be removed when what is on its way to it has come.
#[derive(Debug)]
pub(super) struct Leaving {
    /// Its name.
    pub port: String,
    /// When.
    pub at: Instant,
    /// Who waits for it.
    pub answer: oneshot::Sender<Answer>,
}

impl Controller {
    /// If this port carries the traffic and another can, lets the other do so. Returns when nothing is on its way to this
    /// one any more.
    pub(super) fn hand_over(&mut self, name: &str) -> Option<Instant> {
        let id = self.port_named(name).ok()?;
        let table = self.engine.table();
        if table.choose() != Some(id) {
            return None;
        }
        // What cannot be removed keeps its traffic.
        let host = self.host().ok()?;
        plan::remove_port(&host, &self.record, id).ok()?;
        let next = table.without(id).choose()?;
        self.try_feed(Event::Activate { port: next }).ok()?;
        Some(Instant::now() + ACCEPT_GRACE)
    }

    /// The slot of the port of this name.
    pub(super) fn port_named(&self, name: &str) -> Result<PortId, Failure> {
        let port = self.record.ports.iter().find(|port| port.config.name == name);
        port.map(|port| port.id).ok_or_else(|| {
            let ports: Vec<_> = self.record.ports.iter().map(|port| port.config.name.as_str()).collect();
            let aggregate = self.store.name();
            Failure::Refused(format!("{name} is no port of {aggregate} (its ports are {})", ports.join(", ")))
        })
    }

    /// The slot of the port with this interface.
    pub(super) fn port_at(&self, index: IfIndex) -> Option<PortId> {
        self.record.ports.iter().find(|port| port.index == Some(index)).map(|port| port.id)
    }

    /// The interface of a port, if it is there.
    pub(super) fn index_of(&self, port: PortId) -> Option<IfIndex> {
        self.record.ports.iter().find(|record| record.id == port).and_then(|record| record.index)
    }

    /// Takes `config` as the aggregate's, in the record too.
    pub(super) fn reconfigure(&mut self, config: AggregateConfig) {
        self.change_record(|record| {
            for port in &mut record.ports {
                if let Some(config) = config.ports.iter().find(|config| config.name == port.config.name) {
                    port.config = config.clone();
                }
            }
            record.config = config;
        });
    }

    /// Adds a port: all or nothing.
    pub(super) fn add_port(&mut self, config: &PortConfig) -> Result<Vec<String>, Failure> {
        // Until the record says whose port it is.
        let _ports = self.store.lock_ports(operation::SHORT_PATIENCE)?;
        self.listen()?;
        let host = self.host()?;
        let (port, steps, warnings) =
            plan::add_port(&host, &self.record, config, &operation::taken(&self.store, &host)?)?;
        let warnings = warnings.iter().map(ToString::to_string).collect();
        self.take_in(port, steps)?;
        self.await_late();
        self.query_all();
        Ok(warnings)
    }

    /// Carries out the steps that make an interface a port, and begins to use it. The journal has them first, so that
    /// an adopting controller finishes what a dying one began: without it nothing is begun.
    pub(super) fn take_in(&mut self, port: PortRecord, steps: Vec<Step>) -> Result<(), Failure> {
        let (id, ifindex, config) = (port.id, port.index.unwrap_or_default(), port.config.clone());
        let length = self.record.journal.len();
        let before = self.record.clone();
        self.record.config.ports.push(port.config.clone());
        self.record.ports.push(port);
        self.record.journal.extend(steps.into_iter().map(|step| Entry { step, begun: false }));
        if let Err(error) = self.store.save(&mut self.record) {
            self.record.take_back(before);
            return Err(Failure::Refused(format!("{error}; nothing was changed, a port is added when there is room")));
        }
        if let Err(error) = transaction::run(&self.store, &mut self.record, &mut self.executor) {
            for entry in self.record.journal[length..].iter().rev().filter(|entry| entry.begun) {
                if let Err(error) = self.executor.undo(&entry.step) {
                    warn!(%error, "cannot undo a step");
                }
            }
            self.change_record(|record| record.take_back(before));
            return Err(error.into());
        }
        self.write_record();
        self.try_feed(Event::PortAdded { port: id, config, ifindex })?;
        Ok(())
    }

    /// Removes a port.
    pub(super) fn remove_port(&mut self, name: &str) -> Result<Vec<String>, Failure> {
        let id = self.port_named(name)?;
        // Until it is as it was before: nobody else shall take it as it is.
        let _ports = self.store.lock_ports(operation::SHORT_PATIENCE)?;
        self.listen()?;
        let host = self.host()?;
        let (steps, warnings) = plan::remove_port(&host, &self.record, id)?;
        let leaving: Vec<_> = self.record.ports.iter().filter(|port| port.id == id).cloned().collect();
        self.executor.keep(&host, &self.record, &leaving);
        let missing = self.record.ports.iter().find(|port| port.id == id && port.index.is_none());
        let moved = missing.map(|port| operation::restore_elsewhere(&self.record, port, None));
        self.give_up(id)?;
        let mut left = Left::default();
        left.carry_out(&steps, &mut self.executor);
        gather::restore(&self.record, &leaving, &mut self.executor, &mut left);
        let mut errors = left.into_errors();
        if let Some(Moved::Restored(elsewhere)) = &moved {
            errors.extend(elsewhere.iter().cloned());
        }
        if errors.is_empty() {
            let gone = (moved == Some(Moved::NotFound)).then(|| {
                format!("the interface of {name} is not in this network namespace: nothing was restored on it now")
            });
            Ok(warnings.iter().map(ToString::to_string).chain(gone).collect())
        } else {
            Err(Failure::Refused(format!(
                "{name} was removed, but not everything could be restored: {}",
                errors.join("; ")
            )))
        }
    }

    /// Stops using a port and forgets it. Its settings are the caller's business.
    pub(super) fn give_up(&mut self, id: PortId) -> Result<(), Failure> {
        self.try_feed(Event::PortRemoved { port: id })?;
        self.links.forget(id);
        self.change_record(|record| {
            if let Some(position) = record.ports.iter().position(|port| port.id == id) {
                let port = record.ports.remove(position);
                record.config.ports.retain(|config| config.name != port.config.name);
            }
            record.journal.retain(|entry| !is_about(&entry.step, id));
        });
        Ok(())
    }
}

/// Whether a step changes this port's own interface.
fn is_about(step: &Step, id: PortId) -> bool {
    matches!(step.subject(), Some(Subject::Port { id: port, .. }) if *port == id)
}
