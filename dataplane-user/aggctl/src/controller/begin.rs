//! How a controller begins: by attaching, or by taking over what runs.

use std::{future::ready, rc::Rc};

use aggctl_engine::record::Record;
use aggctl_kernel::{
    state::{Lock, Store},
    watch::Watcher,
};
use tracing::info;

use super::{Controller, Start, Supervisor, heartbeat::Heartbeat, signals::Signals};
use crate::{
    api::{Alive, Server},
    failure::Failure,
    operation, timekeeper,
};

/// Runs the controller of `store`'s aggregate until it is asked to leave, or the aggregate is gone.
///
/// # Errors
/// If it cannot begin. An attach was undone then.
pub fn run(store: Store, start: Start, supervisor: Rc<dyn Supervisor>) -> Result<(), Failure> {
    run_when(ready(Ok(start)), store, supervisor)
}

/// As [`run`], once it is known what for. If it is asked to leave before that, nothing was done.
///
/// # Errors
/// Those of [`run`], and why there is nothing to start for.
pub fn run_when(
    start: impl Future<Output = Result<Start, Failure>>,
    store: Store,
    supervisor: Rc<dyn Supervisor>,
) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // Whoever asks it to leave while it attaches finds all in place, and not the half of it.
        let mut signals = Signals::listen()?;
        let start = tokio::select! {
            () = signals.next() => return Ok(()),
            start = start => start?,
        };
        let lock = lock(&store, &start)?;
        // What can fail without a trace comes first.
        let watcher = Watcher::open()?;
        let alive = Alive::new();
        let server = Server::listen(&store.socket(), alive.clone())?;
        let heartbeat = Heartbeat::new(supervisor.clone(), alive);
        let attaches = matches!(start, Start::Attach(_));
        let mut controller = match start {
            Start::Attach(wish) => {
                if store.record()?.is_some() {
                    return Err(Failure::Refused(format!("{} was attached by somebody else meanwhile", store.name())));
                }
                let (record, listener) = operation::attach(&store, &wish, &mut |warning| supervisor.warn(warning))?;
                let timed = timekeeper::start(&store, &record);
                let mut controller = timed
                    .and_then(|()| {
                        Controller::new(store.clone(), lock, record.clone(), watcher, server, heartbeat, signals)
                    })
                    .map_err(|failure| undone(&store, record, &failure))?;
                controller.executor.listener = listener;
                controller
            }
            Start::Adopt => {
                let record = operation::adopt(&store, &mut |warning| supervisor.warn(warning))?;
                Controller::new(store, lock, record, watcher, server, heartbeat, signals)?
            }
        };
        controller.query_all();
        controller.keep_disk();
        // Whatever is deleted by others from here on can be given back.
        if controller.record.has_own_device() {
            controller.mirror.refresh(&mut controller.executor.netlink, &mut controller.record);
        }
        if attaches && controller.record.has_own_device() {
            controller.await_late();
        }
        supervisor.ready();
        info!(aggregate = controller.store.name(), "in control");
        controller.run().await
    })
}

/// Takes the lock. To attach, the directory is made again if another one that failed to attach has just removed it.
fn lock(store: &Store, start: &Start) -> Result<Lock, Failure> {
    match operation::lock(store) {
        Err(_) if matches!(start, Start::Attach(_)) && !store.dir().exists() => {
            store.create()?;
            operation::lock(store)
        }
        locked => locked,
    }
}

/// Undoes an attach whose controller could not begin.
fn undone(store: &Store, record: Record, failure: &Failure) -> Failure {
    match operation::finish_detach(store, record) {
        Ok(()) => Failure::Refused(format!("{failure}; everything was undone")),
        Err(error) => Failure::Refused(format!("{failure}; {error}")),
    }
}
