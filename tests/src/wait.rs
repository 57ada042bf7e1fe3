//! Waiting for something to become true: the only place where a test sleeps.

use std::{
    env,
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

/// The variable that says how many times slower than a real machine this one is: a whole number.
const PATIENCE: &str = "AGGCTL_TEST_PATIENCE";

/// By how much [`quiet`] is stretched at most.
const MOST_QUIET: u32 = 3;

/// Pause between two looks at a condition.
const PAUSE: Duration = Duration::from_millis(3);

/// How many times longer than on a real machine things may take here, as `AGGCTL_TEST_PATIENCE` says; 1 without it.
///
/// It stretches limits ([`patient`], [`find`], [`wait_for`]) and what may be lost ([`lossy`]). What must not be lost at
/// all, what is counted and in which order it comes is the same everywhere.
///
/// # Panics
///
/// If the variable is no whole number above 0.
pub fn patience() -> u32 {
    static VALUE: OnceLock<u32> = OnceLock::new();
    *VALUE.get_or_init(|| {
        let Some(text) = env::var_os(PATIENCE) else { return 1 };
        let number = text.to_str().and_then(|text| text.parse().ok()).filter(|number| *number > 0);
        number.unwrap_or_else(|| panic!("{PATIENCE}={} is no whole number above 0", text.display()))
    })
}

/// A time that is long enough for a step on a real machine, here.
pub fn patient(time: Duration) -> Duration {
    time * patience()
}

/// How many pings may be lost here while something happens that may cost `limit` on a real machine.
pub fn lossy(limit: u64) -> u64 {
    limit * u64::from(patience())
}

/// Looks until `look` finds something, at most for `limit` (of a real machine: see [`patience`]).
pub fn find<T>(limit: Duration, look: impl FnMut() -> Option<T>) -> Option<T> {
    look_for(patient(limit), look)
}

fn look_for<T>(limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
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

/// Looks until `look` finds what should not be, for `period`: to be sure that nothing more comes. Every such wait lasts
/// its whole time, so patience stretches it less than a limit.
pub fn quiet<T>(period: Duration, look: impl FnMut() -> Option<T>) -> Option<T> {
    look_for(period * patience().min(MOST_QUIET), look)
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

/// Sleeps until `instant`; for senders that keep a rhythm.
pub fn until(instant: Instant) {
    if let Some(pause) = instant.checked_duration_since(Instant::now()) {
        thread::sleep(pause);
    }
}
