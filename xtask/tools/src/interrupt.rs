//! Ctrl-C and its relatives, so that what was made can be removed before we leave.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::environment;

/// How often a pause looks whether we were asked to leave.
const STEP: Duration = Duration::from_millis(20);

/// Knows whether we were asked to leave. From its making on, the signals do nothing else.
#[derive(Clone, Debug)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Catches SIGINT, SIGTERM and SIGHUP.
    ///
    /// # Errors
    ///
    /// When the system refuses a handler.
    pub fn catch() -> Result<Self> {
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&flag)).context("cannot catch signals")?;
        }
        Ok(Self(flag))
    }

    /// Fails if we were asked to leave.
    ///
    /// # Errors
    ///
    /// As said.
    pub fn check(&self) -> Result<()> {
        if self.0.load(Ordering::Relaxed) {
            bail!("interrupted");
        }
        Ok(())
    }

    /// Sleeps, but not on when asked to leave.
    ///
    /// # Errors
    ///
    /// When asked to leave.
    pub fn pause(&self, time: Duration) -> Result<()> {
        let end = Instant::now() + time;
        loop {
            self.check()?;
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            thread::sleep(left.min(STEP));
        }
    }

    /// Waits until `done` says yes; `what` names it. A failure of `done` may be of the moment, as when it asks a
    /// process that is ending, and is told only when it was the last word.
    ///
    /// # Errors
    ///
    /// When asked to leave, or when it takes longer than ten seconds, and more where [`environment::patience`] says so.
    pub fn wait_until(&self, what: &str, mut done: impl FnMut() -> Result<bool>) -> Result<()> {
        let limit = Duration::from_secs(10) * environment::patience();
        let end = Instant::now() + limit;
        loop {
            match done() {
                Ok(true) => return Ok(()),
                Ok(false) if Instant::now() > end => {
                    bail!("this did not happen within {} seconds: {what}", limit.as_secs())
                }
                Err(error) if Instant::now() > end => return Err(error.context(what.to_owned())),
                Ok(false) | Err(_) => self.pause(STEP)?,
            }
        }
    }
}
