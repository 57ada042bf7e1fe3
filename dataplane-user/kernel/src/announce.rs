//! Announcing the addresses of an interface, through it or through another, and all that is carried through it.

use std::collections::BTreeMap;

use aggctl_common::IfIndex;
use aggctl_engine::{
    announce::{Ipv6Role, frames_as},
    downstream::{self, DeviceKind, Topology},
    vlan::VlanConfig,
};

use crate::{
    error::KernelError,
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

/// The frames that tell the switches about everything that is carried through interface `of` at this moment without
/// being its own: see [`downstream::frames`]. None if `of` is not there.
///
/// # Errors
///
/// If the kernel cannot be asked. What goes away meanwhile is left out.
pub fn downstream(netlink: &mut Netlink, of: IfIndex) -> Result<Vec<Vec<u8>>, KernelError> {
    let devices = netlink.devices()?;
    let above = downstream::above(of, &devices);
    let is_bridge =
        |index: &IfIndex| matches!(devices.get(index).map(|device| device.kind), Some(DeviceKind::Bridge { .. }));
    let ports = if above.iter().any(is_bridge) { netlink.bridge_ports()? } else { BTreeMap::new() };
    let mut stations = BTreeMap::new();
    for index in above {
        let found =
            if is_bridge(&index) { netlink.bridge_stations(index)? } else { netlink.unicast_addresses(index)? };
        stations.insert(index, found);
    }
    let addresses = netlink.addresses()?;
    // An interface that is gone forwards nothing.
    let role = |name: &str| sysctl::role(name).unwrap_or(Ipv6Role::Host);
    Ok(downstream::frames(of, &Topology { devices, ports, stations }, &addresses, role))
}
