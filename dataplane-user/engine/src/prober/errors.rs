//! A watch that counts errors.

use std::{collections::VecDeque, time::Duration};

use crate::watches::WatchConfig;

/// So many times the counter is read in the time in which errors are counted.
const READINGS: u32 = 4;

/// A watch of kind `errors`.
#[derive(Debug)]
pub(super) struct ErrorWatch {
    watch: WatchConfig,
    /// What was read, and when: the last one that is older than the time that counts, and all that are not.
    readings: VecDeque<(Duration, u64)>,
    /// When there were last too many.
    many: Option<Duration>,
    /// How many there were in the time that counts.
    errors: u64,
    up: bool,
}

impl ErrorWatch {
    pub fn begin(watch: WatchConfig) -> Self {
        Self { watch, readings: VecDeque::new(), many: None, errors: 0, up: true }
    }

    pub fn watch(&self) -> &WatchConfig {
        &self.watch
    }

    pub fn is_up(&self) -> bool {
        self.up
    }

    fn within(&self) -> Duration {
        Duration::from_millis(self.watch.within_ms.into())
    }

    /// How often the counter is read.
    pub fn period(&self) -> Duration {
        self.within() / READINGS
    }

    /// When the port may be trusted again.
    pub fn due(&self) -> Option<Duration> {
        let calm = Duration::from_millis(self.watch.calm_ms.into());
        self.many.filter(|_| !self.up).map(|at| at + calm)
    }

    /// Takes in the count.
    pub fn counted(&mut self, now: Duration, errors: u64) {
        if self.readings.back().is_some_and(|(_, before)| *before > errors) {
            // It began anew.
            self.readings.clear();
        }
        self.readings.push_back((now, errors));
        let within = self.within();
        while self.readings.get(1).is_some_and(|(at, _)| now.saturating_sub(*at) >= within) {
            self.readings.pop_front();
        }
        let before = self.readings.front().map_or(errors, |(_, before)| *before);
        self.errors = errors.saturating_sub(before);
        if self.errors > u64::from(self.watch.limit) {
            (self.many, self.up) = (Some(now), false);
        }
    }

    /// Trusts the port again, if it is time to.
    pub fn turn(&mut self, now: Duration) {
        if self.due().is_some_and(|at| at <= now) {
            (self.many, self.up) = (None, true);
        }
    }

    /// Why it says what it says.
    pub fn why(&self) -> String {
        let WatchConfig { limit, within_ms, calm_ms, .. } = self.watch;
        let counted = format!("{} errors in {within_ms} ms, limit {limit}", self.errors);
        if self.up { counted } else { format!("too many errors in the last {calm_ms} ms ({counted})") }
    }
}
