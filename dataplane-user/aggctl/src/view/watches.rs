//! What the watches of a port say.

use std::net::IpAddr;

use aggctl_common::Mac;
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
    /// Who is asked.
    pub target: IpAddr,
    /// Whether it counts as in reach.
    pub reached: bool,
    /// How many questions in a row it has not answered.
    pub missed: u8,
    /// How many are too many.
    pub missed_max: u8,
    /// How many it was asked since the link came up.
    pub asked: u64,
    /// How many answers came.
    pub answers: u64,
    /// When the last one came, as RFC 3339 has it.
    pub last_answer: Option<String>,
    /// The same in milliseconds since the Unix epoch.
    pub last_answer_ms: Option<u64>,
    /// Which MAC it came from.
    pub mac: Option<Mac>,
}

impl WatchView {
    pub(super) fn of(status: &WatchStatus) -> Self {
        let WatchStatus { watch, up, why, targets } = status.clone();
        Self { watch, up, why, targets: targets.iter().map(TargetView::of).collect() }
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
    fn of(status: &TargetStatus) -> Self {
        let TargetStatus { target, reached, missed, missed_max, asked, answers, last_answer_ms, mac } = status.clone();
        let last_answer = last_answer_ms.map(rfc3339);
        Self { target, reached, missed, missed_max, asked, answers, last_answer, last_answer_ms, mac }
    }

    fn words(&self) -> String {
        let last = match (self.last_answer_ms, self.mac) {
            (Some(at), Some(mac)) => format!("last answer {} from {mac}", clock_time(at)),
            (Some(at), None) => format!("last sign of life {}", clock_time(at)),
            (None, _) => "no answer yet".to_owned(),
        };
        let Self { target, missed, missed_max, asked, answers, .. } = self;
        format!("{target} missed {missed} of {missed_max}, {last}, {answers} answers to {asked} questions")
    }
}
