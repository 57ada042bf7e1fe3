//! Carrying out plans so that a failure, or the death of the process, leaves nothing half-done.
//!
//! Before a step is carried out the store notes that it has begun. Undoing runs the begun steps backwards; since undoing
//! a step that never took effect does nothing, it does not matter whether the last one did.

use std::time::Instant;

use aggctl_engine::{
    plan::{self, Step},
    record::{Phase, Record},
};
use tracing::debug;

use crate::{
    error::KernelError,
    execute::Executor,
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
    let fault = Fault::wanted();
    for index in 0..record.journal.len() {
        if record.journal[index].begun {
            continue;
        }
        let step = record.journal[index].step.clone();
        if fault == Some(Fault::Fail(index)) {
            return Err(TransactionError::Fault { index, step: Box::new(step) });
        }
        record.journal[index].begun = true;
        store.set_begun(index + 1)?;
        let started = Instant::now();
        executor.apply(&step)?;
        debug!(index, us = started.elapsed().as_micros(), ?step, "done");
        if fault == Some(Fault::Kill(index)) {
            let this = rustix::process::getpid();
            let _ = rustix::process::kill_process(this, rustix::process::Signal::KILL);
        }
    }
    Ok(())
}

/// Undoes an attach that did not get to its end, and forgets the aggregate. Never stops at an error.
///
/// # Errors
/// All that could not be undone.
pub fn roll_back(store: &Store, record: &Record, executor: &mut Executor) -> Result<(), Vec<String>> {
    let mut errors = Vec::new();
    for step in plan::rollback(record) {
        if let Err(error) = executor.undo(step) {
            errors.push(error.to_string());
        }
    }
    finish(store, errors)
}

/// Carries out the steps of a detach, then forgets the aggregate. Never stops at an error.
///
/// # Errors
/// All that could not be done.
pub fn tear_down(
    store: &Store,
    record: &mut Record,
    steps: &[Step],
    executor: &mut Executor,
) -> Result<(), Vec<String>> {
    let mut errors = Vec::new();
    record.phase = Phase::Detaching;
    if let Err(error) = store.save(record) {
        errors.push(error.to_string());
    }
    for step in steps {
        let started = Instant::now();
        if let Err(error) = executor.apply(step) {
            errors.push(error.to_string());
        }
        debug!(us = started.elapsed().as_micros(), ?step, "done");
    }
    finish(store, errors)
}

fn finish(store: &Store, mut errors: Vec<String>) -> Result<(), Vec<String>> {
    if let Err(error) = store.remove() {
        errors.push(error.to_string());
    }
    if errors.is_empty() { Ok(()) } else { Err(errors) }
}

/// A fault that a test asked for by `AGGCTL_FAULT=STEP:fail` or `AGGCTL_FAULT=STEP:kill`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// Fail before this step.
    Fail(usize),
    /// Die right after this step.
    Kill(usize),
}

impl Fault {
    fn wanted() -> Option<Self> {
        let text = std::env::var("AGGCTL_FAULT").ok()?;
        let (index, kind) = text.split_once(':')?;
        let index = index.parse().ok()?;
        match kind {
            "fail" => Some(Self::Fail(index)),
            "kill" => Some(Self::Kill(index)),
            _ => None,
        }
    }
}
