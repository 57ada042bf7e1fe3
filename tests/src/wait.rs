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

/// Does a scenario until it succeeds once, at most three times: a machine that is busy with other things may hold up
/// whoever moves a host for longer than nothing is lost.
///
/// # Panics
///
/// If it succeeds never; with what was said each time.
#[track_caller]
pub fn succeeds_once(mut scenario: impl FnMut() -> Result<(), String>) {
    const ATTEMPTS: usize = 3;
    let mut said = Vec::new();
    for _ in 0..ATTEMPTS {
        match scenario() {
            Ok(()) => return,
            Err(why) => said.push(why),
        }
    }
    panic!("{}", said.join("\n"));
}
