//! A watch that waits for a port to receive anything.

use std::time::Duration;

use crate::watches::WatchConfig;

/// When a port received something last.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Reception {
    count: Option<u64>,
    at: Option<Duration>,
}

impl Reception {
    /// The link is up again: what was received before says nothing.
    pub fn go_on(&mut self) {
        self.at = None;
    }

    /// Takes in the count of received frames. Says whether there were any since the last one.
    pub fn counted(&mut self, now: Duration, count: u64) -> bool {
        let grew = self.count.replace(count).is_some_and(|before| before != count);
        if grew {
            self.at = Some(now);
        }
        grew
    }
}

/// A watch of kind `traffic`: the port is not well from the moment that others received for so long and it did not,
/// until it receives something.
#[derive(Debug)]
pub(super) struct TrafficWatch {
    watch: WatchConfig,
    /// Since when others receive and the port does not.
    alone: Option<Duration>,
    up: bool,
}

impl TrafficWatch {
    pub fn begin(watch: WatchConfig) -> Self {
        Self { watch, alone: None, up: true }
    }

    pub fn watch(&self) -> &WatchConfig {
        &self.watch
    }

    pub fn is_up(&self) -> bool {
        self.up
    }

    fn idle(&self) -> Duration {
        Duration::from_millis(self.watch.idle_ms.into())
    }

    /// How often the counters are read.
    pub fn period(&self) -> Duration {
        self.idle() / 4
    }

    /// The port has received as `own` says, and the others as `others` say.
    pub fn judge(&mut self, now: Duration, own: Reception, others: impl Iterator<Item = Reception>) {
        let latest = others.filter_map(|other| other.at).max();
        let receiving = latest.filter(|at| now.saturating_sub(*at) <= self.idle() / 2 && own.at < Some(*at));
        match (receiving, own.at.is_some_and(|at| now.saturating_sub(at) < self.idle())) {
            (_, true) => (self.alone, self.up) = (None, true),
            (None, false) => self.alone = None,
            (Some(at), false) => {
                let since = *self.alone.get_or_insert(at);
                self.up &= now.saturating_sub(since) < self.idle();
            }
        }
    }

    /// Why it says what it says.
    pub fn why(&self) -> String {
        let idle = self.watch.idle_ms;
        if self.up {
            format!("no {idle} ms in which others received and it did not")
        } else {
            format!("received nothing for {idle} ms while other ports did")
        }
    }
}
