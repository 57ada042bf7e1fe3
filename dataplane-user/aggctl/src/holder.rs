//! The process that holds an aggregate's lock: asking it to leave, and ending it if it does not answer.

use std::time::{Duration, Instant};

use aggctl_kernel::{
    process::{self, ProcessHandle},
    state::{Lock, StateError, Store},
};
use tracing::warn;

use crate::{
    api::{Client, Request, Unanswered},
    failure::Failure,
    operation,
};

/// How long one that was asked to leave, or ended, may hold on to the lock.
const LEAVING: Duration = Duration::from_secs(1);
/// How long others may be waited for in all, each of which does something.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks the controller to leave, and takes its place; the dataplane stays. With `force`, one that does not answer is
/// ended. `None` if the aggregate was removed meanwhile.
///
/// # Errors
/// If somebody holds on to the lock.
pub fn replace(store: &Store, force: bool) -> Result<Option<Lock>, Failure> {
    let until = Instant::now() + PATIENCE;
    loop {
        match Client::ask(&store.socket(), &Request::Leave) {
            Err(Unanswered::Silent) if force => end(store)?,
            Err(Unanswered::Silent) => {
                let (name, pid) = (store.name(), store.holder().unwrap_or_default());
                return Err(Failure::Refused(format!(
                    "the controller of {name} (process {pid}) does not answer; --force ends it"
                )));
            }
            // Whether it is gone is told by its lock: it may be sooner than its answer.
            Ok(_) | Err(Unanswered::Nobody | Unanswered::Gone) => {}
            Err(Unanswered::Failed(failure)) => return Err(failure),
        }
        match store.lock(LEAVING) {
            Ok(lock) => return Ok(Some(lock)),
            Err(StateError::Locked { .. }) if force && is_stopped(store.holder()) => end(store)?,
            // A guardian was faster, and has started another; or somebody else is at work.
            Err(StateError::Locked { .. }) if Instant::now() < until => {}
            Err(StateError::Locked { pid, .. }) => return Err(operation::busy(store, pid)),
            Err(_) if !store.dir().exists() => return Ok(None),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Ends the process that holds the lock, if it is one of ours, and its guardian if somebody stopped that, too.
///
/// # Errors
/// If it is none of ours, or cannot be ended.
pub fn end(store: &Store) -> Result<(), Failure> {
    let Some(pid) = store.holder() else { return Ok(()) };
    let guardian = process::parent(pid).filter(|parent| is_guardian(*parent) && is_stopped(Some(*parent)));
    // In this order: who is held is then looked at, and no other process.
    let Some(held) = ProcessHandle::take(pid)? else { return Ok(()) };
    if !held.has_open(&store.dir().join("lock")) {
        return Err(Failure::Refused(format!(
            "the lock of {} names process {pid}, which has nothing to do with it; see who holds it: `lslocks`",
            store.name()
        )));
    }
    warn!(pid, "ending a process that does not answer");
    held.kill()?;
    if let Some(guardian) = guardian.map(ProcessHandle::take).transpose()?.flatten() {
        guardian.kill()?;
    }
    Ok(())
}

/// Whether a process is a guardian of ours.
pub fn is_guardian(pid: u32) -> bool {
    process::own_arguments(pid).is_some_and(|words| words.first().is_some_and(|word| word == "guardian"))
}

fn is_stopped(pid: Option<u32>) -> bool {
    pid.and_then(process::sight).is_some_and(|sight| sight.stopped)
}
