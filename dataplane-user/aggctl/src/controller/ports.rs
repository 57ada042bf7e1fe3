//! Adding and removing ports while the aggregate runs, and taking them back.
//!
//! A plan is made of a picture of the host, which is read on a thread of its own ([`HostRead`]): it asks for each
//! interface of the host. One change is under way at a time.

use std::{collections::VecDeque, time::Instant};

use aggctl_common::{IfIndex, PortId};
use aggctl_engine::{
    Event,
    aggregate::ACCEPT_GRACE,
    config::{AggregateConfig, PortConfig},
    event::Member,
    host::Host,
    plan::{self, OtherAggregates, Step, Subject},
    record::{JournalEntry, PortRecord},
};
use aggctl_kernel::{gather, left::Leftovers, snapshot::snapshot, state::Lock, transaction};
use tokio::sync::oneshot;
use tracing::warn;

use super::{Controller, host_read::HostRead};
use crate::{
    api::{Answer, reply},
    elsewhere::{self, Moved},
    failure::Failure,
    operation::{self, PORTS_PATIENCE},
};

/// A change of the ports.
#[derive(Debug)]
pub(super) enum PortChange {
    /// An interface becomes a port.
    Add(PortConfig, oneshot::Sender<Answer>),
    /// The port of this name ceases to be one.
    Remove(String, oneshot::Sender<Answer>),
    /// This interface may be a port again.
    TakeBack(IfIndex),
}

/// The changes that were asked for.
#[derive(Debug, Default)]
pub(super) struct PortChanges {
    waiting: VecDeque<PortChange>,
    present: Option<PortChange>,
    /// What the present one waits for.
    picture: HostRead<PortChangeInput>,
}

/// What a change is planned by.
#[derive(Debug)]
pub(super) struct PortChangeInput {
    /// The host.
    host: Host,
    /// What belongs to other aggregates.
    taken: OtherAggregates,
    /// Until the record says whose port it is, or it is as it was before: nobody else shall take it.
    _ports: Lock,
}

impl PortChanges {
    /// The picture for the present change, as soon as it is taken. May be given up and called again.
    pub async fn picture(&mut self) -> Result<PortChangeInput, Failure> {
        self.picture.result().await
    }

    /// Whether one has begun.
    pub fn is_under_way(&self) -> bool {
        self.present.is_some()
    }

    /// Whether an interface is about to be taken back.
    pub fn takes_back(&self, index: IfIndex) -> bool {
        let is_it = |change: &PortChange| matches!(change, PortChange::TakeBack(known) if *known == index);
        self.waiting.iter().chain(&self.present).any(is_it)
    }
}

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
    /// If this port carries the traffic and another can, lets the other do so. Returns when nothing is on its way to
    /// this one any more.
    pub(super) fn hand_over(&mut self, name: &str) -> Option<Instant> {
        let id = self.port_named(name).ok()?;
        let table = self.engine.table();
        if table.choose() != Some(id) {
            return None;
        }
        // What cannot be removed keeps its traffic: the record tells.
        plan::remove_port(&Host::default(), &self.record, id).ok()?;
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

    /// Changes the ports when it is this one's turn.
    pub(super) fn change_ports(&mut self, change: PortChange) {
        self.port_changes.waiting.push_back(change);
        self.begin_change();
    }

    /// Begins with the next change, unless one is under way.
    fn begin_change(&mut self) {
        while self.port_changes.present.is_none()
            && let Some(change) = self.port_changes.waiting.pop_front()
        {
            // Before the picture is taken: what is not in it must be received.
            match self.listen() {
                Err(failure) => self.conclude_change(change, Err(failure)),
                Ok(()) => {
                    let store = self.store.clone();
                    self.port_changes.present = Some(change);
                    self.port_changes.picture.begin("picture", move |netlink| {
                        let ports = store.lock_ports(PORTS_PATIENCE)?;
                        let host = snapshot(netlink)?;
                        Ok(PortChangeInput { taken: operation::taken(&store, &host)?, host, _ports: ports })
                    });
                }
            }
        }
    }

    /// Carries out the present change.
    pub(super) fn on_picture(&mut self, picture: Result<PortChangeInput, Failure>) {
        // Drivers may be slow.
        self.heartbeat.long();
        if let Some(change) = self.port_changes.present.take() {
            self.conclude_change(change, picture);
        }
        self.begin_change();
    }

    fn conclude_change(&mut self, change: PortChange, picture: Result<PortChangeInput, Failure>) {
        let (answer, done) = match change {
            PortChange::Add(config, answer) => (answer, picture.and_then(|picture| self.add_port(&config, &picture))),
            PortChange::Remove(port, answer) => {
                (answer, picture.and_then(|picture| self.remove_port(&port, &picture.host)))
            }
            PortChange::TakeBack(index) => {
                match picture {
                    Ok(picture) => self.take_back_by(index, &picture.host),
                    Err(error) => warn!(%error, "cannot look for missing ports"),
                }
                return;
            }
        };
        reply(answer, done.map(|warnings| self.warned(warnings)));
    }

    /// Adds a port: all or nothing.
    fn add_port(&mut self, config: &PortConfig, picture: &PortChangeInput) -> Result<Vec<String>, Failure> {
        let (port, steps, warnings) = plan::add_port(&picture.host, &self.record, config, &picture.taken)?;
        let warnings = warnings.iter().map(ToString::to_string).collect();
        self.take_in(port, steps)?;
        self.await_late();
        self.query_all();
        Ok(warnings)
    }

    /// Carries out the steps that make an interface a port, and begins to use it. The journal has them first, so that
    /// an adopting controller finishes what a dying one began: without it nothing is begun.
    pub(super) fn take_in(&mut self, port: PortRecord, steps: Vec<Step>) -> Result<(), Failure> {
        let member = member(&port);
        let length = self.record.journal.len();
        let before = self.record.clone();
        self.record.config.ports.push(port.config.clone());
        self.record.ports.push(port);
        self.record.journal.extend(steps.into_iter().map(JournalEntry::planned));
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
            if error.refuses_mac() {
                return Err(Failure::Refused(format!(
                    "{error}: with mac-policy same-all every port needs the MAC of {name}; leave that port out, or use \
                     `aggctl set {name} mac-policy=by-active` first (mode active-backup); nothing was changed",
                    name = self.store.name()
                )));
            }
            return Err(error.into());
        }
        self.write_record();
        self.try_feed(Event::PortAdded(member))?;
        Ok(())
    }

    /// Removes a port.
    fn remove_port(&mut self, name: &str, host: &Host) -> Result<Vec<String>, Failure> {
        let id = self.port_named(name)?;
        // What its owner changed just now survives, too.
        self.query_all();
        let (steps, warnings) = plan::remove_port(host, &self.record, id)?;
        let leaving: Vec<_> = self.record.ports.iter().filter(|port| port.id == id).cloned().collect();
        self.executor.keep(host, &self.record, &leaving);
        let missing = self.record.ports.iter().find(|port| port.id == id && port.index.is_none());
        let moved = missing.map(|port| elsewhere::restore(&self.record, port, None));
        self.give_up(id)?;
        let mut left = Leftovers::default();
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

/// A port as the engine wants it.
pub(super) fn member(port: &PortRecord) -> Member {
    Member {
        id: port.id,
        ifindex: port.index.unwrap_or_default(),
        config: port.config.clone(),
        own: port.own_flags(),
        mac: port.before.mac,
    }
}

/// Whether a step changes this port's own interface.
fn is_about(step: &Step, id: PortId) -> bool {
    matches!(step.subject(), Some(Subject::Port { id: port, .. }) if *port == id)
}
