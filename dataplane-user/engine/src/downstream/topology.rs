//! The devices of a namespace: what they are stacked on, and who is behind them.

use std::{collections::BTreeMap, net::IpAddr};

use aggctl_common::{IfIndex, Mac, vlan::VlanId};

use crate::{membership::Memberships, tag::Tag};

/// The devices of the namespace, and who is behind those above the aggregate.
#[derive(Clone, Debug, Default)]
pub struct Topology {
    /// All interfaces, by number.
    pub devices: BTreeMap<IfIndex, NetDevice>,
    /// The ports of bridges, and the bridges themselves as ports of their own, by number.
    pub ports: BTreeMap<IfIndex, BridgePort>,
    /// By number of the interface: the unicast addresses that it must receive, and if it is a bridge, its forwarding
    /// database. Only those of [`above`](super::above) are wanted.
    pub stations: BTreeMap<IfIndex, Vec<Station>>,
    /// By number of the interface: the groups that this host receives by it. Likewise.
    pub memberships: BTreeMap<IfIndex, Memberships>,
    /// By number of the bridge: the groups that are received behind its ports, as far as it snoops. Likewise.
    pub bridge_groups: BTreeMap<IfIndex, Vec<BridgeGroup>>,
}

/// An interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetDevice {
    /// Its name.
    pub name: String,
    /// Its MAC.
    pub mac: Mac,
    /// Whether it is administratively up.
    pub up: bool,
    /// What it is stacked on.
    pub lower: Option<IfIndex>,
    /// What it is a port of.
    pub master: Option<IfIndex>,
    /// What it does with frames.
    pub kind: DeviceKind,
}

/// What an interface does with the frames that it hands down, or passes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceKind {
    /// It tags them (`vlan`).
    Vlan(Tag),
    /// It leaves them as they are (`macvlan`, `macvtap`, `ipvlan`, `ipvtap`).
    Plain,
    /// It passes them on between its ports; if it filters VLANs, with tags of this EtherType.
    Bridge {
        /// EtherType of the tags, if it filters.
        filtering: Option<u16>,
    },
    /// Anything else. What is above it is not known to use the aggregate's wire as it is (tunnels, encryption).
    Other,
}

/// A port of a bridge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BridgePort {
    /// Whether its spanning tree state lets frames through.
    pub forwarding: bool,
    /// Whether it exchanges nothing with other isolated ports.
    pub isolated: bool,
    /// The VLANs that it takes part in.
    pub vlans: Vec<PortVlan>,
}

/// VLANs of a port, from `first` to `last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortVlan {
    /// The first.
    pub first: VlanId,
    /// The last.
    pub last: VlanId,
    /// Whether frames that come without a tag belong to it.
    pub pvid: bool,
    /// Whether frames leave without a tag.
    pub untagged: bool,
}

/// An entry of a forwarding database or of a list of unicast addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Station {
    /// The address.
    pub mac: Mac,
    /// Where it is.
    pub place: StationPlace,
}

/// An entry of a bridge's multicast database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BridgeGroup {
    /// The port behind which it is received, or the bridge.
    pub port: IfIndex,
    /// The VLAN, if the bridge filters.
    pub vlan: Option<VlanId>,
    /// The group.
    pub group: IpAddr,
}

/// Where a station is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StationPlace {
    /// The interface itself has to receive it: a macvlan's address, perhaps one of another namespace.
    Here,
    /// Behind a port of the bridge.
    Behind {
        /// The port.
        port: IfIndex,
        /// The VLAN, if the bridge filters.
        vlan: Option<VlanId>,
    },
}
