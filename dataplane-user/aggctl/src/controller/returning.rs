//! Interfaces that may be missing ports, come back.
//!
//! While a port is missing, any interface that an event names may be that port. Others may cause any number of events,
//! so the interfaces to be checked wait in a queue, each once, and the checks take a limited part of the time.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::{Duration, Instant},
};

use aggctl_common::{IfIndex, PortId};
use aggctl_engine::{host::Host, plan, record::PortRecord};
use aggctl_kernel::udev;
use tracing::{info, warn};

use super::{Controller, LoopControl, gone::set_index, ports::PortChange};
use crate::{failure::Failure, operation};

/// Looks end after this time; one of them may take longer.
const TURN: Duration = Duration::from_millis(1);

/// Between two turns is a pause so many times as long as the turn was.
const PAUSES: u32 = 4;

/// How long an interface that appeared is left to udev at most; udev itself gives up after three minutes, a port is
/// wanted before.
const NAMING: Duration = Duration::from_secs(10);

/// What is to be looked at.
#[derive(Debug, Default)]
pub(super) struct Returning {
    queue: VecDeque<IfIndex>,
    queued: BTreeSet<IfIndex>,
    /// Events were lost: look at everything.
    everywhere: bool,
    /// No turn begins before.
    not_before: Option<Instant>,
    /// Interfaces that will be ports again when udev has named them, and until when that is waited for.
    nameless: BTreeMap<IfIndex, Instant>,
}

impl Returning {
    /// An event named this interface.
    pub fn look_at(&mut self, index: IfIndex) {
        self.not_before.get_or_insert_with(Instant::now);
        if self.queued.insert(index) {
            self.queue.push_back(index);
        }
    }

    /// Events were lost.
    pub fn look_everywhere(&mut self) {
        self.not_before.get_or_insert_with(Instant::now);
        self.everywhere = true;
    }

    /// This interface is gone.
    pub fn forget(&mut self, index: IfIndex) {
        self.nameless.remove(&index);
    }

    /// When [`Controller::look_for_ports`] is to be called, if it is.
    pub fn due(&self) -> Option<Instant> {
        let waits = self.everywhere || !self.queue.is_empty();
        self.not_before.filter(|_| waits)
    }

    fn next(&mut self) -> Option<IfIndex> {
        let index = self.queue.pop_front()?;
        self.queued.remove(&index);
        Some(index)
    }
}

impl Controller {
    /// Whether the interface of a port is gone.
    pub(super) fn misses_a_port(&self) -> bool {
        self.record.config.wiring.has_pair() && self.record.ports.iter().any(missing)
    }

    /// Looks at what waits, for a while.
    pub(super) fn look_for_ports(&mut self) -> Result<LoopControl, Failure> {
        let began = Instant::now();
        let mut flow = LoopControl::Go;
        if std::mem::take(&mut self.returning.everywhere) {
            flow = self.look_again()?;
        }
        while began.elapsed() < TURN
            && let Some(index) = self.returning.next()
        {
            self.take_back(index);
        }
        self.returning.not_before = Some(Instant::now() + began.elapsed() * PAUSES);
        Ok(flow)
    }

    /// Begins to make an interface a port again if it is one of ours that was plugged out and in.
    fn take_back(&mut self, index: IfIndex) {
        if !self.misses_a_port() {
            self.returning.forget(index);
            return;
        }
        let Ok(Some(link)) = self.executor.netlink.link(index) else { return };
        let returns = |port: &PortRecord| port.identity.returns_as(&link, &port.config.name);
        if !self.record.ports.iter().filter(|port| missing(port)).any(returns) {
            self.returning.forget(index);
            return;
        }
        let until = *self.returning.nameless.entry(index).or_insert_with(|| Instant::now() + NAMING);
        if udev::is_busy_with(index) && Instant::now() < until {
            return;
        }
        if !self.port_changes.takes_back(index) {
            self.change_ports(PortChange::TakeBack(index));
        }
    }

    /// Makes an interface a port again if it is one of ours, by this picture of the host.
    pub(super) fn take_back_by(&mut self, index: IfIndex, host: &Host) {
        self.returning.forget(index);
        let is_it = |port: &&PortRecord| self.record.interface_of(host, port).is_some_and(|link| link.index == index);
        let mut ports = self.record.ports.iter().filter(|port| missing(port));
        let Some(id) = ports.find(is_it).map(|port| port.id) else { return };
        info!(%id, "a port is back");
        if let Err(error) = self.put_in_place(id, index, host) {
            warn!(%error, "it cannot be a port again");
        }
        self.query_all();
    }

    /// Looks whether any interface is a port that was missing.
    pub(super) fn take_back_any(&mut self) {
        if !self.misses_a_port() {
            return;
        }
        let links = self.executor.netlink.links().unwrap_or_else(|error| {
            warn!(%error, "cannot look for missing ports");
            Vec::new()
        });
        for link in links {
            if self.record.port_of(&link).is_none() {
                self.returning.look_at(link.index);
            }
        }
    }

    /// Looks again at what was left to udev, which does not say when it has finished.
    pub(super) fn take_back_named(&mut self) {
        let indexes: Vec<_> = self.returning.nameless.keys().copied().collect();
        for index in indexes {
            self.take_back(index);
        }
    }

    fn put_in_place(&mut self, id: PortId, index: IfIndex, host: &Host) -> Result<(), Failure> {
        for step in plan::repair(host, &self.record) {
            self.executor.apply(&step)?;
        }
        operation::drop_early(&mut self.executor, host, &self.record);
        self.change_record(|record| set_index(record, id, Some(index)));
        Ok(())
    }
}

fn missing(port: &PortRecord) -> bool {
    port.index.is_none()
}
