//! The guardian: the small parent of a background controller.
//!
//! When the controller dies, the guardian starts another one, which adopts. It does the same, after ending the
//! controller, when the controller's loop is stuck. It undoes an attach, or finishes a detach, during which the
//! controller died. It ends when the controller ends as it should.

use std::{
    fs::File,
    io::{Read, Write},
    net::Shutdown,
    os::{fd::OwnedFd, unix::process::ExitStatusExt},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use aggctl_engine::{
    record::{Phase, Record},
    supervise::{Beat, GivenUp, LOOK, Liveness, Restarts},
};
use aggctl_kernel::{
    process,
    state::{Lock, StateError, Store},
};
use tokio::{
    io::AsyncReadExt,
    net::UnixStream,
    process::Child,
    signal::unix::{Signal, SignalKind, signal},
    time::MissedTickBehavior,
};
use tracing::{info, warn};

use crate::{
    background::{self, StartReport},
    failure::Failure,
    operation,
};

/// How long a controller that is asked to leave may take.
const LEAVING: Duration = Duration::from_secs(5);
/// How long to wait for the lock where another process may be about to put things right.
const OTHERS: Duration = Duration::from_secs(10);
/// The same where another one only was faster than our first controller.
const FASTER: Duration = Duration::from_millis(100);

/// Runs the guardian of `store`'s aggregate. To attach, the wish is read from standard input.
///
/// # Errors
/// If no controller can be started.
pub fn run(store: &Store, adopt: bool) -> Result<(), Failure> {
    background::detach_from_terminal()?;
    let mut wish = Vec::new();
    if !adopt {
        std::io::stdin().read_to_end(&mut wish)?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let end = signal(SignalKind::terminate())?;
        let guardian = Guardian { place: store.open_dir()?, store: store.clone(), end, restarts: Restarts::default() };
        guardian.guard((!adopt).then_some(wish)).await
    })
}

struct Guardian {
    store: Store,
    /// The directory of the state, wherever a rename moves it.
    place: File,
    /// Somebody asks us to leave.
    end: Signal,
    restarts: Restarts,
}

/// How a controller ended.
struct Ended {
    status: ExitStatus,
    /// How long it was in control, if it ever was.
    in_control: Option<Duration>,
    /// It was asked to leave.
    asked: bool,
}

