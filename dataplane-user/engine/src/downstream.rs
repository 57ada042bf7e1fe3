//! What the host carries through an aggregate although it is not the aggregate's own: devices that are stacked on it,
//! and stations behind a bridge on it. Switches must learn their MACs on the new port, too.
//!
//! The kernel crate takes a [`Topology`] at the moment of an announcement. From the aggregate upward, each way to a
//! device is a list of hops; read downward, it says with which tags a frame of that device reaches the wire.

mod rejoin;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use aggctl_common::{IfIndex, Mac, vlan::VlanId};

use crate::{
    announce::{Ipv6Role, frames_as, learning},
    host::Address,
    membership::Memberships,
    tag::{Tag, tagged},
};

pub use rejoin::rejoin;

/// The most MACs (in the sense of MAC and tags) that are announced in one round. What a switch can keep is of this
/// order, and more would keep the port from its work.
pub const LIMIT: usize = 4096;
/// The most ways that are followed, so that bridges joined in a mesh do not multiply without end.
const WAYS: usize = 1024;

/// The devices of the namespace, and who is behind those above the aggregate.
#[derive(Clone, Debug, Default)]
pub struct Topology {
    /// All interfaces, by number.
    pub devices: BTreeMap<IfIndex, NetDevice>,
    /// The ports of bridges, and the bridges themselves as ports of their own, by number.
    pub ports: BTreeMap<IfIndex, BridgePort>,
    /// By number of the interface: the unicast addresses that it must receive, and if it is a bridge, its forwarding
    /// database. Only those of [`above`] are wanted.
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

/// A step of the way from a device down to the aggregate.
#[derive(Clone, Copy, Debug)]
enum Hop {
    /// Through a VLAN device.
    Tag(Tag),
    /// Through a bridge, out by the port that leads to the aggregate.
    Bridge { bridge: IfIndex, port: IfIndex, filtering: Option<u16> },
}

/// The interfaces whose frames may leave through the aggregate, itself included: whose stations belong into a
/// [`Topology`].
#[must_use]
pub fn above(aggregate: IfIndex, devices: &BTreeMap<IfIndex, NetDevice>) -> BTreeSet<IfIndex> {
    let mut found = BTreeSet::from([aggregate]);
    loop {
        let more: Vec<_> = devices
            .iter()
            .filter(|(index, device)| !found.contains(index) && device.up)
            .filter(|(index, device)| {
                let stacked = matches!(device.kind, DeviceKind::Vlan(_) | DeviceKind::Plain)
                    && device.lower.is_some_and(|lower| found.contains(&lower));
                let bridge = matches!(device.kind, DeviceKind::Bridge { .. })
                    && found.iter().any(|port| devices.get(port).is_some_and(|port| port.master == Some(**index)));
                stacked || bridge
            })
            .map(|(index, _)| *index)
            .collect();
        if more.is_empty() {
            return found;
        }
        found.extend(more);
    }
}

/// The frames that tell the switches (and the neighbours, where addresses are known) about everything that the host
/// carries through `aggregate`, but for the aggregate's own addresses: first the addresses of devices stacked on it and
/// of bridges, then, one learning frame each and [`LIMIT`] at most, the MACs that none of `addresses` spoke for. `role`
/// says of an interface, by its name, whether it forwards.
pub fn frames(
    aggregate: IfIndex,
    picture: &Topology,
    addresses: &[Address],
    role: impl Fn(&str) -> Ipv6Role,
) -> Vec<Vec<u8>> {
    let walk = Walk::of(aggregate, picture);
    let mut frames = Vec::new();
    let mut done = BTreeSet::new();
    let mut silent = Vec::new();
    for (index, tags) in walk.speakers {
        let Some(device) = picture.devices.get(&index) else { continue };
        let own: Vec<_> = addresses.iter().filter(|address| address.link == index).cloned().collect();
        let own = frames_as(role(&device.name), device.mac, &own);
        if own.is_empty() {
            silent.push((device.mac, tags));
        } else {
            if index != aggregate {
                frames.extend(own.iter().map(|frame| tagged(frame, &tags)));
            }
            done.insert((device.mac, tags));
        }
    }
    let others = silent.into_iter().chain(walk.stations).filter(|(mac, _)| mac.is_assignable());
    let new = others.filter(|station| done.insert(station.clone())).take(LIMIT);
    frames.extend(new.map(|(mac, tags)| tagged(&learning(mac), &tags)));
    frames
}

/// Walks all ways from the aggregate upward.
struct Walk<'a> {
    picture: &'a Topology,
    /// Interfaces that speak for themselves, with the tags that their frames have on the wire (the outermost first).
    speakers: Vec<(IfIndex, Vec<Tag>)>,
    /// MACs of others, likewise.
    stations: Vec<(Mac, Vec<Tag>)>,
    /// Groups that others receive behind a bridge, likewise.
    groups: Vec<(IfIndex, IpAddr, Vec<Tag>)>,
    ways: usize,
}

