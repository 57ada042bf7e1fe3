//! The steps that plans are made of.

use std::{collections::BTreeMap, net::Ipv6Addr};

use aggctl_common::{IfIndex, Mac, PortId};
use serde::{Deserialize, Serialize};

use crate::{
    config::{Device, Hook},
    host::{Address, Neighbour, Nexthop, Route},
    plan::port::DISABLE_IPV6,
    record::Identity,
};

/// The interface that a step is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// The aggregate's interface, by its name; its number is known once it is made.
    Aggregate,
    /// The hidden end of the aggregate's pair.
    Hidden,
    /// A port.
    Port {
        /// Its slot.
        id: PortId,
        /// Its index when the step was planned; whoever carries the step out makes sure that the interface is still this one.
        index: IfIndex,
        /// Its name when the step was planned.
        name: String,
        /// What the interface is known by.
        identity: Identity,
    },
}

/// A change of the host that can be undone. It says both what shall be and what was, so that its inverse needs nothing
/// else. Carrying out a step that is already in effect succeeds; so does undoing one that never took effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    /// Tell network managers to leave an interface alone: by name, so it need not be there yet.
    Unmanage {
        /// The interface.
        link: Subject,
    },
    /// Take that back. The inverse of [`Step::Unmanage`].
    Manage {
        /// The interface.
        link: Subject,
    },
    /// Make the network namespace that the hidden end is to be in ([`crate::config::Wiring::has_namespace`]).
    CreateNamespace,
    /// Remove it. The inverse of [`Step::CreateNamespace`].
    DeleteNamespace,
    /// Make the pair of the aggregate's interface and its hidden end. Both are down, without IPv6 address generation.
    CreatePair {
        /// What it is made of.
        device: Device,
        /// Name of the aggregate.
        name: String,
        /// Name of the hidden end.
        hidden: String,
        /// MAC of the aggregate.
        mac: Mac,
        /// MTU of both ends.
        mtu: u32,
        /// gso_max_size of both ends.
        gso_max_size: u32,
        /// gso_max_segs of both ends.
        gso_max_segs: u32,
    },
    /// Remove the pair. The inverse of [`Step::CreatePair`], with what is needed to make it again.
    DeletePair {
        /// What it is made of.
        device: Device,
        /// Name of the aggregate.
        name: String,
        /// Name of the hidden end.
        hidden: String,
        /// MAC of the aggregate.
        mac: Mac,
        /// MTU of both ends.
        mtu: u32,
        /// gso_max_size of both ends.
        gso_max_size: u32,
        /// gso_max_segs of both ends.
        gso_max_segs: u32,
    },
    /// Set an interface administratively up or down.
    SetAdmin {
        /// The interface.
        link: Subject,
        /// What shall be.
        up: bool,
        /// What was.
        was: bool,
    },
    /// Set an interface's MAC. A driver that refuses while the interface is up has it taken down for the moment.
    SetMac {
        /// The interface.
        link: Subject,
        /// What shall be.
        mac: Mac,
        /// What was.
        was: Mac,
    },
    /// Set an interface's MTU.
    SetMtu {
        /// The interface.
        link: Subject,
        /// What shall be, octets.
        mtu: u32,
        /// What was, octets.
        was: u32,
    },
    /// Set an interface's promiscuous flag.
    SetPromisc {
        /// The interface.
        link: Subject,
        /// What shall be.
        on: bool,
        /// What was.
        was: bool,
    },
    /// Set an interface's all-multicast flag.
    SetAllmulti {
        /// The interface.
        link: Subject,
        /// What shall be.
        on: bool,
        /// What was.
        was: bool,
    },
    /// Set how an interface makes its IPv6 addresses (`IN6_ADDR_GEN_MODE_*`: 0 EUI-64, 1 none, 2 stable privacy, 3 random).
    SetAddrGenMode {
        /// The interface.
        link: Subject,
        /// What shall be.
        mode: u8,
        /// What was.
        was: u8,
    },
    /// Set a per-interface sysctl.
    SetSysctl {
        /// The interface.
        link: Subject,
        /// Family and name: `ipv4/rp_filter` is net.ipv4.conf.LINK.rp_filter.
        key: String,
        /// What shall be.
        value: String,
        /// What was.
        was: String,
    },
    /// Give an interface that was just made the sysctls of another one, where they differ. Undoing it does nothing: the
    /// interface goes.
    SetSysctls {
        /// The interface.
        link: Subject,
        /// What shall be, by family and name as in [`Step::SetSysctl`].
        values: BTreeMap<String, String>,
    },
    /// Set the interface identifier that IPv6 addresses from router advertisements get (`ip token`).
    SetToken {
        /// The interface.
        link: Subject,
        /// What shall be; zero is none.
        token: Ipv6Addr,
        /// What was.
        was: Ipv6Addr,
    },
    /// Switch an ethtool feature.
    SetFeature {
        /// The interface.
        link: Subject,
        /// Its name as ethtool shows it.
        feature: String,
        /// What shall be.
        on: bool,
        /// What was.
        was: bool,
    },
    /// Add an address, without duplicate address detection. `Address::link` is ignored.
    AddAddress {
        /// The interface.
        link: Subject,
        /// The address, with the label that it shall have there.
        address: Address,
    },
    /// Remove an address. The inverse of [`Step::AddAddress`].
    DeleteAddress {
        /// The interface.
        link: Subject,
        /// The address.
        address: Address,
    },
    /// Add a route as it was described, but leaving by `to` wherever it said `from`.
    AddRoute {
        /// The route as described.
        route: Route,
        /// The interface in the description.
        from: IfIndex,
        /// The interface instead.
        to: Subject,
        /// IPv4: ahead of routes with the same destination and metric, else behind them.
        first: bool,
    },
    /// Remove exactly the route that [`Step::AddRoute`] with the same fields adds.
    DeleteRoute {
        /// The route as described.
        route: Route,
        /// The interface in the description.
        from: IfIndex,
        /// The interface instead.
        to: Subject,
        /// As in [`Step::AddRoute`].
        first: bool,
    },
    /// Make a nexthop object, as described by `nexthop`, leave by `to`; before, it left by `was`.
    MoveNexthop {
        /// The nexthop object.
        nexthop: Nexthop,
        /// The interface that it shall leave by.
        to: Subject,
        /// The interface that it left by.
        was: Subject,
    },
    /// Add a neighbour entry. `Neighbour::link` is ignored. An entry that is already there stays.
    AddNeighbour {
        /// The interface.
        link: Subject,
        /// The entry.
        neighbour: Neighbour,
    },
    /// Remove a neighbour entry.
    DeleteNeighbour {
        /// The interface.
        link: Subject,
        /// The entry.
        neighbour: Neighbour,
    },
    /// Load the maps and pin them, with this table.
    CreateMaps,
    /// Unpin the maps.
    DeleteMaps,
    /// Write the table with this port as the only one that carries traffic. Undoing it does nothing: the maps go.
    Select {
        /// The port.
        link: Subject,
    },
    /// Hang the sending program where what the aggregate sends passes; device and wiring decide where that is.
    AttachTx {
        /// What the pair is made of.
        device: Device,
        /// The hook.
        hook: Hook,
    },
    /// Take the sending program off.
    DetachTx {
        /// What the pair is made of.
        device: Device,
        /// The hook.
        hook: Hook,
    },
    /// Hang the relay on the hidden end that is in a namespace of its own: it passes on what the ports heard.
    AttachRelay {
        /// The hook.
        hook: Hook,
    },
    /// Take the relay off.
    DetachRelay {
        /// The hook.
        hook: Hook,
    },
    /// Hang the receiving program on a port.
    AttachRx {
        /// The port.
        link: Subject,
        /// The hook.
        hook: Hook,
    },
    /// Take the receiving program off a port.
    DetachRx {
        /// The port.
        link: Subject,
        /// The hook.
        hook: Hook,
    },
    /// Tell the neighbours that the addresses of `link` are reached through it (announcements). Undoing it does nothing.
    Announce {
        /// The interface, which has the addresses by now.
        link: Subject,
    },
}

