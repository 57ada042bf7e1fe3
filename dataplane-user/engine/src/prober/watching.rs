//! A watch at work, of whatever kind.

use std::time::Duration;

use super::{ProbedPort, ask::TargetWatch, errors::ErrorWatch, traffic::TrafficWatch};
use crate::watches::{Counts, WatchConfig, WatchKind};

/// A watch at work.
#[derive(Debug)]
pub enum RunningWatch {
    /// It asks targets.
    Targets(TargetWatch),
    /// It compares what the ports receive.
    Traffic(TrafficWatch),
    /// It counts errors.
    Errors(ErrorWatch),
}

impl RunningWatch {
    /// A watch of this port that begins now.
    pub fn begin(now: Duration, watch: &WatchConfig, port: &ProbedPort) -> Self {
        match watch.kind {
            WatchKind::Arp | WatchKind::Ns => Self::Targets(TargetWatch::begin(now, watch.clone(), port.trusted)),
            WatchKind::Traffic | WatchKind::Link => Self::Traffic(TrafficWatch::begin(watch.clone())),
            WatchKind::Errors => Self::Errors(ErrorWatch::begin(watch.clone())),
        }
    }

    /// Its settings.
    pub fn watch(&self) -> &WatchConfig {
        match self {
            Self::Targets(asking) => asking.watch(),
            Self::Traffic(listening) => listening.watch(),
            Self::Errors(counting) => counting.watch(),
        }
    }

    /// Whether it finds the port well.
    pub fn is_up(&self) -> bool {
        match self {
            Self::Targets(asking) => asking.is_up(),
            Self::Traffic(listening) => listening.is_up(),
            Self::Errors(counting) => counting.is_up(),
        }
    }

    /// Why, in words.
    pub fn why(&self) -> String {
        match self {
            Self::Targets(asking) => asking.why(),
            Self::Traffic(listening) => listening.why(),
            Self::Errors(counting) => counting.why(),
        }
    }

    /// How often it wants counters.
    pub fn period(&self, carries: bool) -> Option<Duration> {
        match self {
            Self::Targets(asking) if asking.watch().validate.on(carries) == Counts::Anything => {
                // More often than it judges.
                Some(asking.interval() / 2)
            }
            Self::Targets(_) => None,
            Self::Traffic(listening) => Some(listening.period()),
            Self::Errors(counting) => Some(counting.period()),
        }
    }
}
