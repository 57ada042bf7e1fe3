//! `detach`.

use aggctl_engine::{
    plan,
    record::{Phase, Record},
};
use aggctl_kernel::{netlink::Netlink, snapshot::snapshot, state::Store};

use crate::{
    api::{Client, Request},
    failure::Failure,
    operation,
};

/// Undoes an attach.
///
/// # Errors
/// A refusal, which changed nothing; or what could not be restored.
pub fn run(store: &Store, force: bool) -> Result<(), Failure> {
    let record = store.record()?.ok_or_else(|| operation::not_there(store.name()))?;
    if record.phase == Phase::Attached {
        // Refused before the controller is sent away.
        plan::detach(&snapshot(&mut Netlink::open()?)?, &record, force)?;
    }
    send_away(store, force)?;
    let _lock = operation::lock(store)?;
    // The controller may have changed it, or undone everything itself, meanwhile.
    match store.record()? {
        None => Ok(()),
        Some(record) if record.phase == Phase::Attaching => operation::roll_back(store, &record),
        Some(record) => tear_down(store, record, force),
    }
}

fn tear_down(store: &Store, record: Record, force: bool) -> Result<(), Failure> {
    let host = snapshot(&mut Netlink::open()?)?;
    // A detach that has begun already is finished in any case.
    let force = force || record.phase == Phase::Detaching;
    operation::tear_down(store, record, &host, force)
}

/// Asks the controller to leave; the dataplane stays.
fn send_away(store: &Store, force: bool) -> Result<(), Failure> {
    let Some(mut client) = Client::connect(&store.socket())? else { return Ok(()) };
    match client.ask(&Request::Leave) {
        Ok(_) => Ok(()),
        // It may be gone before its answer is.
        Err(_) if store.holder().is_none() => Ok(()),
        Err(failure) if !force => Err(Failure::Refused(format!("{failure}; use --force to detach all the same"))),
        Err(_) => end_holder(store),
    }
}

/// Ends a controller that does not answer.
fn end_holder(store: &Store) -> Result<(), Failure> {
    let pid = store.holder().and_then(|pid| i32::try_from(pid).ok()).and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid {
        // Its guardian would start another: that one finds the lock taken, or the aggregate gone.
        rustix::process::kill_process(pid, rustix::process::Signal::KILL)
            .map_err(|error| Failure::Refused(format!("cannot end the controller: {error}")))?;
    }
    Ok(())
}