impl Step {
    /// The interface that the step changes; `None` if it is about the pair, its namespace or the maps as a whole.
    #[must_use]
    pub fn subject(&self) -> Option<&Subject> {
        match self {
            Self::Unmanage { link }
            | Self::Manage { link }
            | Self::SetAdmin { link, .. }
            | Self::SetMac { link, .. }
            | Self::SetMtu { link, .. }
            | Self::SetPromisc { link, .. }
            | Self::SetAllmulti { link, .. }
            | Self::SetAddrGenMode { link, .. }
            | Self::SetSysctl { link, .. }
            | Self::SetSysctls { link, .. }
            | Self::SetToken { link, .. }
            | Self::SetFeature { link, .. }
            | Self::AddAddress { link, .. }
            | Self::DeleteAddress { link, .. }
            | Self::AddNeighbour { link, .. }
            | Self::DeleteNeighbour { link, .. }
            | Self::AttachRx { link, .. }
            | Self::DetachRx { link, .. }
            | Self::Select { link }
            | Self::Announce { link } => Some(link),
            Self::AddRoute { to, .. } | Self::DeleteRoute { to, .. } | Self::MoveNexthop { to, .. } => Some(to),
            // Which end it hangs on does not matter here: neither is there without the other.
            Self::AttachTx { .. } | Self::DetachTx { .. } => Some(&Subject::Aggregate),
            Self::AttachRelay { .. } | Self::DetachRelay { .. } => Some(&Subject::Hidden),
            Self::CreateNamespace
            | Self::DeleteNamespace
            | Self::CreatePair { .. }
            | Self::DeletePair { .. }
            | Self::CreateMaps
            | Self::DeleteMaps => None,
        }
    }

