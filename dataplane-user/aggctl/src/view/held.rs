//! That a port is held down, since it changed too often.

use std::fmt;

use aggctl_engine::status::HeldStatus;
use serde::Serialize;

use super::{notice::clock_time, time::rfc3339};

/// A port that is held down. Displayed as what to know about it.
#[derive(Debug, Serialize)]
pub struct HeldView {
    /// Until when, as RFC 3339 has it.
    pub until: Option<String>,
    /// The same in milliseconds since the Unix epoch.
    pub until_ms: Option<u64>,
    /// How many times its link, or the verdict of its watches, changed.
    pub changes: u8,
    /// In which time, seconds.
    pub window_s: u32,
    #[serde(skip)]
    why: String,
}

impl HeldView {
    pub(super) fn of(status: HeldStatus) -> Self {
        let HeldStatus { until_ms, changes, window_s, .. } = status;
        Self { until: until_ms.map(rfc3339), until_ms, changes, window_s, why: status.to_string() }
    }
}

impl fmt::Display for HeldView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.until_ms {
            Some(until) => write!(f, "held down until {}: {}", clock_time(until), self.why),
            None => write!(f, "held down: {}", self.why),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn it_says_until_when_and_why() {
        let status = HeldStatus { until: Duration::ZERO, until_ms: Some(3_663_007), changes: 4, window_s: 10 };
        let held = HeldView::of(status);
        assert_eq!(held.to_string(), "held down until 01:01:03.007Z: 4 changes in 10 s");
        assert_eq!(held.until.as_deref(), Some("1970-01-01T01:01:03.007Z"));
    }
}
