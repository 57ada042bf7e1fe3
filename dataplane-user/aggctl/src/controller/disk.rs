//! The files that the controller writes for others. It never depends on them: what it has in memory counts. What cannot
//! be written now is written as soon as possible, and what others removed is made again.

use aggctl_engine::{aggregate::Memory, record::Record};
use aggctl_kernel::state::{StateError, Written};
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use super::{Controller, LoopControl, clock::now_ms};
use crate::{background, failure::Failure, operation};

/// That the record on disk is behind the one in memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordBehind {
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
    /// The copies of the record, as they were when this controller wrote them.
    written: Option<Written>,
    /// Whether the one in the kernel could not be written when it was last tried.
    unkept: bool,
    /// Whether the directory could not be made again when it was last tried.
    homeless: bool,
    /// Set while the record could not be written.
    behind: Option<RecordBehind>,
}

impl Disk {
    /// `remembered` was found on disk; the record has not been written by this controller.
    pub(super) fn new(remembered: Memory) -> Self {
        Self {
            remembered,
            forgetful: false,
            untrimmed: false,
            written: None,
            unkept: false,
            homeless: false,
            behind: None,
        }
    }

    /// Whether the record on disk is behind.
    pub(super) fn behind(&self) -> Option<&RecordBehind> {
        self.behind.as_ref()
    }
}

impl Controller {
    /// Changes the record, in memory and, as soon as that can be, on disk and in the kernel.
    pub(super) fn change_record(&mut self, change: impl FnOnce(&mut Record)) {
        change(&mut self.record);
        self.write_record();
    }

    /// Writes the record. What stands in the way is said once.
    pub(super) fn write_record(&mut self) {
        let saved = self.store.save(&mut self.record).and_then(|_| self.store.set_begun(self.record.journal.len()));
        let kept = self.store.keep(&self.record);
        if let Err(error) = &kept
            && !self.disk.unkept
        {
            warn!(%error, "cannot keep a copy of the record in the kernel: trying again every second");
        }
        self.disk.unkept = kept.is_err();
        match saved {
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
                    self.disk.behind = Some(RecordBehind { since_ms: now_ms(), why: error.to_string() });
                }
            }
        }
    }

    /// Writes again what could not be written, or what somebody else changed.
    pub(super) fn keep_disk(&mut self) {
        let changed = self.disk.written.is_some_and(|written| written != self.store.written());
        if changed {
            warn!("somebody else changed a copy of the record: writing all again");
        }
        if changed || self.disk.written.is_none() || self.disk.unkept {
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

    /// Makes again what others removed of the directory that holds lock and control socket, up to all of it. The record
    /// is another matter. What stands in the way is said once.
    pub(super) fn keep_dir(&mut self) -> LoopControl {
        let kept = self.make_dir_again();
        let failed = kept.is_err();
        let flow = kept.unwrap_or_else(|error| {
            if !self.disk.homeless {
                warn!(%error, "cannot make the state directory again, so that commands reach nobody: trying every \
                               second");
            }
            LoopControl::Go
        });
        self.disk.homeless = failed;
        flow
    }

    fn make_dir_again(&mut self) -> Result<LoopControl, Failure> {
        if !self.store.is_locked_by(&self.lock) {
            warn!("somebody removed the state directory, or the lock in it: making it again");
            self.store.create()?;
            match self.store.lock(operation::SHORT_PATIENCE) {
                Ok(lock) => self.lock = lock,
                Err(StateError::Locked { pid, .. }) => {
                    warn!(pid, "another process has taken the aggregate meanwhile: leaving it to that");
                    return Ok(LoopControl::End);
                }
                Err(error) => return Err(error.into()),
            }
            if self.heartbeat.has_guardian() {
                background::log_to_file(&self.store);
            }
        }
        if !self.server.is_at(&self.store.socket()) {
            self.server.listen_again(&self.store.socket())?;
        }
        Ok(LoopControl::Go)
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
