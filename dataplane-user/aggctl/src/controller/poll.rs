//! Asking ports for their carrier: at each turn of the poll, and after events.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use aggctl_common::{IfIndex, PortId};
use aggctl_engine::record::PortRecord;
use tracing::warn;

use super::Controller;

/// Looks at all ports that events ask for come no closer together than this.
const SURVEY_PAUSE: Duration = Duration::from_millis(1);

/// The looks at all ports that events ask for.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// When the last one was.
    made: Option<Instant>,
    /// When to look for an event that came too soon after the last look.
    due: Option<Instant>,
    /// The ports of which events told since then.
    told: BTreeSet<PortId>,
}

impl Survey {
    /// When the next one is due, if an event asked for it too soon after the last.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    /// An event told of this port.
    pub fn ask_for(&mut self, port: PortId) {
        self.told.insert(port);
    }

    /// Whether events told of ports since the last one.
    pub fn is_asked_for(&self) -> bool {
        !self.told.is_empty()
    }
}

impl Controller {
    /// Asks for the ports of which events told, and the others for their carrier: news of a lost one may be on its way
    /// for a second. A moment later if that was done just now.
    pub(super) fn survey(&mut self) {
        let now = Instant::now();
        match self.links.survey.made.map(|at| at + SURVEY_PAUSE).filter(|at| *at > now) {
            Some(soon) => self.links.survey.due = Some(soon),
            None => {
                self.links.survey.made = Some(now);
                self.links.survey.due = None;
                for port in std::mem::take(&mut self.links.survey.told) {
                    if let Some(index) = self.index_of(port) {
                        self.query(port, index);
                    }
                }
                self.poll();
            }
        }
    }

    /// Asks all ports for their carrier, and for everything where that is another one than it was. Of all else an event
    /// tells in time.
    pub(super) fn poll(&mut self) {
        let same = |port: &&PortRecord| {
            let known = self.links.carrier(port.id);
            known.is_some() && known == self.carriers.ask(&port.config.name)
        };
        let changed = self.record.ports.iter().filter(|port| !same(port));
        for (port, index) in changed.filter_map(|port| Some((port.id, port.index?))).collect::<Vec<_>>() {
            self.query(port, index);
        }
    }

    /// Asks for the interface of a port by its index, which may be another interface's by now.
    pub(super) fn query(&mut self, port: PortId, index: IfIndex) {
        match self.executor.netlink.report(index) {
            Ok(Some(report)) if self.record.port_of(&report.link).is_some() => self.tell_port(port, &report),
            Ok(_) => self.tell_gone(port),
            Err(error) => warn!(%error, "cannot ask for a port"),
        }
    }
}
