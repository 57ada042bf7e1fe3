//! Finding an aggregate, and having it to oneself.

use std::{
    thread,
    time::{Duration, Instant},
};

use aggctl_engine::record::Phase;
use aggctl_kernel::{
    netlink::Netlink,
    netns, process,
    state::{Lock, StateError, Store},
};

use crate::failure::Failure;

/// How long a lock may be held by one that is about to leave.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long a controller may take to make a directory again that somebody removed: it looks every second.
const REMAKING: Duration = Duration::from_secs(2);

/// How long an attach waits for others that attach, or add or remove ports.
pub const PORTS_PATIENCE: Duration = Duration::from_secs(10);
/// How long a controller, which has its ports to watch, waits for others.
pub const SHORT_PATIENCE: Duration = Duration::from_millis(500);

/// The failure of a command on an aggregate that does not exist.
pub fn not_there(name: &str) -> Failure {
    Failure::Refused(format!("there is no aggregate {name} in this network namespace; see `aggctl show`"))
}

/// Takes the lock for somebody who is about to change the aggregate.
///
/// # Errors
/// If another process holds on to it: the line says what that does. If the aggregate is gone.
pub fn lock(store: &Store) -> Result<Lock, Failure> {
    store.lock(PATIENCE).map_err(|error| match error {
        StateError::Locked { pid, .. } => busy(store, pid),
        // The one who had it removed all.
        _ if !store.dir().exists() => not_there(store.name()),
        error => error.into(),
    })
}

/// Makes the directory of an aggregate again if somebody removed it, or the lock in it. A controller that lives does so
/// itself, and is waited for. Returns whether that was so.
///
/// # Errors
/// If the record cannot be read, or the directory not be made.
pub fn make_place(store: &Store) -> Result<bool, Failure> {
    if store.has_lock() || store.record()?.is_none() {
        return Ok(false);
    }
    let until = Instant::now() + REMAKING;
    while !store.has_lock() && Instant::now() < until {
        thread::sleep(Duration::from_millis(20));
    }
    store.create()?;
    Ok(true)
}

/// The failure of a command that came second: what process `pid` does with the aggregate.
pub fn busy(store: &Store, pid: u32) -> Failure {
    let name = store.name();
    let command = process::own_arguments(pid).and_then(|words| words.into_iter().next()).unwrap_or_default();
    let phase = store.record().map(|record| record.map(|record| record.phase));
    Failure::Refused(match (phase, &*command) {
        (Ok(Some(Phase::Detaching | Phase::Undoing)), _) | (_, "detach") => {
            format!("{name} is being detached by process {pid}; try again when that is done")
        }
        (Ok(None | Some(Phase::Attaching)), _) => {
            format!("{name} is being attached by process {pid}; see `aggctl show {name}` when that is done")
        }
        (Ok(Some(Phase::Attached)) | Err(_), _) => format!(
            "{name} is attached already and controlled by process {pid}; change it with `aggctl set {name}`, or \
             `aggctl detach {name}` first"
        ),
    })
}

/// The state of the aggregate `name` of the present network namespace. That of one whose interface was renamed while
/// nobody watched is found by the present name, too.
///
/// # Errors
/// If the namespace cannot be told.
pub fn store(name: &str) -> Result<Store, Failure> {
    let store = Store::new(netns::cookie()?, name);
    let Some(link) = Netlink::open()?.link_named(name)? else { return Ok(store) };
    let keeps = |store: &Store| store.record().ok().flatten().is_some_and(|record| record.is_aggregate(&link));
    if keeps(&store) {
        return Ok(store);
    }
    let mut others = Store::names(store.cookie())?.into_iter().map(|name| Store::new(store.cookie(), name));
    Ok(others.find(keeps).unwrap_or(store))
}

/// Nanoseconds since boot, suspend included.
pub fn boot_time() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    u64::try_from(now.tv_sec).unwrap_or_default() * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or_default()
}