    /// Whether both change the same setting of the same interface, so that the later one decides.
    #[must_use]
    pub fn is_about_the_same_as(&self, other: &Self) -> bool {
        let same_key = match (self, other) {
            (Self::SetSysctl { key: one, .. }, Self::SetSysctl { key: other, .. })
            | (Self::SetFeature { feature: one, .. }, Self::SetFeature { feature: other, .. }) => one == other,
            (Self::SetAdmin { .. }, Self::SetAdmin { .. })
            | (Self::SetMac { .. }, Self::SetMac { .. })
            | (Self::SetMtu { .. }, Self::SetMtu { .. })
            | (Self::SetPromisc { .. }, Self::SetPromisc { .. })
            | (Self::SetAllmulti { .. }, Self::SetAllmulti { .. })
            | (Self::SetAddrGenMode { .. }, Self::SetAddrGenMode { .. }) => true,
            _ => false,
        };
        same_key && self.subject() == other.subject()
    }

    /// Whether the kernel may remove more addresses and routes than the step names, without saying who asked for it.
    #[must_use]
    pub fn takes_more_along(&self) -> bool {
        match self {
            Self::DeleteAddress { .. } | Self::SetMac { .. } | Self::DeletePair { .. } => true,
            Self::SetAdmin { up, .. } => !up,
            Self::SetSysctl { key, value, .. } => key == DISABLE_IPV6 && value != "0",
            _ => false,
        }
    }

    /// The step that undoes this one.
    #[must_use]
    pub fn inverse(&self) -> Self {
        let mut step = self.clone();
        match &mut step {
            Self::SetAdmin { up: new, was, .. }
            | Self::SetPromisc { on: new, was, .. }
            | Self::SetAllmulti { on: new, was, .. }
            | Self::SetFeature { on: new, was, .. } => std::mem::swap(new, was),
            Self::SetMac { mac, was, .. } => std::mem::swap(mac, was),
            Self::SetMtu { mtu, was, .. } => std::mem::swap(mtu, was),
            Self::SetAddrGenMode { mode, was, .. } => std::mem::swap(mode, was),
            Self::SetSysctl { value, was, .. } => std::mem::swap(value, was),
            Self::SetToken { token, was, .. } => std::mem::swap(token, was),
            Self::MoveNexthop { to, was, .. } => std::mem::swap(to, was),
            Self::Select { .. } | Self::Announce { .. } | Self::SetSysctls { .. } => {}
            Self::Unmanage { .. }
            | Self::Manage { .. }
            | Self::CreateNamespace
            | Self::DeleteNamespace
            | Self::CreatePair { .. }
            | Self::DeletePair { .. }
            | Self::AddAddress { .. }
            | Self::DeleteAddress { .. }
            | Self::AddRoute { .. }
            | Self::DeleteRoute { .. }
            | Self::AddNeighbour { .. }
            | Self::DeleteNeighbour { .. }
            | Self::CreateMaps
            | Self::DeleteMaps
            | Self::AttachTx { .. }
            | Self::DetachTx { .. }
            | Self::AttachRelay { .. }
            | Self::DetachRelay { .. }
            | Self::AttachRx { .. }
            | Self::DetachRx { .. } => return opposite(step),
        }
        step
    }
}

/// The other one of a pair of steps that differ in nothing but their direction.
fn opposite(step: Step) -> Step {
    match step {
        Step::Unmanage { link } => Step::Manage { link },
        Step::Manage { link } => Step::Unmanage { link },
        Step::CreateNamespace => Step::DeleteNamespace,
        Step::DeleteNamespace => Step::CreateNamespace,
        Step::CreatePair { device, name, hidden, mac, mtu, gso_max_size, gso_max_segs } => {
            Step::DeletePair { device, name, hidden, mac, mtu, gso_max_size, gso_max_segs }
        }
        Step::DeletePair { device, name, hidden, mac, mtu, gso_max_size, gso_max_segs } => {
            Step::CreatePair { device, name, hidden, mac, mtu, gso_max_size, gso_max_segs }
        }
        Step::AddAddress { link, address } => Step::DeleteAddress { link, address },
        Step::DeleteAddress { link, address } => Step::AddAddress { link, address },
        Step::AddRoute { route, from, to, first } => Step::DeleteRoute { route, from, to, first },
        Step::DeleteRoute { route, from, to, first } => Step::AddRoute { route, from, to, first },
        Step::AddNeighbour { link, neighbour } => Step::DeleteNeighbour { link, neighbour },
        Step::DeleteNeighbour { link, neighbour } => Step::AddNeighbour { link, neighbour },
        Step::CreateMaps => Step::DeleteMaps,
        Step::DeleteMaps => Step::CreateMaps,
        Step::AttachTx { device, hook } => Step::DetachTx { device, hook },
        Step::DetachTx { device, hook } => Step::AttachTx { device, hook },
        Step::AttachRelay { hook } => Step::DetachRelay { hook },
        Step::DetachRelay { hook } => Step::AttachRelay { hook },
        Step::AttachRx { link, hook } => Step::DetachRx { link, hook },
        Step::DetachRx { link, hook } => Step::AttachRx { link, hook },
        other => other,
    }
}
