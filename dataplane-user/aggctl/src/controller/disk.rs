//! What the controller writes down for others: it never depends on it. What it has in memory is the truth; what cannot be
//! written is written as soon as it can be.

use aggctl_engine::{aggregate::Memory, record::Record};
use aggctl_kernel::state::Written;
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use super::{Controller, clock::now_ms};

/// That the record on disk is behind the one in memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Behind {
    /// Since when: milliseconds since the Unix epoch.
    pub since_ms: u64,
    /// Why, in one line.
    pub why: String,
}

/// What was written.
#[derive(Debug)]
pub(super) struct Disk {
    /// The memory for the next controller.
    remembered: Memory,
    /// Whether that could not be written when it was last tried.
    forgetful: bool,
    /// Whether the log could not be trimmed when it was last tried.
    untrimmed: bool,
    /// The record's files, as they were when this controller wrote them.
    written: Option<Written>,
    /// Set while the record could not be written.
    behind: Option<Behind>,
}

impl Disk {
    /// `remembered` was found on disk; the record has not been written by this controller.
    pub(super) fn new(remembered: Memory) -> Self {
        Self { remembered, forgetful: false, untrimmed: false, written: None, behind: None }
    }

    /// Whether the record on disk is behind.
    pub(super) fn behind(&self) -> Option<&Behind> {
        self.behind.as_ref()
    }
}

impl Controller {
    /// Changes the record, in memory and, as soon as that can be, on disk.
    pub(super) fn change_record(&mut self, change: impl FnOnce(&mut Record)) {
        change(&mut self.record);
        self.write_record();
    }

    /// Writes the record. What stands in the way is said once.
    pub(super) fn write_record(&mut self) {
        match self.store.save(&self.record).and_then(|_| self.store.set_begun(self.record.journal.len())) {
            Ok(()) => {
                self.disk.written = Some(self.store.written());
                if self.disk.behind.take().is_some() {
                    info!("the record on disk is up to date again");
                }
            }
            Err(error) => {
                self.disk.written = None;
                if self.disk.behind.is_none() {
                    warn!(%error, "cannot write the record: going on, and trying again every second");
                    self.disk.behind = Some(Behind { since_ms: now_ms(), why: error.to_string() });
                }
            }
        }
    }

    /// Writes again what could not be written, or what somebody else changed.
    pub(super) fn keep_disk(&mut self) {
        if self.disk.written != Some(self.store.written()) {
            if self.disk.written.is_some() {
                warn!("somebody else changed the record on disk: writing it again");
            }
            self.write_record();
        }
        if self.disk.forgetful {
            self.write_memory();
        }
        let trimmed = self.store.trim_log();
        if let Err(error) = &trimmed
            && !self.disk.untrimmed
        {
            warn!(%error, "cannot empty the log");
        }
        self.disk.untrimmed = trimmed.is_err();
    }

    /// Leaves for the next controller what it could not find out. If that fails it is tried again with the rest.
    pub(super) fn remember(&mut self) {
        if !self.disk.forgetful {
            self.write_memory();
        }
    }

    fn write_memory(&mut self) {
        let memory = Memory { changes: self.changes.clone(), ..self.engine.memory() };
        if memory == self.disk.remembered {
            self.disk.forgetful = false;
            return;
        }
        match self.store.save_memory(&memory) {
            Ok(()) => {
                self.disk.remembered = memory;
                self.disk.forgetful = false;
            }
            Err(error) => {
                if !std::mem::replace(&mut self.disk.forgetful, true) {
                    warn!(%error, "cannot leave a memory for the next controller: trying again every second");
                }
            }
        }
    }
}
