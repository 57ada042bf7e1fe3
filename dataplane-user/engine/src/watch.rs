//! The link watch of a port: from what the driver reports to a verdict, with a delay in each direction.
//!
//! The states are bonding's: down, up, and one between in each direction while a delay runs. A link that goes back
//! during a delay cancels it, and the next change starts a new one. The delays are looked up when they are needed, so
//! a change of the settings holds for a delay that is running, too.

use std::time::Duration;

use crate::config::LinkWatch;

/// What a watch knows about its link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Link {
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
    link: Link,
}

impl Watch {
    /// A watch that takes what it finds as given: delays are for changes, and there was none yet.
    #[must_use]
    pub fn found(up: bool) -> Self {
        Self { link: if up { Link::Up } else { Link::Down } }
    }

    /// The link's state.
    #[must_use]
    pub fn link(&self) -> Link {
        self.link
    }

    /// The verdict: whether the port may carry traffic.
    #[must_use]
    pub fn is_up(&self) -> bool {
        match self.link {
            Link::Up | Link::Failing { .. } => true,
            Link::Down | Link::Rising { .. } => false,
        }
    }

    /// The link is up or down now, as the driver reports it. [`Watch::advance`] must follow.
    pub fn report(&mut self, now: Duration, up: bool) {
        self.link = match (self.link, up) {
            (Link::Down, true) => Link::Rising { since: now },
            (Link::Rising { .. }, false) => Link::Down,
            (Link::Up, false) => Link::Failing { since: now },
            (Link::Failing { .. }, true) => Link::Up,
            (same @ (Link::Down | Link::Failing { .. }), false) | (same @ (Link::Up | Link::Rising { .. }), true) => {
                same
            }
        };
    }

    /// The port is of no use, whatever its link does: it is administratively down or gone. No delay: nothing is sent
    /// through it, and it was no glitch.
    pub fn give_up(&mut self) {
        self.link = Link::Down;
    }

    /// Ends a delay whose time has come.
    pub fn advance(&mut self, now: Duration, settings: &LinkWatch) {
        if self.deadline(settings).is_some_and(|deadline| deadline <= now) {
            self.link = match self.link {
                Link::Rising { .. } | Link::Up => Link::Up,
                Link::Failing { .. } | Link::Down => Link::Down,
            };
        }
    }

    /// Ends a running up-delay at once: there is no better port to wait for.
    pub fn trust_now(&mut self) {
        if let Link::Rising { .. } = self.link {
            self.link = Link::Up;
        }
    }

    /// When the running delay ends.
    #[must_use]
    pub fn deadline(&self, settings: &LinkWatch) -> Option<Duration> {
        match self.link {
            Link::Rising { since } => Some(since.saturating_add(millis(settings.up_delay_ms))),
            Link::Failing { since } => Some(since.saturating_add(millis(settings.down_delay_ms))),
            Link::Up | Link::Down => None,
        }
    }
}

fn millis(ms: u32) -> Duration {
    Duration::from_millis(ms.into())
}

#[cfg(test)]
mod tests;
