//! Taking an aggregate down: undoing an attach, and detaching. What others gave to it meanwhile goes to its ports.

use aggctl_engine::{
    plan::{self, LinkStep, Step},
    record::{Phase, Record},
};
use tracing::warn;

use crate::{
    execute::Executor,
    gather::{self, Return},
    left::Leftovers,
    state::Store,
};

/// Undoes an attach that did not get to its end, and forgets the aggregate: but for the steps that could not be undone,
/// which stay in the record. Never stops at an error. Returns how many steps were undone.
///
/// # Errors
/// All that could not be undone.
pub fn roll_back(store: &Store, record: &mut Record, executor: &mut Executor) -> Result<usize, Vec<String>> {
    let steps: Vec<_> = plan::rollback(record).cloned().collect();
    let mut left = Leftovers::default();
    let mut others = Return::of(executor);
    for step in &steps {
        if matches!(step, Step::Link(LinkStep::Pair { .. } | LinkStep::Bond { .. })) {
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
    let mut left = Leftovers::default();
    gather::to_ports(record, steps, executor, &mut left);
    left.finish(store, record)
}
