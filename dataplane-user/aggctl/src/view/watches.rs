//! What the watches of a port say.

use aggctl_engine::{
    status::{TargetStatus, WatchStatus},
    watches::WatchKind,
};
use serde::Serialize;

use super::{notice::clock_time, time::rfc3339};

/// A watch.
#[derive(Debug, Serialize)]
pub struct WatchView {
    /// The watch, as it is written on the command line.
    pub watch: String,
    /// Whether it finds the port well.
    pub up: bool,
    /// Why, in words.
    pub why: String,
    /// What it saw of each target, where it asks any.
    pub targets: Vec<TargetView>,
}

/// What a watch saw of a target.
#[derive(Debug, Serialize)]
pub struct TargetView {
    /// As the controller tells it.
    #[serde(flatten)]
    pub status: TargetStatus,
    /// When the last answer came, as RFC 3339 has it.
    pub last_answer: Option<String>,
}

impl WatchView {
    pub(super) fn of(status: &WatchStatus) -> Self {
        let WatchStatus { watch, up, why, targets } = status.clone();
        Self { watch, up, why, targets: targets.into_iter().map(TargetView::of).collect() }
    }

    /// Whether it is the watch of the link, which the table of ports tells.
    pub(super) fn is_link(&self) -> bool {
        self.watch == WatchKind::Link.name()
    }

    /// For people.
    pub(super) fn line(&self) -> String {
        let state = if self.up { "well" } else { "NOT WELL" };
        let targets: Vec<_> = self.targets.iter().map(TargetView::words).collect();
        let seen = if targets.is_empty() { self.why.clone() } else { targets.join("; ") };
        format!("{}: {state}: {seen}", self.watch)
    }
}

impl TargetView {
    fn of(status: TargetStatus) -> Self {
        Self { last_answer: status.last_answer_ms.map(rfc3339), status }
    }

    fn words(&self) -> String {
        let TargetStatus { target, missed, missed_max, asked, answers, last_answer_ms, mac, .. } = &self.status;
        let last = match (last_answer_ms, mac) {
            (Some(at), Some(mac)) => format!("last answer {} from {mac}", clock_time(*at)),
            (Some(at), None) => format!("last sign of life {}", clock_time(*at)),
            (None, _) => "no answer yet".to_owned(),
        };
        format!("{target} missed {missed} of {missed_max}, {last}, {answers} answers to {asked} questions")
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use aggctl_common::Mac;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_target_is_shown_to_programs_with_the_time_of_its_last_answer() {
        let target = TargetStatus {
            target: IpAddr::from([192, 0, 2, 1]),
            reached: true,
            missed: 1,
            missed_max: 3,
            asked: 20,
            answers: 19,
            last_answer_ms: Some(1_700_000_000_123),
            mac: Some(Mac([2, 0, 0, 0, 0, 1])),
        };
        let silent = TargetStatus { reached: false, answers: 0, last_answer_ms: None, mac: None, ..target.clone() };
        let targets = vec![target, silent];
        let status = WatchStatus { watch: "arp".to_owned(), up: true, why: "in reach".to_owned(), targets };
        let expected = json!({
            "watch": "arp",
            "up": true,
            "why": "in reach",
            "targets": [
                {
                    "target": "192.0.2.1",
                    "reached": true,
                    "missed": 1,
                    "missed_max": 3,
                    "asked": 20,
                    "answers": 19,
                    "last_answer": "2023-11-14T22:13:20.123Z",
                    "last_answer_ms": 1_700_000_000_123_u64,
                    "mac": "02:00:00:00:00:01",
                },
                {
                    "target": "192.0.2.1",
                    "reached": false,
                    "missed": 1,
                    "missed_max": 3,
                    "asked": 20,
                    "answers": 0,
                    "last_answer": null,
                    "last_answer_ms": null,
                    "mac": null,
                },
            ],
        });
        assert_eq!(serde_json::to_value(WatchView::of(&status)).unwrap(), expected);
    }
}
