//! Steps about what lives on an interface above the link.

use aggctl_common::IfIndex;
use serde::{Deserialize, Serialize};

use super::{Change, Step, Subject};
use crate::host::{Address, NeighbourEntry, Nexthop, Route};

/// A change above the link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layer3Step {
    /// An address, without duplicate address detection. `Address::link` is ignored.
    Address {
        /// The interface.
        link: Subject,
        /// The address, with the label that it has there.
        address: Address,
        /// Whether it is there.
        present: Change<bool>,
    },
    /// A route as it was described, but leaving by `link` wherever it said `described_on`.
    Route {
        /// The interface that it leaves by.
        link: Subject,
        /// The route as described.
        route: Route,
        /// The interface in the description.
        described_on: IfIndex,
        /// IPv4: added ahead of routes with the same destination and metric, else behind them.
        first: bool,
        /// Whether it is there.
        present: Change<bool>,
    },
    /// The interface that a nexthop object leaves by.
    Nexthop {
        /// The nexthop object.
        nexthop: Nexthop,
        /// The interface.
        link: Change<Subject>,
    },
    /// A neighbour entry. `NeighbourEntry::link` is ignored. One that is there when it is to be added stays as it is.
    Neighbour {
        /// The interface.
        link: Subject,
        /// The entry.
        neighbour: NeighbourEntry,
        /// Whether it is there.
        present: Change<bool>,
    },
}

impl Layer3Step {
    /// The step that adds this address to `link`.
    #[must_use]
    pub fn add_address(link: &Subject, address: &Address) -> Step {
        Self::Address { link: link.clone(), address: address.clone(), present: Change::ON }.into()
    }

    /// The step that removes this address from `link`.
    #[must_use]
    pub fn delete_address(link: &Subject, address: &Address) -> Step {
        Self::Address { link: link.clone(), address: address.clone(), present: Change::OFF }.into()
    }

    /// The interface that gets or loses something.
    #[must_use]
    pub const fn subject(&self) -> &Subject {
        match self {
            Self::Address { link, .. } | Self::Route { link, .. } | Self::Neighbour { link, .. } => link,
            Self::Nexthop { link, .. } => &link.to,
        }
    }

    pub(super) const fn takes_more_along(&self) -> bool {
        match self {
            Self::Address { present, .. } => !present.to,
            Self::Route { .. } | Self::Nexthop { .. } | Self::Neighbour { .. } => false,
        }
    }

    pub(super) const fn invert(&mut self) {
        match self {
            Self::Address { present, .. } | Self::Route { present, .. } | Self::Neighbour { present, .. } => {
                present.swap();
            }
            Self::Nexthop { link, .. } => link.swap(),
        }
    }
}
