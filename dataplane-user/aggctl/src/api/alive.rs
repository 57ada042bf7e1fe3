//! Whether the controller's loop still runs, as the server sees it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// A loop that did not turn for so long may be dead.
const RECENT: Duration = Duration::from_secs(1);
/// In the place of a time: the loop said that it will take long.
const LONG: u64 = u64::MAX;

/// When the loop turned last. Clones are of the same loop.
#[derive(Clone, Debug)]
pub struct Alive {
    clock: Instant,
    /// Milliseconds of `clock`.
    turned: Arc<AtomicU64>,
}

impl Alive {
    /// A loop that begins now, which may take long.
    pub fn new() -> Self {
        Self { clock: Instant::now(), turned: Arc::new(AtomicU64::new(LONG)) }
    }

    /// The loop turned.
    pub fn turn(&self) {
        self.turned.store(self.now(), Ordering::Relaxed);
    }

    /// The next turn may take long. Returns whether that is news.
    pub fn long(&self) -> bool {
        self.turned.swap(LONG, Ordering::Relaxed) != LONG
    }

    /// Whether it is alive, as far as can be told.
    pub fn is_turning(&self) -> bool {
        let turned = self.turned.load(Ordering::Relaxed);
        turned == LONG || u128::from(self.now().saturating_sub(turned)) < RECENT.as_millis()
    }

    fn now(&self) -> u64 {
        u64::try_from(self.clock.elapsed().as_millis()).unwrap_or(u64::MAX - 1)
    }
}
