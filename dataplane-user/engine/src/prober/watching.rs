//! A watch at work, of whatever kind.

use std::time::Duration;

use super::{ProbedPort, ask::Asking, errors::Counting, traffic::Listening};
use crate::watches::{Counts, WatchConfig, WatchKind};

/// A watch at work.
#[derive(Debug)]
pub enum Watching {
    /// It asks targets.
    Asking(Asking),
    /// It compares what the ports receive.
    Listening(Listening),
    /// It counts errors.
    Counting(Counting),
}

impl Watching {
    /// A watch of this port that begins now.
    pub fn begin(now: Duration, watch: &WatchConfig, port: &ProbedPort) -> Self {
        match watch.kind {
            WatchKind::Arp | WatchKind::Ns => Self::Asking(Asking::begin(now, watch.clone(), port.trusted)),
            WatchKind::Traffic | WatchKind::Link => Self::Listening(Listening::begin(watch.clone())),
            WatchKind::Errors => Self::Counting(Counting::begin(watch.clone())),
        }
    }

    /// Its settings.
    pub fn watch(&self) -> &WatchConfig {
        match self {
            Self::Asking(asking) => asking.watch(),
            Self::Listening(listening) => listening.watch(),
            Self::Counting(counting) => counting.watch(),
        }
    }

    /// Whether it finds the port well.
    pub fn is_up(&self) -> bool {
        match self {
            Self::Asking(asking) => asking.is_up(),
            Self::Listening(listening) => listening.is_up(),
            Self::Counting(counting) => counting.is_up(),
        }
    }

    /// Why, in words.
    pub fn why(&self) -> String {
        match self {
            Self::Asking(asking) => asking.why(),
            Self::Listening(listening) => listening.why(),
            Self::Counting(counting) => counting.why(),
        }
    }

    /// How often it wants counters.
    pub fn period(&self, carries: bool) -> Option<Duration> {
        match self {
            Self::Asking(asking) if asking.watch().validate.on(carries) == Counts::Anything => {
                // More often than it judges.
                Some(asking.interval() / 2)
            }
            Self::Asking(_) => None,
            Self::Listening(listening) => Some(listening.period()),
            Self::Counting(counting) => Some(counting.period()),
        }
    }
}
