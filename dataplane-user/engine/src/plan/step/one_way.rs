//! Steps that nothing takes back.

use std::collections::BTreeMap;

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
    /// Tell the neighbours that the addresses of `link` are reached through it (announcements): what was said was said.
    Announce {
        /// The interface, which has the addresses by now.
        link: Subject,
    },
}

impl OneWayStep {
    pub(super) const fn subject(&self) -> &Subject {
        match self {
            Self::Sysctls { link, .. } | Self::Select { link } | Self::Announce { link } => link,
        }
    }
}
