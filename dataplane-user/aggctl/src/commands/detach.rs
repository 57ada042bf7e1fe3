//! `detach`.

use std::io::Write;

use aggctl_engine::{plan, record::Phase};
use aggctl_kernel::{
    netlink::Netlink,
    snapshot::snapshot,
    state::{Lock, Store},
};

use crate::{
    api::{Client, Request},
    failure::Failure,
    operation, remains,
};

/// Undoes an attach.
///
/// # Errors
/// A refusal, which changed nothing; or what could not be restored.
pub fn run(store: &Store, force: bool) -> Result<(), Failure> {
    if force && remains::is_lost(store)? {
        return take_off(store);
    }
    let record = store.record()?.ok_or_else(|| operation::not_there(store.name()))?;
    if record.phase == Phase::Attached {
        // Refused before the controller is sent away.
        plan::detach(&snapshot(&mut Netlink::open()?)?, &record, force)?;
    }
    let _lock = send_away(store, force)?;
    // The controller may have changed it, or undone everything itself, meanwhile.
    match store.record()? {
        None => Ok(()),
        Some(record) if matches!(record.phase, Phase::Attaching | Phase::Undoing) => {
            operation::roll_back(store, record).map(|_| ())
        }
        // One that has begun already is finished in any case.
        Some(record) => {
            let force = force || record.phase == Phase::Detaching;
            operation::tear_down(store, record, force)
        }
    }
}

/// Takes off what is left of an aggregate whose record is lost.
fn take_off(store: &Store) -> Result<(), Failure> {
    let _lock = send_away(store, true)?;
    let unknown = remains::take_off(store, &snapshot(&mut Netlink::open()?)?)?;
    let _ = writeln!(std::io::stderr(), "aggctl: warning: its record was lost; not known: {}", unknown.join("; "));
    Ok(())
}

/// Asks the controller to leave, and takes its place; the dataplane stays.
pub(super) fn send_away(store: &Store, force: bool) -> Result<Lock, Failure> {
    if let Some(mut client) = Client::connect(&store.socket())? {
        // Whether it is gone is told by its lock: it may be sooner than its answer.
        let _ = client.ask(&Request::Leave);
    }
    match operation::lock(store) {
        Err(_) if force => {
            end_holder(store)?;
            operation::lock(store)
        }
        Err(failure) => Err(Failure::Refused(format!("{failure} and does not leave; --force ends it"))),
        lock => lock,
    }
}

/// Ends a controller that does not answer.
fn end_holder(store: &Store) -> Result<(), Failure> {
    let pid = store.holder().and_then(|pid| i32::try_from(pid).ok()).and_then(rustix::process::Pid::from_raw);
    match pid.map(|pid| rustix::process::kill_process(pid, rustix::process::Signal::KILL)) {
        None | Some(Ok(()) | Err(rustix::io::Errno::SRCH)) => Ok(()),
        Some(Err(error)) => Err(Failure::Refused(format!("cannot end the controller: {error}"))),
    }
}
