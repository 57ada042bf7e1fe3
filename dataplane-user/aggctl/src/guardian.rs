//! The guardian: the small parent of a background controller.
//!
//! It restarts a controller that died, which then adopts; and it undoes an attach, or finishes a detach, during which the
//! controller died. It ends when the controller leaves in good order.

use std::{
    io::{Read, Write},
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};

use aggctl_engine::record::Phase;
use aggctl_kernel::state::Store;
use tokio::{
    process::Child,
    signal::unix::{SignalKind, signal},
};
use tracing::{info, warn};

use crate::{
    background::{self, Report},
    failure::Failure,
    operation,
};

/// A controller that lived this long is restarted at once.
const SETTLED: Duration = Duration::from_secs(10);
/// The longest pause before a restart.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Runs the guardian of `store`'s aggregate. Standard input holds the wish for an attach, and is empty for an adopt.
///
/// # Errors
/// If no controller can be started.
pub fn run(store: &Store) -> Result<(), Failure> {
    background::detach_from_terminal()?;
    let mut wish = Vec::new();
    std::io::stdin().read_to_end(&mut wish)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(guard(store, &wish))
}

async fn guard(store: &Store, wish: &[u8]) -> Result<(), Failure> {
    let mut end = signal(SignalKind::terminate())?;
    let mut attaching = !wish.is_empty();
    let mut pause = Duration::from_millis(10);
    let place = store.open_dir()?;
    let mut store = store.clone();
    loop {
        let started = Instant::now();
        let mut child = spawn(&store, attaching.then_some(wish))?;
        let status = tokio::select! {
            status = child.wait() => status?,
            _ = end.recv() => {
                // Asked to leave: so is the controller, and the dataplane stays.
                terminate(&child);
                child.wait().await?
            }
        };
        if status.code() == Some(0) {
            return Ok(());
        }
        // The aggregate may have been renamed while the controller lived.
        match Store::at(store.cookie(), &place) {
            Some(present) => store = present,
            None => return Ok(()),
        }
        // Nobody else puts things right meanwhile.
        let lock = operation::lock(&store)?;
        let record = match store.record() {
            Ok(Some(record)) => record,
            Ok(None) => {
                Report::Failed(format!("the controller ended ({}) before anything was done", describe(status))).send();
                return Ok(());
            }
            Err(error) => {
                // The aggregate is there all the same: an adopting controller rebuilds what it can, or says why not.
                warn!(%error, "starting another controller");
                drop(lock);
                attaching = false;
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    _ = end.recv() => return Ok(()),
                }
                pause = LONGEST_PAUSE;
                continue;
            }
        };
        match record.phase {
            Phase::Undoing => {
                warn!("not everything could be undone: what is left is kept");
                return Ok(());
            }
            Phase::Attaching => {
                warn!("the controller died during attach: undoing it");
                let undone = operation::roll_back(&store, record);
                let outcome = undone.map_or_else(|error| error.to_string(), str::to_owned);
                Report::Failed(format!("the controller died ({}) during attach; {outcome}", describe(status))).send();
                return Ok(());
            }
            Phase::Detaching => {
                warn!("the controller died during detach: finishing it");
                return operation::finish_detach(&store, record);
            }
            Phase::Attached if status.code() == Some(1) && started.elapsed() < SETTLED && !attaching => {
                // It said why it cannot run (locked, another layout); trying again at once would say the same.
                pause = LONGEST_PAUSE;
            }
            Phase::Attached => {}
        }
        drop(lock);
        if started.elapsed() >= SETTLED {
            pause = Duration::from_millis(10);
        }
        info!(status = %describe(status), pause_ms = pause.as_millis(), "the controller ended: starting another");
        attaching = false;
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = end.recv() => return Ok(()),
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Starts a controller: with a wish it attaches, without one it adopts.
fn spawn(store: &Store, wish: Option<&[u8]>) -> Result<Child, Failure> {
    let mut command = background::own_binary();
    command.arg("controller");
    if wish.is_none() {
        command.arg("--adopt");
    }
    // Others may have renamed it to what looks like an option.
    command.arg("--").arg(store.name());
    command.stdin(if wish.is_some() { Stdio::piped() } else { Stdio::null() });
    let mut command = tokio::process::Command::from(command);
    let mut child = command.spawn()?;
    if let (Some(wish), Some(stdin)) = (wish, child.stdin.take()) {
        // Smaller than a pipe's buffer, so this does not wait; a controller that died already is seen by its status.
        let mut stdin = std::fs::File::from(stdin.into_owned_fd()?);
        let _ = stdin.write_all(wish);
    }
    Ok(child)
}

fn terminate(child: &Child) {
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
}

fn describe(status: ExitStatus) -> String {
    status.to_string()
}
