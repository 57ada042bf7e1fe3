//! The link watch of a port: from what the driver reports to a verdict, with a delay in each direction.
//!
//! The states are bonding's: down, up, and one between in each direction while a delay runs. A link that goes back
//! during a delay cancels it, and the next change starts a new one. The delays are looked up when they are needed, so
//! a change of the settings holds for a delay that is running, too.

use std::time::Duration;

use crate::config::LinkWatch;

/// What a watch knows about its link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WatchedLink {
    /// Down.
    #[default]
    Down,
    /// Up, but the up-delay runs: not trusted yet.
    Rising {
        /// When the link came up.
        since: Duration,
    },
    /// Up.
    Up,
    /// Down, but the down-delay runs: not given up yet.
    Failing {
        /// When the link went down.
        since: Duration,
    },
}

/// The watch of one port. Times are those of [`crate::aggregate::Aggregate::on_event`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Watch {
    link: WatchedLink,
}

impl Watch {
    /// A watch that takes what it finds as given: delays are for changes, and there was none yet.
    #[must_use]
    pub fn found(up: bool) -> Self {
        Self { link: if up { WatchedLink::Up } else { WatchedLink::Down } }
    }

    /// The link's state.
    #[must_use]
    pub fn link(&self) -> WatchedLink {
        self.link
    }

    /// The verdict: whether the port may carry traffic.
    #[must_use]
    pub fn is_up(&self) -> bool {
        match self.link {
            WatchedLink::Up | WatchedLink::Failing { .. } => true,
            WatchedLink::Down | WatchedLink::Rising { .. } => false,
        }
    }

    /// The link is up or down now, as the driver reports it. [`Watch::advance`] must follow.
    pub fn report(&mut self, now: Duration, up: bool) {
        self.link = match (self.link, up) {
            (WatchedLink::Down, true) => WatchedLink::Rising { since: now },
            (WatchedLink::Rising { .. }, false) => WatchedLink::Down,
            (WatchedLink::Up, false) => WatchedLink::Failing { since: now },
            (WatchedLink::Failing { .. }, true) => WatchedLink::Up,
            (same @ (WatchedLink::Down | WatchedLink::Failing { .. }), false)
            | (same @ (WatchedLink::Up | WatchedLink::Rising { .. }), true) => same,
        };
    }

    /// The port is of no use, whatever its link does: it is administratively down or gone. No delay: nothing is sent
    /// through it, and it was no glitch.
    pub fn give_up(&mut self) {
        self.link = WatchedLink::Down;
    }

    /// Ends a delay whose time has come.
    pub fn advance(&mut self, now: Duration, settings: &LinkWatch) {
        if self.deadline(settings).is_some_and(|deadline| deadline <= now) {
            self.link = match self.link {
                WatchedLink::Rising { .. } | WatchedLink::Up => WatchedLink::Up,
                WatchedLink::Failing { .. } | WatchedLink::Down => WatchedLink::Down,
            };
        }
    }

    /// Ends a running up-delay at once: there is no better port to wait for.
    pub fn trust_now(&mut self) {
        if let WatchedLink::Rising { .. } = self.link {
            self.link = WatchedLink::Up;
        }
    }

    /// When the running delay ends.
    #[must_use]
    pub fn deadline(&self, settings: &LinkWatch) -> Option<Duration> {
        match self.link {
            WatchedLink::Rising { since } => Some(since.saturating_add(millis(settings.up_delay_ms))),
            WatchedLink::Failing { since } => Some(since.saturating_add(millis(settings.down_delay_ms))),
            WatchedLink::Up | WatchedLink::Down => None,
        }
    }
}

fn millis(ms: u32) -> Duration {
    Duration::from_millis(ms.into())
}

#[cfg(test)]
mod tests;
