//! When the neighbours are told where the aggregate's addresses are.

use std::time::Duration;

use aggctl_common::PortId;

use crate::{action::Announcement, config::Announce};

/// The rounds of announcements after one change: exactly as many as were asked for, unless another change or the loss
/// of the port comes first. The first is due at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rounds {
    /// The port to announce from.
    pub port: PortId,
    /// How many rounds there shall be that tell addresses.
    pub total: u8,
    /// How many of the first rounds tell groups.
    groups: u8,
    /// How many there have been.
    done: u8,
    interval: Duration,
    next: Duration,
}

impl Rounds {
    /// The rounds for a change at `now`; `None` if nothing shall be announced.
    pub fn start(now: Duration, port: PortId, settings: &Announce) -> Option<Self> {
        let interval = Duration::from_millis(settings.interval_ms.into());
        let (total, groups) = (settings.count, settings.groups);
        (total.max(groups) > 0).then_some(Self { port, total, groups, done: 0, interval, next: now })
    }

    /// The number of the round that is due, from 1. A late caller gets the missed rounds one interval apart, not in a
    /// burst.
    pub fn due(&mut self, now: Duration) -> Option<u8> {
        if self.next > now || self.is_over() {
            return None;
        }
        self.done += 1;
        self.next = now.saturating_add(self.interval);
        Some(self.done)
    }

    /// What the round of this number tells, also of the aggregate's `own`.
    pub fn announcement(&self, round: u8, own: bool) -> Announcement {
        Announcement { addresses: round <= self.total, groups: round <= self.groups, own }
    }

    /// Whether all rounds are done.
    pub fn is_over(&self) -> bool {
        self.done >= self.total.max(self.groups)
    }

    /// When the next round is due.
    pub fn deadline(&self) -> Option<Duration> {
        (!self.is_over()).then_some(self.next)
    }
}
