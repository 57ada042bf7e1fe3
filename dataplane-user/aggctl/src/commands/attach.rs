//! `attach` and `adopt`.

use std::{
    future::ready,
    rc::Rc,
    thread,
    time::{Duration, Instant},
};

use aggctl_engine::{bond::NoBond, config::AggregateConfig, options::differences, plan, record::Phase};
use aggctl_kernel::{
    privilege,
    state::{StateError, Store},
};

use super::{
    await_ports::await_ports,
    internal::{Foreground, log_to_stderr},
};
use crate::{
    api::{Client, Request, Unanswered},
    background,
    cli::AttachRequest,
    controller::{self, Start},
    failure::Failure,
    holder,
    operation::{self, AttachWish},
    output,
};

/// How long a controller that has reported its failure may take to leave.
const LEAVING: Duration = Duration::from_secs(1);
/// How long a guardian takes to start another controller.
const SUCCESSION: Duration = Duration::from_millis(300);

/// Attaches. Over an aggregate of the same name and options that runs without a controller it adopts; if that is
/// wished, over one that runs in any way.
///
/// # Errors
/// Why not; nothing was changed then.
pub fn run(request: &AttachRequest) -> Result<(), Failure> {
    let store = operation::store(&request.config.name)?;
    if let Some(pid) = store.holder() {
        let runs = store.record()?.filter(|record| request.or_adopt && record.phase == Phase::Attached);
        let record = runs.ok_or_else(|| operation::busy(&store, pid))?;
        if !request.foreground && Client::ask(&store.socket(), &Request::Status).is_ok() {
            warn_of_differences(&record.asked(), &completed(request)?);
            return Ok(());
        }
        // Whoever has it in the foreground takes the guardian's place, too.
        drop(holder::replace(&store, true)?);
    }
    if let Some(runs) = orphan(&store)? {
        take_over(&runs, request)?;
        return begin(ready(Ok(Start::Adopt)), &store, request.foreground);
    }
    let start = async {
        if let Some(limit) = request.wait {
            await_ports(&request.config, limit).await?;
        }
        let config = completed(request)?;
        let wish = AttachWish { config, confirm: request.confirm, checks: request.checks };
        Ok(Start::Attach(Box::new(wish)))
    };
    begin(start, &store, request.foreground).map_err(|failure| match forget(&store) {
        Ok(()) => failure,
        Err(error) => Failure::Refused(format!("{failure}; {error}")),
    })
}

/// What is asked for, with what follows from the device of that name.
pub(super) fn completed(request: &AttachRequest) -> Result<AggregateConfig, Failure> {
    let mut config = request.config.clone();
    operation::complete(&mut config, request.mode_is_chosen)?;
    if config.wiring.has_pair() && config.lacp.on {
        let elsewhere = NoBond::LacpElsewhere { name: config.name };
        return Err(Failure::Usage(format!("{elsewhere}; on a device of our own it is not built yet")));
    }
    if config.wiring.has_pair() && config.ports.is_empty() {
        return Err(Failure::Usage(plan::Refusal::NoPort { name: config.name }.to_string()));
    }
    Ok(config)
}

/// Whether what runs without a controller may be taken over.
fn take_over(runs: &AggregateConfig, request: &AttachRequest) -> Result<(), Failure> {
    let asked = completed(request)?;
    if !plan::is_as_asked(runs, &asked) && !request.or_adopt {
        return Err(Failure::Refused(format!(
            "{name} is attached already, with other options; `aggctl adopt {name}` (or --or-adopt) takes it over as it \
             is, `aggctl detach {name}` undoes it",
            name = runs.name
        )));
    }
    warn_of_differences(runs, &asked);
    Ok(())
}

fn warn_of_differences(runs: &AggregateConfig, asked: &AggregateConfig) {
    differences(runs, asked).iter().for_each(|difference| output::warn(difference));
}

/// The configuration of an aggregate that runs without a controller. What was left half-done is put right first.
fn orphan(store: &Store) -> Result<Option<AggregateConfig>, Failure> {
    if store.record()?.is_none() {
        return Ok(None);
    }
    operation::make_place(store)?;
    let _lock = match operation::lock(store) {
        // A detach has come to its end meanwhile.
        Err(_) if !store.dir().exists() => return Ok(None),
        locked => locked?,
    };
    let Some(record) = operation::recover(store)? else { return Ok(None) };
    if !record.config.wiring.has_pair() && !operation::is_there(&record)? {
        // The driver's device went while nobody watched, and took all that was ours.
        operation::finish_detach(store, record)?;
        return Ok(None);
    }
    Ok(Some(record.asked()))
}

/// Starts a controller for an aggregate that runs without one.
///
/// # Errors
/// If there is no such aggregate, or a controller runs.
pub fn adopt(store: &Store, foreground: bool) -> Result<(), Failure> {
    if store.record()?.is_none() {
        return Err(operation::not_there(store.name()));
    }
    operation::make_place(store)?;
    if store.holder().is_some() && is_controlled(store)? {
        return Ok(());
    }
    begin(ready(Ok(Start::Adopt)), store, foreground)
}

/// Whether a controller came meanwhile. One that does not answer is ended.
fn is_controlled(store: &Store) -> Result<bool, Failure> {
    let has_one = |pid| Failure::Refused(format!("{} has a controller already: process {pid}", store.name()));
    match (Client::ask(&store.socket(), &Request::Status), store.holder()) {
        (Ok(_), Some(pid)) => Err(has_one(pid)),
        (Err(Unanswered::Silent), Some(_)) => {
            holder::end(store)?;
            // Its guardian starts another, if that is alive.
            thread::sleep(SUCCESSION);
            Ok(Client::ask(&store.socket(), &Request::Status).is_ok())
        }
        (_, Some(pid)) => Err(operation::busy(store, pid)),
        (_, None) => Ok(false),
    }
}

/// Puts a controller of this version in the place of the one that runs. The dataplane stays.
///
/// # Errors
/// If that one does not leave, or no other takes over.
pub(super) fn replace(store: &Store) -> Result<(), Failure> {
    drop(holder::replace(store, false)?);
    match adopt(store, false) {
        // A service manager may have been faster.
        Err(_) if store.holder().is_some() => Ok(()),
        done => done,
    }
}

/// Starts a controller, once it is known what for.
fn begin(start: impl Future<Output = Result<Start, Failure>>, store: &Store, foreground: bool) -> Result<(), Failure> {
    if foreground {
        privilege::give_up()?;
        log_to_stderr();
        return controller::run_when(start, store.clone(), Rc::new(Foreground::new()));
    }
    // A signal ends this process as it does any: nothing has begun.
    let start = tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(start)?;
    store.create()?;
    match start {
        Start::Attach(wish) => {
            background::start(store, Some(&serde_json::to_vec(&wish).map_err(std::io::Error::from)?))
        }
        Start::Adopt => background::start(store, None),
    }
}

/// Removes the directory that was made for an attach which then did not happen.
fn forget(store: &Store) -> Result<(), Failure> {
    let until = Instant::now() + LEAVING;
    // The controller has said why, but may not have left yet. It may also have removed all of it itself, or belong to
    // somebody who was faster.
    while store.record()?.is_none() && store.dir().exists() {
        match store.lock(Duration::ZERO) {
            Ok(_lock) if store.record()?.is_none() => store.remove()?,
            Err(StateError::Locked { .. }) if Instant::now() < until => thread::sleep(Duration::from_millis(5)),
            // There was no room for it.
            Err(_) if !store.has_lock() => store.remove()?,
            _ => break,
        }
    }
    Ok(())
}
