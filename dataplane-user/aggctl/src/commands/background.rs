//! The commands that run behind the others: the controller's, and what it says to whom.

use std::io::{Read, Write};

use aggctl_kernel::state::Store;
use tracing_subscriber::EnvFilter;

use crate::{
    background::{Report, detach_from_terminal},
    controller::{self, Start, Voice},
    failure::Failure,
};

/// A controller that a guardian started: it reports to the command that waits.
struct Background;

impl Voice for Background {
    fn warn(&self, warning: String) {
        Report::Warning(warning).send();
    }

    fn ready(&self) {
        Report::Ready.send();
    }
}

/// A controller in the foreground: a person or a service manager is there.
pub struct Foreground;

impl Voice for Foreground {
    fn warn(&self, warning: String) {
        // Where nobody can hear it, it is not worth more.
        let _ = writeln!(std::io::stderr(), "aggctl: warning: {warning}");
    }

    fn ready(&self) {
        // Without a service manager this does nothing.
        if let Err(error) = sd_notify::notify(&[sd_notify::NotifyState::Ready]) {
            tracing::warn!(%error, "cannot tell the service manager that we are ready");
        }
    }
}

/// Runs a controller that a guardian started.
///
/// # Errors
/// If it cannot begin; reported as well.
pub fn controller(store: Store, adopt: bool) -> Result<(), Failure> {
    detach_from_terminal()?;
    let outcome = start(adopt).and_then(|start| controller::run(store, start, &Background));
    if let Err(failure) = &outcome {
        Report::Failed(failure.to_string()).send();
    }
    outcome
}

fn start(adopt: bool) -> Result<Start, Failure> {
    if adopt {
        return Ok(Start::Adopt);
    }
    let mut wish = Vec::new();
    std::io::stdin().read_to_end(&mut wish)?;
    let wish = serde_json::from_slice(&wish).map_err(std::io::Error::from)?;
    Ok(Start::Attach(wish))
}

/// Sends the log to standard error; `RUST_LOG` chooses how much.
pub fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false);
    // The log is where there may be no room for it: that must not end anything.
    log.log_internal_errors(false).init();
}