impl<'a> Walk<'a> {
    /// All ways from `aggregate`.
    fn of(aggregate: IfIndex, picture: &'a Topology) -> Self {
        let mut walk = Self { picture, speakers: Vec::new(), stations: Vec::new(), groups: Vec::new(), ways: 0 };
        walk.visit(aggregate, None, &mut Vec::new(), &mut Vec::new());
        walk
    }

    /// Looks at `index`, reached over `hops` by way of `from`; `path` is what lies below.
    fn visit(&mut self, index: IfIndex, from: Option<IfIndex>, hops: &mut Vec<Hop>, path: &mut Vec<IfIndex>) {
        let picture = self.picture;
        let Some(device) = picture.devices.get(&index).filter(|device| device.up) else { return };
        if path.contains(&index) || self.ways >= WAYS {
            return;
        }
        self.ways += 1;
        let bridge = device.master.and_then(|master| Some((master, bridge_filtering(picture.devices.get(&master)?)?)));
        // A port of a bridge has no traffic of its own.
        if bridge.is_none()
            && let Some(tags) = self.descend(hops, Vec::new())
        {
            let explained = self.received_for_vlans(index);
            let received = self.received_by(index).filter(|mac| !explained.contains(mac));
            let received: Vec<_> = received.map(|mac| (mac, tags.clone())).collect();
            self.stations.extend(received);
            self.speakers.push((index, tags));
        }
        if let (DeviceKind::Bridge { filtering }, Some(port)) = (device.kind, from) {
            self.look_behind(index, port, filtering, hops);
        }
        path.push(index);
        for (upper, above) in picture.devices.iter().filter(|(_, above)| above.lower == Some(index)) {
            match above.kind {
                DeviceKind::Vlan(tag) => self.climb(*upper, index, Some(Hop::Tag(tag)), hops, path),
                DeviceKind::Plain => self.climb(*upper, index, None, hops, path),
                DeviceKind::Bridge { .. } | DeviceKind::Other => {}
            }
        }
        if let Some((bridge, filtering)) = bridge
            && picture.ports.get(&index).is_some_and(|port| port.forwarding)
        {
            self.climb(bridge, index, Some(Hop::Bridge { bridge, port: index, filtering }), hops, path);
        }
        path.pop();
    }

    fn climb(&mut self, to: IfIndex, from: IfIndex, hop: Option<Hop>, hops: &mut Vec<Hop>, path: &mut Vec<IfIndex>) {
        let length = hops.len();
        hops.extend(hop);
        self.visit(to, Some(from), hops, path);
        hops.truncate(length);
    }

