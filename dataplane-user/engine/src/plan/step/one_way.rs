//! Steps that nothing takes back.

use std::collections::BTreeMap;

use aggctl_common::Mac;
use serde::{Deserialize, Serialize};

use super::Subject;

/// What has no inverse: undoing a plan passes over it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OneWayStep {
    /// Give an interface that was just made the sysctls of another one, where they differ. When the plan is undone the
    /// interface goes.
    Sysctls {
        /// The interface.
        link: Subject,
        /// What shall be, by family and name as in [`super::Setting::Sysctl`].
        values: BTreeMap<String, String>,
    },
    /// Write the table with this port as the only one that carries traffic. When the plan is undone the maps go.
    Select {
        /// The port.
        link: Subject,
    },
    /// Wait until something about `link` is so.
    Await {
        /// The interface.
        link: Subject,
        /// What is waited for.
        what: Awaited,
    },
    /// Speak LACP by a port that carries traffic, in the name of the device that is made, if the partner has the port
    /// in use without hearing any. Until [`OneWayStep::LeaveLacp`], or the end of the process.
    SpeakLacp {
        /// The port.
        link: Subject,
        /// The device's MAC.
        mac: Mac,
        /// The device's priority.
        system_priority: u16,
    },
    /// Have the partner send nothing by that port any more, then say nothing more by it.
    LeaveLacp {
        /// The port.
        link: Subject,
    },
    /// Tell the neighbours that the addresses of `link` are reached through it (announcements): what was said was said.
    Announce {
        /// The interface, which has the addresses by now.
        link: Subject,
    },
}

impl OneWayStep {
    pub(super) const fn subject(&self) -> &Subject {
        match self {
            Self::Sysctls { link, .. }
            | Self::Select { link }
            | Self::Await { link, .. }
            | Self::SpeakLacp { link, .. }
            | Self::LeaveLacp { link }
            | Self::Announce { link } => link,
        }
    }
}

/// What is waited for, no longer than whoever carries the step out sees fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Awaited {
    /// The interface has a link. If it gets none in time, that is no failure.
    Link,
    /// The driver sends and receives by a member of the interface.
    Member,
    /// The same, and the partner at the other end of that member's cable agreed (LACP).
    Partner,
}
