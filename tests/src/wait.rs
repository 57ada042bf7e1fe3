//! Waiting for something to become true: the only place where a test sleeps.

use std::{
    thread,
    time::{Duration, Instant},
};

/// Pause between two looks at a condition.
const PAUSE: Duration = Duration::from_millis(3);

/// Looks until `look` finds something, at most for `limit`.
pub fn find<T>(limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if Instant::now() >= end {
            return None;
        }
        thread::sleep(PAUSE);
    }
}

/// Waits until `condition` holds.
///
/// # Panics
///
/// If it does not hold within `limit`.
#[track_caller]
pub fn wait_for(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) {
    assert!(find(limit, || condition().then_some(())).is_some(), "waited {limit:?} in vain for: {what}");
}

/// Checks that `condition` keeps holding for the whole of `period`.
///
/// # Panics
///
/// As soon as it does not hold.
#[track_caller]
pub fn holds_for(what: &str, period: Duration, mut condition: impl FnMut() -> bool) {
    assert!(find(period, || (!condition()).then_some(())).is_none(), "no longer true: {what}");
}

/// Sleeps until `instant`; for senders that keep a rhythm.
pub fn until(instant: Instant) {
    if let Some(pause) = instant.checked_duration_since(Instant::now()) {
        thread::sleep(pause);
    }
}
