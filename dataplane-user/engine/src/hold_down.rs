//! Flap damping: a port that changed too often is left alone for a while.
//!
//! A [`Damper`] is told of a port whether it is sound: its link is up, without any delay, and its other watches let it
//! be used. It counts how often that changed. What it finds at first is no change. While a port is held down, each
//! change that is again one too many makes the time begin anew.

use std::{collections::VecDeque, time::Duration};

use serde::{Deserialize, Serialize};

/// Whether ports are held down that change too often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum HoldDown {
    /// They are not.
    #[default]
    Off,
    /// They are, by this rule.
    By(FlapRule),
}

/// When a port changes too often, and for how long it is held down then. The default is no rule: all must be chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlapRule {
    /// So many changes are too many. At least 2.
    pub changes: u8,
    /// If they happen in this time, in seconds. At least 1.
    pub window_s: u32,
    /// For how long the port is not taken, in seconds. At least 1.
    pub for_s: u32,
}

impl FlapRule {
    fn window(&self) -> Duration {
        Duration::from_secs(self.window_s.into())
    }

    fn hold(&self) -> Duration {
        Duration::from_secs(self.for_s.into())
    }
}

/// That a port is held down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Since when: the last change that was one too many.
    pub since: Duration,
    /// How many changes there were.
    pub changes: u8,
    /// In which time, in seconds.
    pub window_s: u32,
}

/// Counts the changes of one port. Times are those of [`crate::aggregate::Aggregate::on_event`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Damper {
    sound: Option<bool>,
    /// When it changed lately: no more times than the rule asks for.
    changes: VecDeque<Duration>,
    hold: Option<Hold>,
}

impl Damper {
    /// One for a port that a former controller left held down.
    #[must_use]
    pub fn remembered(hold: Option<Hold>) -> Self {
        Self { hold, ..Self::default() }
    }

    /// That the port is held down, if it is.
    #[must_use]
    pub fn hold(&self) -> Option<Hold> {
        self.hold
    }

    /// Until when, if it is.
    #[must_use]
    pub fn until(&self, rule: HoldDown) -> Option<Duration> {
        match rule {
            HoldDown::Off => None,
            HoldDown::By(rule) => self.hold.map(|hold| hold.since.saturating_add(rule.hold())),
        }
    }

    /// Takes in whether the port is sound now, if that is known. Says whether it is held down from now on, and was not
    /// before.
    pub fn look(&mut self, now: Duration, sound: Option<bool>, rule: HoldDown) -> bool {
        let changed = self.sound.is_some() && sound.is_some() && self.sound != sound;
        self.sound = sound.or(self.sound);
        let HoldDown::By(rule) = rule else {
            self.forget();
            self.hold = None;
            return false;
        };
        // A clock that another controller had may have been ahead.
        self.hold = self.hold.map(|hold| Hold { since: hold.since.min(now), ..hold });
        self.hold = self.hold.filter(|hold| hold.since.saturating_add(rule.hold()) > now);
        if !changed {
            return false;
        }
        self.changes.push_back(now);
        let surplus = self.changes.len().saturating_sub(rule.changes.into());
        self.changes.drain(..surplus);
        let is_full = self.changes.len() == usize::from(rule.changes);
        if !is_full || self.changes.front().is_none_or(|first| now.saturating_sub(*first) > rule.window()) {
            return false;
        }
        let hold = Hold { since: now, changes: rule.changes, window_s: rule.window_s };
        self.hold.replace(hold).is_none()
    }

    /// Begins to count anew. A port that is held down stays so.
    pub fn forget(&mut self) {
        self.changes.clear();
    }
}

#[cfg(test)]
mod tests;
