//! Waiting for something to become true, and checking that it stays so.

use std::time::Duration;

use aggctl_testbed::wait::look_for;
pub use aggctl_testbed::wait::{find, patience, patient, quiet, until};

/// How many pings may be lost here while something happens that may cost `limit` on a real machine.
pub fn lossy(limit: u64) -> u64 {
    limit * u64::from(patience())
}

/// Waits until `condition` holds.
///
/// # Panics
///
/// If it does not hold within `limit`.
#[track_caller]
pub fn wait_for(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) {
    assert!(find(limit, || condition().then_some(())).is_some(), "waited {:?} in vain for: {what}", patient(limit));
}

/// Checks that `condition` keeps holding for the whole of `period`, which is as long on every machine.
///
/// # Panics
///
/// As soon as it does not hold.
#[track_caller]
pub fn holds_for(what: &str, period: Duration, mut condition: impl FnMut() -> bool) {
    assert!(look_for(period, || (!condition()).then_some(())).is_none(), "no longer true: {what}");
}
