//! Waiting for something to become true: the only place where a test sleeps.

use std::{
    thread,
    time::{Duration, Instant},
};

pub use aggctl_tools::environment::patience;

/// By how much [`quiet`] is stretched at most.
const MOST_QUIET: u32 = 3;

/// Pause between two looks at a condition.
const PAUSE: Duration = Duration::from_millis(3);

/// A time that is long enough for a step on a real machine, here.
pub fn patient(time: Duration) -> Duration {
    time * patience()
}

/// Looks until `look` finds something, at most for `limit` (of a real machine: see [`patience`]).
pub fn find<T>(limit: Duration, look: impl FnMut() -> Option<T>) -> Option<T> {
    look_for(patient(limit), look)
}

/// Looks until `look` finds something, at most for `period`, which is as long on every machine.
pub fn look_for<T>(period: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + period;
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

/// Sleeps until `instant`; for senders that keep a rhythm.
pub fn until(instant: Instant) {
    if let Some(pause) = instant.checked_duration_since(Instant::now()) {
        thread::sleep(pause);
    }
}
