//! What the family `netdev` tells of interfaces.

use std::collections::BTreeMap;

use aggctl_common::IfIndex;
use rtnetlink::sys::protocols::NETLINK_GENERIC;

use super::{Family, HEADER, header};
use crate::{
    error::CallFailure,
    netlink::{socket::Socket, tlv::Attributes},
};

/// `NETDEV_CMD_DEV_GET`.
const GET_DEVICE: u8 = 1;
/// `NETDEV_A_DEV_IFINDEX`.
const IFINDEX: u16 = 1;
/// `NETDEV_A_DEV_XDP_FEATURES`.
const XDP_FEATURES: u16 = 3;
/// `NETDEV_XDP_ACT_BASIC`: the driver runs programs, and passes and drops as they say.
const BASIC: u64 = 1;

/// Which interfaces have a driver that runs XDP programs; `None` if the kernel does not say.
///
/// Minimum kernel version: 6.3 (the family `netdev`).
pub(crate) fn native_xdp() -> Result<Option<BTreeMap<IfIndex, bool>>, CallFailure> {
    let mut socket = Socket::open(NETLINK_GENERIC)?;
    let Some(family) = Family::ask(&mut socket, "netdev")? else { return Ok(None) };
    let devices = socket.dump(family.id, &header(GET_DEVICE))?;
    Ok(Some(devices.iter().filter_map(|device| parse(device)).collect()))
}

fn parse(device: &[u8]) -> Option<(IfIndex, bool)> {
    let attributes = Attributes::after(device, HEADER);
    let features = attributes.find(XDP_FEATURES)?.first_chunk().copied().map(u64::from_ne_bytes)?;
    Some((IfIndex(attributes.u32(IFINDEX)?), features & BASIC != 0))
}
