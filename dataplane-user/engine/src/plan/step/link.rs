//! Steps about interfaces: that they are there, and their settings.

use std::net::Ipv6Addr;

use aggctl_common::Mac;
use serde::{Deserialize, Serialize};

use super::{Change, Step, Subject};
use crate::{bond::BondSettings, config::Device, host::DISABLE_IPV6};

/// A change of an interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkStep {
    /// Whether network managers may have an interface: by name, so it need not be there yet.
    Managed {
        /// The interface.
        link: Subject,
        /// Whether they may.
        managed: Change<bool>,
    },
    /// The network namespace that the peer is to be in ([`crate::config::Wiring::has_namespace`]).
    Namespace {
        /// Whether it is there.
        present: Change<bool>,
    },
    /// The pair of the aggregate's interface and its peer. A new one is down, without IPv6 address generation.
    Pair {
        /// What it is made of.
        pair: PairSettings,
        /// Whether it is there.
        present: Change<bool>,
    },
    /// The bonding device that the aggregate is. A new one is down, without IPv6 address generation.
    Bond {
        /// What it is made of.
        bond: BondSettings,
        /// Whether it is there.
        present: Change<bool>,
    },
    /// Whether an interface is a member of the driver's device that the aggregate is. The driver gives a new member,
    /// which must be down, the device's MAC and MTU, and sets it up; one that goes has what it had before, and is down.
    Member {
        /// The interface.
        link: Subject,
        /// Whether it is.
        member: Change<bool>,
    },
    /// A setting of an interface.
    Set {
        /// The interface.
        link: Subject,
        /// The setting.
        setting: Setting,
    },
}

/// What a pair is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairSettings {
    /// Its kind.
    pub device: Device,
    /// Name of the aggregate.
    pub name: String,
    /// Name of the peer.
    #[serde(rename = "hidden")]
    pub peer: String,
    /// MAC of the aggregate.
    pub mac: Mac,
    /// MTU of both ends, octets.
    pub mtu: u32,
    /// gso_max_size of both ends, octets.
    pub gso_max_size: u32,
    /// gso_max_segs of both ends.
    pub gso_max_segs: u32,
}

/// A setting of an interface: what was, and what shall be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Setting {
    /// Whether it is administratively up.
    Admin(Change<bool>),
    /// Its MAC. A driver that refuses while the interface is up has it taken down for the moment.
    Mac(Change<Mac>),
    /// Its MTU, octets.
    Mtu(Change<u32>),
    /// Its promiscuous flag.
    Promisc(Change<bool>),
    /// Its all-multicast flag.
    Allmulti(Change<bool>),
    /// How it makes its IPv6 addresses (`IN6_ADDR_GEN_MODE_*`: 0 EUI-64, 1 none, 2 stable privacy, 3 random).
    AddrGenMode(Change<u8>),
    /// A per-interface sysctl.
    Sysctl {
        /// Family and name: `ipv4/rp_filter` is net.ipv4.conf.LINK.rp_filter.
        key: String,
        /// Its value.
        value: Change<String>,
    },
    /// The interface identifier that IPv6 addresses from router advertisements get (`ip token`); zero is none.
    Token(Change<Ipv6Addr>),
    /// An ethtool feature.
    Feature {
        /// Its name as ethtool shows it.
        name: String,
        /// Whether it is on.
        on: Change<bool>,
    },
}

impl LinkStep {
    pub(super) const fn subject(&self) -> Option<&Subject> {
        match self {
            Self::Managed { link, .. } | Self::Member { link, .. } | Self::Set { link, .. } => Some(link),
            Self::Namespace { .. } | Self::Pair { .. } | Self::Bond { .. } => None,
        }
    }

    pub(super) fn takes_more_along(&self) -> bool {
        match self {
            Self::Managed { .. } | Self::Namespace { .. } => false,
            Self::Member { .. } => true,
            Self::Pair { present, .. } | Self::Bond { present, .. } => !present.to,
            Self::Set { setting, .. } => setting.takes_more_along(),
        }
    }

    pub(super) const fn invert(&mut self) {
        match self {
            Self::Managed { managed: change, .. }
            | Self::Namespace { present: change }
            | Self::Pair { present: change, .. }
            | Self::Bond { present: change, .. }
            | Self::Member { member: change, .. } => change.swap(),
            Self::Set { setting, .. } => setting.invert(),
        }
    }
}

impl Setting {
    /// The step that changes this setting of `link`.
    #[must_use]
    pub const fn of(self, link: Subject) -> Step {
        Step::Link(LinkStep::Set { link, setting: self })
    }

    /// Whether both are the same setting, whatever the values.
    #[must_use]
    pub fn is_same_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Sysctl { key: one, .. }, Self::Sysctl { key: other, .. })
            | (Self::Feature { name: one, .. }, Self::Feature { name: other, .. }) => one == other,
            (one, other) => std::mem::discriminant(one) == std::mem::discriminant(other),
        }
    }

    fn takes_more_along(&self) -> bool {
        match self {
            Self::Mac(_) => true,
            Self::Admin(up) => !up.to,
            Self::Sysctl { key, value } => key == DISABLE_IPV6 && value.to != "0",
            Self::Mtu(_)
            | Self::Promisc(_)
            | Self::Allmulti(_)
            | Self::AddrGenMode(_)
            | Self::Token(_)
            | Self::Feature { .. } => false,
        }
    }

    const fn invert(&mut self) {
        match self {
            Self::Admin(change) | Self::Promisc(change) | Self::Allmulti(change) => change.swap(),
            Self::Mac(change) => change.swap(),
            Self::Mtu(change) => change.swap(),
            Self::AddrGenMode(change) => change.swap(),
            Self::Sysctl { value, .. } => value.swap(),
            Self::Token(change) => change.swap(),
            Self::Feature { on, .. } => on.swap(),
        }
    }
}