    /// Notes the stations and the groups behind the other ports of a bridge. The last of `hops` is that bridge.
    fn look_behind(&mut self, bridge: IfIndex, by: IfIndex, filtering: Option<u16>, hops: &[Hop]) {
        let Some((_, below)) = hops.split_last() else { return };
        let isolated = |port: &IfIndex| self.picture.ports.get(port).is_some_and(|port| port.isolated);
        let tags = |port: IfIndex, vlan: Option<VlanId>| {
            if port == by || (isolated(&port) && isolated(&by)) {
                return None;
            }
            let tags = match (filtering, vlan) {
                (None, None) => Some(Vec::new()),
                (Some(protocol), Some(vlan)) => self.leave(by, protocol, vlan, &[]),
                // Entries of another life of the bridge, which it does not look up.
                (None, Some(_)) | (Some(_), None) => None,
            };
            self.descend(below, tags?)
        };
        let stations = self.picture.stations.get(&bridge).into_iter().flatten();
        let found: Vec<_> = stations
            .filter_map(|station| match station.place {
                StationPlace::Behind { port, vlan } => Some((station.mac, tags(port, vlan)?)),
                StationPlace::Here => None,
            })
            .collect();
        let groups = self.picture.bridge_groups.get(&bridge).into_iter().flatten();
        let received: Vec<_> =
            groups.filter_map(|entry| Some((bridge, entry.group, tags(entry.port, entry.vlan)?))).collect();
        self.groups.extend(received);
        self.stations.extend(found);
    }

    /// The tags on the wire of a frame that has `tags` above all `hops`. `None` if it does not get there.
    fn descend(&self, hops: &[Hop], tags: Vec<Tag>) -> Option<Vec<Tag>> {
        hops.iter().rev().try_fold(tags, |mut tags, hop| match *hop {
            Hop::Tag(tag) => {
                tags.insert(0, tag);
                Some(tags)
            }
            Hop::Bridge { filtering: None, .. } => Some(tags),
            Hop::Bridge { bridge, port, filtering: Some(protocol) } => {
                let own = &self.picture.ports.get(&bridge)?.vlans;
                let (vlan, inner) = match tags.split_first() {
                    Some((outer, inner)) if outer.protocol == protocol && outer.vlan != VlanId(0) => {
                        (outer.vlan, inner)
                    }
                    _ => (own.iter().find(|vlan| vlan.pvid)?.first, &tags[..]),
                };
                entry(own, vlan)?;
                self.leave(port, protocol, vlan, inner)
            }
        })
    }

    /// The tags of a frame of `vlan` that leaves a bridge by `port`. `None` if the port does not take part in the VLAN.
    fn leave(&self, port: IfIndex, protocol: u16, vlan: VlanId, inner: &[Tag]) -> Option<Vec<Tag>> {
        let untagged = entry(&self.picture.ports.get(&port)?.vlans, vlan)?.untagged;
        let outer = (!untagged).then_some(Tag { protocol, vlan });
        Some(outer.into_iter().chain(inner.iter().copied()).collect())
    }

    /// The unicast addresses that an interface must receive.
    fn received_by(&self, index: IfIndex) -> impl Iterator<Item = Mac> {
        let stations = self.picture.stations.get(&index).into_iter().flatten();
        stations.filter(|station| station.place == StationPlace::Here).map(|station| station.mac)
    }

    /// Those of them that it must receive for the sake of its VLAN devices, which are followed on their own.
    fn received_for_vlans(&self, index: IfIndex) -> BTreeSet<Mac> {
        let vlans = self
            .picture
            .devices
            .iter()
            .filter(|(_, upper)| upper.lower == Some(index) && matches!(upper.kind, DeviceKind::Vlan(_)));
        vlans.flat_map(|(upper, device)| self.received_by(*upper).chain([device.mac])).collect()
    }
}

/// If it is a bridge: the EtherType of its tags, if it filters.
fn bridge_filtering(device: &NetDevice) -> Option<Option<u16>> {
    match device.kind {
        DeviceKind::Bridge { filtering } => Some(filtering),
        DeviceKind::Vlan(_) | DeviceKind::Plain | DeviceKind::Other => None,
    }
}

/// How a port takes part in a VLAN.
fn entry(vlans: &[PortVlan], vlan: VlanId) -> Option<&PortVlan> {
    vlans.iter().find(|entry| (entry.first..=entry.last).contains(&vlan))
}

#[cfg(test)]
mod tests;
