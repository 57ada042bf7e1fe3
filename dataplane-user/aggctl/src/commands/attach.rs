//! `attach` and `adopt`.

use aggctl_kernel::state::Store;

use super::{
    background::{Foreground, log_to_stderr},
    detach::send_away,
};
use crate::{
    background,
    cli::AttachRequest,
    controller::{self, Start, Wish},
    failure::Failure,
    operation,
};

/// Attaches. Over an aggregate of the same name and options that runs without a controller it adopts.
///
/// # Errors
/// Why not; nothing was changed then.
pub fn run(request: &AttachRequest) -> Result<(), Failure> {
    let store = operation::store(&request.config.name)?;
    if let Some(pid) = store.holder() {
        return Err(Failure::Refused(format!(
            "{name} is attached already and controlled by process {pid}; change it with `aggctl set {name}`, or \
             `aggctl detach {name}` first",
            name = store.name()
        )));
    }
    let start = match orphan(&store)? {
        None => Start::Attach(Wish {
            config: request.config.clone(),
            confirm: request.confirm,
            insistence: request.insistence,
        }),
        Some(config) if config == request.config => Start::Adopt,
        Some(_) => {
            return Err(Failure::Refused(format!(
                "{name} is attached already, with other options; `aggctl adopt {name}` takes it over as it is, `aggctl \
                 detach {name}` undoes it",
                name = store.name()
            )));
        }
    };
    store.create()?;
    begin(&store, start, request.foreground).map_err(|failure| match forget(&store) {
        Ok(()) => failure,
        Err(error) => Failure::Refused(format!("{failure}; {error}")),
    })
}

/// The configuration of an aggregate that runs without a controller. What was left half-done is put right first.
fn orphan(store: &Store) -> Result<Option<aggctl_engine::config::AggregateConfig>, Failure> {
    if store.record()?.is_none() {
        return Ok(None);
    }
    let _lock = operation::lock(store)?;
    Ok(operation::recover(store)?.map(|record| record.config))
}

/// Starts a controller for an aggregate that runs without one.
///
/// # Errors
/// If there is no such aggregate, or a controller runs.
pub fn adopt(store: &Store, foreground: bool) -> Result<(), Failure> {
    if store.record()?.is_none() {
        return Err(operation::not_there(store.name()));
    }
    if let Some(pid) = store.holder() {
        return Err(Failure::Refused(format!("{} has a controller already: process {pid}", store.name())));
    }
    begin(store, Start::Adopt, foreground)
}

/// Puts a controller of this version in the place of the one that runs. The dataplane stays.
///
/// # Errors
/// If that one does not leave, or no other takes over.
pub(super) fn replace(store: &Store) -> Result<(), Failure> {
    drop(send_away(store, false)?);
    match adopt(store, false) {
        // A service manager may have been faster.
        Err(_) if store.holder().is_some() => Ok(()),
        done => done,
    }
}

fn begin(store: &Store, start: Start, foreground: bool) -> Result<(), Failure> {
    if foreground {
        log_to_stderr();
        return controller::run(store.clone(), start, &Foreground);
    }
    let wish = match start {
        Start::Attach(wish) => serde_json::to_vec(&wish).map_err(std::io::Error::from)?,
        Start::Adopt => Vec::new(),
    };
    background::start(store, &wish)
}

/// Removes the directory that was made for an attach which then did not happen.
fn forget(store: &Store) -> Result<(), Failure> {
    if store.record()?.is_some() {
        return Ok(());
    }
    // The controller has said why, but may not have left yet. It may also have removed all of it itself.
    let lock = operation::lock(store);
    if store.record()?.is_none() && (lock.is_ok() || !store.has_lock()) {
        store.remove()?;
    }
    Ok(())
}
