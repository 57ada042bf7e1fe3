//! The timekeeper: undoes an attach that was not confirmed in time, if no controller and no guardian can.
//!
//! The deadline is in the record, so that every controller knows it. This process is for the case that controller and
//! guardian are both gone by then. It ends as soon as the attach is confirmed or undone.

use std::{process::Stdio, thread, time::Duration};

use aggctl_engine::record::Record;
use aggctl_kernel::state::Store;
use tracing::warn;

use crate::{
    api::{Client, Request},
    background,
    failure::Failure,
    holder, operation,
};

/// How often it is looked whether the attach was confirmed.
const LOOK: Duration = Duration::from_secs(1);
/// How long a controller may take to undo it in time, also one that has to be started first.
const GRACE: Duration = Duration::from_secs(3);

/// Starts the timekeeper of `store`'s aggregate, if it is to be confirmed.
///
/// # Errors
/// If it cannot be started.
pub fn start(store: &Store, record: &Record) -> Result<(), Failure> {
    if record.confirm_by.is_some() {
        let mut command = tokio::process::Command::from(background::own_binary());
        command.args(["timekeeper", "--", store.name()]);
        // The runtime sees to it that it is reaped.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(background::open_log(store)?).spawn()?;
    }
    Ok(())
}

/// Waits until the attach is confirmed or undone, or undoes it.
///
/// # Errors
/// Why it could not be undone.
pub fn run(store: &Store) -> Result<(), Failure> {
    background::detach_from_terminal()?;
    let mut place = store.open_dir()?;
    let mut until = u64::MAX;
    loop {
        // The aggregate may have been renamed, or be gone.
        let Some(store) = store.follow(&mut place)? else { return Ok(()) };
        match store.record() {
            Ok(Some(Record { confirm_by: Some(at), .. })) => until = at,
            Ok(_) => return Ok(()),
            Err(error) => warn!(%error, "cannot tell whether the attach was confirmed"),
        }
        let now = Duration::from_nanos(operation::boot_time());
        let left = Duration::from_nanos(until).saturating_add(GRACE).saturating_sub(now);
        // A controller that answers sees to it itself, and knows better what was confirmed.
        if left.is_zero() && Client::ask(&store.socket(), &Request::Status).is_err() {
            return undo(&store);
        }
        thread::sleep(if left.is_zero() { LOOK } else { left.min(LOOK) });
    }
}

fn undo(store: &Store) -> Result<(), Failure> {
    let Some(_lock) = holder::replace(store, true)? else { return Ok(()) };
    match store.record()? {
        Some(record) if record.confirm_by.is_some() => {
            warn!("nobody confirmed the attach: undoing it");
            operation::finish_detach(store, record)
        }
        _ => Ok(()),
    }
}
