//! All ways from an aggregate up to the devices that send by it.

use std::{collections::BTreeSet, net::IpAddr};

use aggctl_common::{IfIndex, Mac, vlan::VlanId};

use super::{DeviceKind, NetDevice, PortVlan, StationPlace, Topology};
use crate::tag::Tag;

/// The most ways that are followed, so that bridges joined in a mesh do not multiply without end.
pub const WAYS: usize = 1024;

/// A step of the way from a device down to the aggregate.
#[derive(Clone, Copy, Debug)]
enum Hop {
    /// Through a VLAN device.
    Tag(Tag),
    /// Through a bridge, out by the port that leads to the aggregate.
    Bridge { bridge: IfIndex, port: IfIndex, filtering: Option<u16> },
}

/// Walks all ways from the aggregate upward.
pub struct Walk<'a> {
    picture: &'a Topology,
    /// Interfaces that speak for themselves, with the tags that their frames have on the wire (the outermost first).
    pub speakers: Vec<(IfIndex, Vec<Tag>)>,
    /// MACs of others, likewise.
    pub stations: Vec<(Mac, Vec<Tag>)>,
    /// Groups that others receive behind a bridge, likewise.
    pub groups: Vec<(IfIndex, IpAddr, Vec<Tag>)>,
    ways: usize,
}

impl<'a> Walk<'a> {
    /// All ways from `aggregate`.
    pub fn of(aggregate: IfIndex, picture: &'a Topology) -> Self {
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
