//! Announcing the addresses of an interface, through it or through another, and all that is carried through it.

use std::collections::BTreeMap;

use aggctl_common::IfIndex;
use aggctl_engine::{
    action::Announcement,
    announce::{Ipv6Role, frames_as},
    downstream::{self, DeviceKind, Topology},
    vlan::VlanConfig,
};

use crate::{
    error::KernelError,
    memberships,
    netlink::Netlink,
    packet::{PacketSender, SendError},
    sysctl,
};

/// Tells the neighbours, once for each address that interface `of` has at this moment, that it is reached through
/// `through`. What this rule has no place for on the wire is left out.
///
/// # Errors
///
/// [`KernelError::Gone`] if `of` is not there, else what the kernel refuses. An interface that is down, or whose queue
/// is full, is no error: nobody can receive it, and whoever comes later asks.
pub fn send(
    netlink: &mut Netlink,
    sender: &PacketSender,
    of: IfIndex,
    through: IfIndex,
    rule: &VlanConfig,
) -> Result<(), KernelError> {
    let Some(link) = netlink.link(of)? else { return Err(KernelError::Gone(format!("interface {of}"))) };
    let addresses = netlink.addresses_of(of)?;
    let frames = frames_as(sysctl::role(&link.name)?, link.mac, &addresses);
    for frame in frames.into_iter().filter_map(|frame| rule.on_wire(frame)) {
        match sender.send(through, &frame) {
            Ok(()) | Err(SendError::Down(_) | SendError::Full(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// The frames of an announcement that tell the switches about everything that is reached through interface `of` at this
/// moment without being its own, see [`downstream::frames`]; and about the groups that are received through it, see
/// [`downstream::rejoin`]. None if `of` is not there.
///
/// # Errors
///
/// If the kernel cannot be asked. What goes away meanwhile is left out.
pub fn downstream(netlink: &mut Netlink, of: IfIndex, announcement: Announcement) -> Result<Vec<Vec<u8>>, KernelError> {
    let devices = netlink.devices()?;
    let above = downstream::above(of, &devices);
    let is_bridge =
        |index: &IfIndex| matches!(devices.get(index).map(|device| device.kind), Some(DeviceKind::Bridge { .. }));
    let ports = if above.iter().any(is_bridge) { netlink.bridge_ports()? } else { BTreeMap::new() };
    let (mut stations, mut bridge_groups) = (BTreeMap::new(), BTreeMap::new());
    for index in above {
        if announcement.groups && is_bridge(&index) {
            bridge_groups.insert(index, netlink.bridge_groups(index)?);
        }
        let found =
            if is_bridge(&index) { netlink.bridge_stations(index)? } else { netlink.unicast_addresses(index)? };
        stations.insert(index, found);
    }
    let addresses = netlink.addresses()?;
    // An interface that is gone forwards nothing.
    let role = |name: &str| sysctl::role(name).unwrap_or(Ipv6Role::Host);
    let memberships = if announcement.groups { memberships::memberships()? } else { BTreeMap::new() };
    let picture = Topology { devices, ports, stations, memberships, bridge_groups };
    let mut frames = Vec::new();
    if announcement.groups {
        frames.extend(downstream::rejoin(of, &picture, &addresses, announcement.own));
    }
    if announcement.addresses {
        frames.extend(downstream::frames(of, &picture, &addresses, role));
    }
    Ok(frames)
}
