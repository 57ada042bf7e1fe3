//! What is left of undoing: the steps that failed, and why.

use std::time::Instant;

use aggctl_engine::{
    plan::Step,
    record::{JournalEntry, Phase, Record},
};
use tracing::debug;

use crate::{
    error::KernelError,
    execute::{ExecuteError, Executor},
    state::Store,
};

/// What is left to be undone.
#[derive(Debug, Default)]
pub struct Leftovers {
    /// The steps, in the order in which it was tried.
    steps: Vec<Step>,
    /// Why they could not be undone, and what else went wrong.
    errors: Vec<String>,
}

impl Leftovers {
    /// Carries out steps of which each undoes something, and never stops at an error.
    pub fn carry_out(&mut self, steps: &[Step], executor: &mut Executor) {
        for step in steps {
            let started = Instant::now();
            self.note(step.inverse().as_ref(), executor.apply(step));
            debug!(us = started.elapsed().as_micros(), ?step, "done");
        }
    }

    /// Notes that something failed which is no step.
    pub fn note_error(&mut self, error: &KernelError) {
        self.errors.push(error.to_string());
    }

    /// What went wrong.
    #[must_use]
    pub fn into_errors(self) -> Vec<String> {
        self.errors
    }

    /// Notes how it went with undoing a step; without one it was something that is not tried again.
    pub(crate) fn note(&mut self, step: Option<&Step>, undone: Result<(), ExecuteError>) {
        let failed = undone.is_err();
        self.errors.extend(undone.err().map(|error| error.to_string()));
        let Some(step) = step else { return };
        // What came after a step that will be done again is done again, too: it had the last word.
        if failed || self.steps.iter().any(|left| left.is_about_the_same_as(step)) {
            self.steps.push(step.clone());
        }
    }

    /// Forgets the aggregate, or all of it but what is left.
    pub(crate) fn finish(mut self, store: &Store, record: &mut Record) -> Result<(), Vec<String>> {
        if self.steps.is_empty() {
            if let Err(error) = store.remove() {
                self.errors.push(error.to_string());
            }
        } else {
            record.phase = Phase::Undoing;
            // Undoing runs backwards.
            record.journal = self.steps.into_iter().rev().map(|step| JournalEntry { step, begun: true }).collect();
            if let Err(error) = store.save(record).and_then(|_| store.set_begun(record.journal.len())) {
                self.errors.push(error.to_string());
            }
        }
        if self.errors.is_empty() { Ok(()) } else { Err(self.errors) }
    }
}
