//! The commands that run behind the others: the controller's, and what it says to whom.

use std::{io::Read, rc::Rc};

use aggctl_engine::supervise::Beat;
use aggctl_kernel::state::Store;
use rustix::net::SendFlags;
use sd_notify::NotifyState;
use tracing_subscriber::EnvFilter;

use crate::{
    background::{StartReport, detach_from_terminal},
    controller::{self, Start, Supervisor},
    failure::Failure,
    output, service,
};

/// A controller that a guardian started: it reports to the command that waits.
struct Background;

impl Supervisor for Background {
    fn warn(&self, warning: String) {
        StartReport::Warning(warning).send();
    }

    fn ready(&self) {
        StartReport::Ready.send();
    }

    fn beat(&self, beat: Beat) {
        // Our guardian is at the other end of standard input. One that is gone, or does not read, needs no beat.
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        let _ = rustix::net::send(rustix::stdio::stdin(), &[beat.to_byte()], flags);
    }

    fn has_guardian(&self) -> bool {
        true
    }
}

/// A controller in the foreground: a person or a service manager is there.
pub struct Foreground {
    /// After how many microseconds without a beat the service manager ends us, if it does.
    watchdog: Option<u32>,
}

impl Foreground {
    /// A controller that this process becomes.
    pub fn new() -> Self {
        let limit = sd_notify::watchdog_enabled();
        Self { watchdog: limit.and_then(|limit| u32::try_from(limit.as_micros()).ok()) }
    }
}

/// Microseconds that a long operation may take.
const LONG: u32 = 300_000_000;

impl Supervisor for Foreground {
    fn warn(&self, warning: String) {
        output::warn(&warning);
    }

    fn ready(&self) {
        service::tell(&[NotifyState::Ready, NotifyState::Status("in control")]);
    }

    fn beat(&self, beat: Beat) {
        // Without WatchdogSec= this does nothing.
        if let Some(limit) = self.watchdog {
            service::tell(&match beat {
                Beat::Turn => [NotifyState::Watchdog, NotifyState::WatchdogUsec(limit)],
                Beat::Long => [NotifyState::Watchdog, NotifyState::WatchdogUsec(LONG.max(limit))],
            });
        }
    }

    fn has_guardian(&self) -> bool {
        false
    }
}

/// Runs a controller that a guardian started.
///
/// # Errors
/// If it cannot begin; reported as well.
pub fn controller(store: Store, adopt: bool) -> Result<(), Failure> {
    detach_from_terminal()?;
    let outcome = start(adopt).and_then(|start| controller::run(store, start, Rc::new(Background)));
    if let Err(failure) = &outcome {
        StartReport::Failed(failure.to_string()).send();
    }
    outcome
}

fn start(adopt: bool) -> Result<Start, Failure> {
    if adopt {
        return Ok(Start::Adopt);
    }
    let mut wish = Vec::new();
    std::io::stdin().read_to_end(&mut wish)?;
    if wish.is_empty() {
        return Err(Failure::Refused("the guardian died before it had said what to do".to_owned()));
    }
    let wish = serde_json::from_slice(&wish).map_err(std::io::Error::from)?;
    Ok(Start::Attach(Box::new(wish)))
}

/// Sends the log to standard error; `RUST_LOG` chooses how much.
pub fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false);
    // The log is where there may be no room for it: that must not end anything.
    log.log_internal_errors(false).init();
}
