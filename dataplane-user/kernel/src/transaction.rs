//! Carrying out plans so that a failure, or the death of the process, leaves nothing half-done.
//!
//! Before a step is carried out the store notes that it has begun. Undoing runs the begun steps backwards; since
//! undoing a step that never took effect does nothing, it does not matter whether the last one did.

mod fault;

use std::time::Instant;

use aggctl_engine::{
    plan::{self, LinkStep, Step},
    record::{JournalEntry, Phase, Record},
};
use tracing::{debug, warn};

use crate::{
    error::KernelError,
    execute::Executor,
    gather::{self, Return},
    state::{StateError, Store},
};

/// What stopped a plan.
#[derive(Debug, thiserror::Error)]
pub enum TransactionError {
    /// The state directory failed.
    #[error(transparent)]
    State(#[from] StateError),
    /// A step failed.
    #[error(transparent)]
    Step(#[from] KernelError),
    /// A fault that a test asked for.
    #[cfg(debug_assertions)]
    #[error("the fault hook failed step {index} ({step:?})")]
    Fault {
        /// Index of the step in the journal.
        index: usize,
        /// The step.
        step: Box<Step>,
    },
}

/// Carries out the steps of the record's journal that have not begun yet.
///
/// # Errors
/// The first step that fails. Nothing is undone: see [`roll_back`].
pub fn run(store: &Store, record: &mut Record, executor: &mut Executor) -> Result<(), TransactionError> {
    carry_out(record, executor, |count| store.set_begun(count))
}

/// The same for the journal of an aggregate that runs already, where what cannot be written down is done all the same:
/// doing it once more does nothing.
///
/// # Errors
/// The first step that fails.
pub fn resume(store: &Store, record: &mut Record, executor: &mut Executor) -> Result<(), TransactionError> {
    carry_out(record, executor, |count| {
        if let Err(error) = store.set_begun(count) {
            warn!(%error, "cannot write down what has begun");
        }
        Ok(())
    })
}

fn carry_out(
    record: &mut Record,
    executor: &mut Executor,
    note: impl Fn(usize) -> Result<(), StateError>,
) -> Result<(), TransactionError> {
    for index in 0..record.journal.len() {
        if record.journal[index].begun {
            continue;
        }
        let step = record.journal[index].step.clone();
        fault::before(index, &step)?;
        record.journal[index].begun = true;
        note(index + 1)?;
        let started = Instant::now();
        executor.apply(&step)?;
        debug!(index, us = started.elapsed().as_micros(), ?step, "done");
        fault::after(index);
    }
    Ok(())
}

/// Undoes an attach that did not get to its end, and forgets the aggregate: but for the steps that could not be undone,
/// which stay in the record. Never stops at an error. Returns how many steps were undone.
///
/// # Errors
/// All that could not be undone.
pub fn roll_back(store: &Store, record: &mut Record, executor: &mut Executor) -> Result<usize, Vec<String>> {
    let steps: Vec<_> = plan::rollback(record).cloned().collect();
    let mut left = Left::default();
    let mut others = Return::of(executor);
    for step in &steps {
        if matches!(step, Step::Link(LinkStep::Pair { .. })) {
            others.hand_back(record, executor, &mut left);
        }
        left.note(Some(step), executor.undo(step));
    }
    // What came at the last moment.
    others.hand_back(record, executor, &mut left);
    gather::restore(record, &record.ports, executor, &mut left);
    left.finish(store, record).map(|()| steps.len())
}

/// Carries out the steps of a detach, then forgets the aggregate: but for the steps that failed, which stay in the
/// record. Never stops at an error.
///
/// # Errors
/// All that could not be done.
pub fn tear_down(
    store: &Store,
    record: &mut Record,
    steps: &[Step],
    executor: &mut Executor,
) -> Result<(), Vec<String>> {
    record.phase = Phase::Detaching;
    // What is to be undone is known all the same.
    if let Err(error) = store.save(record) {
        warn!(%error, "cannot write down that a detach has begun");
    }
    if let Err(error) = store.keep(record) {
        warn!(%error, "cannot write down in the kernel that a detach has begun");
    }
    let mut left = Left::default();
    gather::to_ports(record, steps, executor, &mut left);
    left.finish(store, record)
}

/// What is left to be undone.
#[derive(Debug, Default)]
pub struct Left {
    /// The steps, in the order in which it was tried.
    steps: Vec<Step>,
    /// Why they could not be undone, and what else went wrong.
    errors: Vec<String>,
}

impl Left {
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
    fn note(&mut self, step: Option<&Step>, undone: Result<(), KernelError>) {
        let failed = undone.is_err();
        self.errors.extend(undone.err().map(|error| error.to_string()));
        let Some(step) = step else { return };
        // What came after a step that will be done again is done again, too: it had the last word.
        if failed || self.steps.iter().any(|left| left.is_about_the_same_as(step)) {
            self.steps.push(step.clone());
        }
    }

    /// Forgets the aggregate, or all of it but what is left.
    fn finish(mut self, store: &Store, record: &mut Record) -> Result<(), Vec<String>> {
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
