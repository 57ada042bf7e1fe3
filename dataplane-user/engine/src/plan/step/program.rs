//! Steps about programs and their maps.

use serde::{Deserialize, Serialize};

use super::{Change, Subject};
use crate::config::{Device, Hook, XdpMode};

/// A change of programs or maps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProgramStep {
    /// The maps, pinned.
    Maps {
        /// Whether they are there.
        present: Change<bool>,
    },
    /// The sending program, where what the aggregate sends passes; device and wiring decide where that is.
    Tx {
        /// What the pair is made of.
        device: Device,
        /// The hook.
        hook: Hook,
        /// Whether it is attached.
        attached: Change<bool>,
    },
    /// The relay, on the peer that is in a namespace of its own: it passes on what the ports received.
    Relay {
        /// The hook.
        hook: Hook,
        /// Whether it is attached.
        attached: Change<bool>,
    },
    /// The receiving program, on a port.
    Rx {
        /// The port.
        link: Subject,
        /// The hook.
        hook: Hook,
        /// Whether it is attached.
        attached: Change<bool>,
    },
    /// The program that drops early, on a port that has the receiving one; where there is nothing that it could drop
    /// none is attached.
    Xdp {
        /// The port.
        link: Subject,
        /// Where it runs.
        mode: XdpMode,
        /// Whether it is attached.
        attached: Change<bool>,
    },
}

impl ProgramStep {
    pub(super) const fn subject(&self) -> Option<&Subject> {
        match self {
            Self::Maps { .. } => None,
            // Which end it is attached to does not matter here: neither is there without the other.
            Self::Tx { .. } => Some(&Subject::Aggregate),
            Self::Relay { .. } => Some(&Subject::Peer),
            Self::Rx { link, .. } | Self::Xdp { link, .. } => Some(link),
        }
    }

    pub(super) const fn invert(&mut self) {
        match self {
            Self::Maps { present: change }
            | Self::Tx { attached: change, .. }
            | Self::Relay { attached: change, .. }
            | Self::Rx { attached: change, .. }
            | Self::Xdp { attached: change, .. } => change.swap(),
        }
    }
}
