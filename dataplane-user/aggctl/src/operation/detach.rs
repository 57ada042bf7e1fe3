//! Detaching, and undoing or finishing what was left in the middle.

use aggctl_engine::{
    host::Host,
    plan,
    record::{Phase, PortRecord, Record},
};
use aggctl_kernel::{snapshot::snapshot, state::Store, undo};
use tracing::info;

use super::executor;
use crate::{
    elsewhere::{self, Moved},
    failure::Failure,
    remains,
};

/// Brings an aggregate that was left in the middle of something to one of its ends: an unfinished attach is undone, an
/// unfinished detach is finished. Returns the record if the aggregate is in place. The caller holds the lock, or knows
/// that nobody is left who could.
///
/// # Errors
/// What could not be done.
pub fn recover(store: &Store) -> Result<Option<Record>, Failure> {
    let Some(record) = store.record()? else { return Ok(None) };
    match record.phase {
        Phase::Attached => Ok(Some(record)),
        Phase::Attaching | Phase::Undoing => {
            info!("undoing an attach that did not get to its end, or what could not be undone before");
            roll_back(store, record).map(|_| None)
        }
        Phase::Detaching => {
            info!("finishing a detach");
            finish_detach(store, record).map(|()| None)
        }
    }
}

/// Undoes an attach that did not get to its end, or what could not be undone before. Returns what a report says of it.
///
/// # Errors
/// What could not be undone.
pub fn roll_back(store: &Store, mut record: Record) -> Result<&'static str, Failure> {
    let mut executor = executor(store, &record)?;
    executor.listen()?;
    undo::roll_back(store, &mut record, &mut executor)
        .map(undone)
        .map_err(|errors| Failure::Refused(format!("could not be undone: {}", left(store, &errors))))
}

/// Finishes a detach that did not get to its end.
///
/// # Errors
/// What could not be done.
pub fn finish_detach(store: &Store, record: Record) -> Result<(), Failure> {
    tear_down(store, record, true)
}

/// Detaches. The caller holds the lock.
///
/// # Errors
/// A refusal, which changed nothing; or what could not be done.
pub fn tear_down(store: &Store, mut record: Record, force: bool) -> Result<(), Failure> {
    let mut executor = executor(store, &record)?;
    // Before the picture is taken: what is not in it must be received.
    executor.listen()?;
    let host = snapshot(&mut executor.netlink)?;
    let steps = plan::detach(&host, &record, force)?;
    executor.keep(&host, &record, &record.ports);
    // Each port that is not here any more: it may be elsewhere.
    let is_elsewhere = |port: &&PortRecord| record.has_own_device() && record.interface_of(&host, port).is_none();
    for port in record.ports.iter().filter(is_elsewhere) {
        if let Moved::Restored(errors) = elsewhere::restore(&record, port, None) {
            info!(port = port.config.name, ?errors, "its settings were restored in another network namespace");
        }
    }
    undo::tear_down(store, &mut record, &steps, &mut executor).map_err(|errors| {
        Failure::Refused(format!("detached, but not everything could be restored: {}", left(store, &errors)))
    })
}

/// What a report says of steps that were undone.
pub(super) fn undone(steps: usize) -> &'static str {
    if steps == 0 { "nothing had been changed" } else { "everything was undone" }
}

/// What a report says of what could not be done.
pub(super) fn left(store: &Store, errors: &[String]) -> String {
    format!(
        "{}; mend that, then `aggctl detach {} --force` tries it again ({} keeps what is left)",
        errors.join("; "),
        store.name(),
        store.dir().display()
    )
}

/// Takes off what is left of an aggregate, and gives its addresses and routes to the first port. The caller holds the
/// lock. Returns what is not known, and so could not be restored.
///
/// # Errors
/// What could not be done.
pub fn take_off(store: &Store, host: &Host) -> Result<Vec<String>, Failure> {
    let (record, unknown) = remains::of(store).record(host);
    tear_down(store, record, true).map(|()| unknown)
}
