//! Faults that tests ask for by an environment variable: `STEP:fail` fails before this step of the journal, `STEP:kill`
//! dies right after it, `STEP:end` is asked to end then; `mac:PORT` is a port whose driver changes no MAC. There is
//! nothing of it in a release build, which `cargo xtask build --release` checks.

use aggctl_engine::plan::Step;

use super::TransactionError;

/// What a release build must not know.
#[cfg(debug_assertions)]
const VARIABLE: &str = "AGGCTL_FAULT";

/// Fails if a test wants this step to fail.
#[cfg(debug_assertions)]
pub(super) fn before(index: usize, step: &Step) -> Result<(), TransactionError> {
    if is_wanted(index, "fail") {
        return Err(TransactionError::Fault { index, step: Box::new(step.clone()) });
    }
    Ok(())
}

/// Dies, or is asked to end, if a test wants that after this step.
#[cfg(debug_assertions)]
pub(super) fn after(index: usize) {
    use rustix::process::Signal;

    for (kind, signal) in [("kill", Signal::KILL), ("end", Signal::TERM)] {
        if is_wanted(index, kind) {
            let _ = rustix::process::kill_process(rustix::process::getpid(), signal);
        }
    }
}

/// Whether a test wants this interface to keep its MAC.
#[cfg(debug_assertions)]
pub(crate) fn keeps_mac(name: &str) -> bool {
    std::env::var(VARIABLE).is_ok_and(|wanted| wanted.strip_prefix("mac:") == Some(name))
}

#[cfg(not(debug_assertions))]
pub(crate) fn keeps_mac(_: &str) -> bool {
    false
}

#[cfg(debug_assertions)]
fn is_wanted(index: usize, kind: &str) -> bool {
    std::env::var(VARIABLE).is_ok_and(|wanted| wanted == format!("{index}:{kind}"))
}

#[cfg(not(debug_assertions))]
#[allow(clippy::unnecessary_wraps, reason = "as in a debug build")]
pub(super) fn before(_: usize, _: &Step) -> Result<(), TransactionError> {
    Ok(())
}

#[cfg(not(debug_assertions))]
pub(super) fn after(_: usize) {}
