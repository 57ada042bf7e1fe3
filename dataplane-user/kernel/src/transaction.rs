//! Carrying out plans so that a failure, or the death of the process, leaves nothing half-done.
//!
//! Before a step is carried out the store notes that it has begun. [Undoing](crate::undo) runs the begun steps
//! backwards; since undoing a step that never took effect does nothing, it does not matter whether the last one did.

pub(crate) mod fault;

use std::time::Instant;

use aggctl_engine::record::Record;
use tracing::{debug, warn};

use crate::{
    error::KernelError,
    execute::{ExecuteError, Executor},
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
    Step(#[from] ExecuteError),
    /// A fault that a test asked for.
    #[cfg(debug_assertions)]
    #[error("the fault hook failed step {index} ({step:?})")]
    Fault {
        /// Index of the step in the journal.
        index: usize,
        /// The step.
        step: Box<aggctl_engine::plan::Step>,
    },
}

impl TransactionError {
    /// Whether an interface kept its MAC.
    #[must_use]
    pub fn refuses_mac(&self) -> bool {
        matches!(self, Self::Step(error) if error.refuses_mac())
    }
}

impl From<KernelError> for TransactionError {
    fn from(error: KernelError) -> Self {
        Self::Step(error.into())
    }
}

/// Carries out the steps of the record's journal that have not begun yet.
///
/// # Errors
/// The first step that fails. Nothing is undone: see [`crate::undo::roll_back`].
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