impl Guardian {
    async fn guard(mut self, mut wish: Option<Vec<u8>>) -> Result<(), Failure> {
        loop {
            let ended = self.watch(wish.as_deref()).await?;
            if ended.asked || ended.status.code() == Some(0) {
                return Ok(());
            }
            // The aggregate may have been renamed while the controller lived.
            match self.store.follow(&mut self.place)? {
                Some(present) => self.store = present,
                None => return Ok(()),
            }
            background::log_to_file(&self.store);
            // A controller that never was in control said itself why not.
            let lost_a_race = ended.status.code() == Some(1) && ended.in_control.is_none();
            let Some(lock) = self.lock(if lost_a_race { FASTER } else { OTHERS })? else {
                info!("another process is in charge: leaving");
                return Ok(());
            };
            if !self.put_right(&ended, wish.is_some())? {
                return Ok(());
            }
            drop(lock);
            let pause = self.restarts.pause(ended.in_control, ended.status.signal().is_some());
            info!(status = %ended.status, pause_ms = pause.as_millis(), "the controller ended: starting another");
            if let Err(error) = self.store.trim_log() {
                warn!(%error, "cannot trim the log");
            }
            wish = None;
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = self.end.recv() => return Ok(()),
            }
        }
    }

    /// Nobody else puts things right meanwhile. `None` if somebody else has the aggregate, or removed it.
    fn lock(&self, patience: Duration) -> Result<Option<Lock>, Failure> {
        match self.store.lock(patience) {
            Ok(lock) => Ok(Some(lock)),
            Err(StateError::Locked { .. }) => Ok(None),
            Err(_) if Store::at(self.store.cookie(), &self.place).is_none() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Undoes or finishes what the controller left half-done. Returns whether the aggregate is in place and needs
    /// another.
    fn put_right(&self, ended: &Ended, attaching: bool) -> Result<bool, Failure> {
        let record = match self.store.record() {
            Ok(Some(record)) => record,
            Ok(None) => {
                StartReport::Failed(format!("the controller ended ({}) before anything was done", ended.status)).send();
                if attaching && ended.in_control.is_none() {
                    self.store.remove()?;
                }
                return Ok(false);
            }
            Err(error) => {
                // Whatever became of its record, an aggregate that is there needs a controller.
                warn!(%error, "cannot tell what the controller left");
                return Ok(true);
            }
        };
        match record.phase {
            Phase::Attached => Ok(true),
            Phase::Attaching => {
                self.undo(record, ended.status);
                Ok(false)
            }
            Phase::Undoing => {
                warn!("not everything could be undone: what is left is kept");
                Ok(false)
            }
            Phase::Detaching => {
                warn!("the controller died during detach: finishing it");
                operation::finish_detach(&self.store, record).map(|()| false)
            }
        }
    }

    fn undo(&self, record: Record, status: ExitStatus) {
        warn!("the controller died during attach: undoing it");
        let undone = operation::roll_back(&self.store, record);
        let outcome = undone.map_or_else(|error| error.to_string(), str::to_owned);
        StartReport::Failed(format!("the controller died ({status}) during attach; {outcome}")).send();
    }

    /// Starts a controller, and waits for its end. One that is stopped, spins or is stuck is ended.
    async fn watch(&mut self, wish: Option<&[u8]>) -> Result<Ended, Failure> {
        let (mut child, mut beats) = spawn(&self.store, wish)?;
        let mut liveness = Liveness::default();
        let mut asked: Option<tokio::time::Instant> = None;
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut listening = true;
        let mut received = [0; 64];
        loop {
            tokio::select! {
                status = child.wait() => {
                    let asked = asked.is_some();
                    return Ok(Ended { status: status?, in_control: liveness.in_control(), asked });
                }
                read = beats.read(&mut received), if listening => match read {
                    Ok(count @ 1..) => {
                        let beats = received.iter().take(count).filter_map(|byte| Beat::from_byte(*byte));
                        beats.for_each(|beat| liveness.receive(beat));
                    }
                    // It is about to end.
                    Ok(0) | Err(_) => listening = false,
                },
                _ = look.tick() => {
                    let given_up = child.id().and_then(process::sight).and_then(|sight| liveness.look(sight));
                    if let Some(why) = given_up {
                        warn!("the controller {}: ending it", in_words(why));
                        child.start_kill()?;
                    } else if asked.is_some_and(|at| at.elapsed() >= LEAVING) {
                        warn!("the controller does not leave: ending it");
                        child.start_kill()?;
                    }
                }
                _ = self.end.recv() => {
                    // So is the controller, and the dataplane stays.
                    terminate(&child);
                    asked.get_or_insert_with(tokio::time::Instant::now);
                }
            }
        }
    }
}

/// Starts a controller: with a wish it attaches, without one it adopts. Its standard input is a connection with us: the
/// wish comes in, its beats go out.
fn spawn(store: &Store, wish: Option<&[u8]>) -> Result<(Child, UnixStream), Failure> {
    let (mut ours, its) = std::os::unix::net::UnixStream::pair()?;
    let mut command = background::own_binary();
    command.arg("controller");
    if wish.is_none() {
        command.arg("--adopt");
    }
    // Others may have renamed it to what looks like an option.
    command.arg("--").arg(store.name());
    command.stdin(Stdio::from(OwnedFd::from(its)));
    let mut command = tokio::process::Command::from(command);
    let child = command.spawn()?;
    // It holds the other end, which shall be closed with it.
    drop(command);
    // Smaller than the connection's buffer, so this does not wait; a controller that died already is seen by its
    // status.
    let _ = ours.write_all(wish.unwrap_or_default());
    let _ = ours.shutdown(Shutdown::Write);
    ours.set_nonblocking(true)?;
    Ok((child, UnixStream::from_std(ours)?))
}

fn terminate(child: &Child) {
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
}

fn in_words(why: GivenUp) -> &'static str {
    match why {
        GivenUp::Stopped => "was stopped",
        GivenUp::Spinning => "works without end",
        GivenUp::Waiting => "waits without end",
    }
}
