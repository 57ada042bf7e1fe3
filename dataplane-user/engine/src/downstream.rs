//! What the host carries through an aggregate although it is not the aggregate's own: devices that are stacked on it,
//! and stations behind a bridge on it. Switches must learn their MACs on the new port, too.
//!
//! The kernel crate takes a [`Topology`] at the moment of an announcement. From the aggregate upward, each way to a
//! device is a list of hops; read downward, it says with which tags a frame of that device reaches the wire.

mod rejoin;
mod topology;
mod walk;

use std::collections::{BTreeMap, BTreeSet};

use aggctl_common::IfIndex;
use walk::Walk;

use crate::{
    announce::{Ipv6Role, frames_as, learning},
    host::Address,
    tag::tagged,
};

pub use rejoin::rejoin;
pub use topology::{BridgeGroup, BridgePort, DeviceKind, NetDevice, PortVlan, Station, StationPlace, Topology};

/// The most MACs (in the sense of MAC and tags) that are announced in one round. What a switch can keep is of this
/// order, and more would keep the port from its work.
pub const LIMIT: usize = 4096;
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

#[cfg(test)]
mod tests;
