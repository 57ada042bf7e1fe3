//! What generic netlink tells of interfaces.

use std::{collections::BTreeMap, io};

use aggctl_common::IfIndex;
use rustix::io::Errno;

use super::{
    socket::Socket,
    tlv::{Attributes, Builder},
};
use crate::error::CallFailure;

/// Octets of `struct genlmsghdr`.
const HEADER: usize = 4;
/// `GENL_ID_CTRL`: who knows the numbers of the families.
const CONTROL: u16 = 0x10;
/// `CTRL_CMD_GETFAMILY`.
const GET_FAMILY: u8 = 3;
/// `CTRL_ATTR_FAMILY_ID`.
const FAMILY_ID: u16 = 1;
/// `CTRL_ATTR_FAMILY_NAME`.
const FAMILY_NAME: u16 = 2;
/// `NETDEV_CMD_DEV_GET`, of the family `netdev`.
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
    let mut socket = Socket::open(libc::NETLINK_GENERIC as isize)?;
    let Some(family) = family(&mut socket)? else { return Ok(None) };
    let devices = socket.dump(family, &header(GET_DEVICE))?;
    Ok(Some(devices.iter().filter_map(|device| parse(device)).collect()))
}

/// The number of the family `netdev`.
fn family(socket: &mut Socket) -> Result<Option<u16>, CallFailure> {
    let query = Builder::new(&header(GET_FAMILY)).push_str(FAMILY_NAME, "netdev").finish();
    match socket.get(CONTROL, &query) {
        Ok(answer) => {
            let id = Attributes::after(&answer, HEADER).find(FAMILY_ID).and_then(|id| id.first_chunk().copied());
            Ok(Some(u16::from_ne_bytes(id.ok_or_else(|| CallFailure::from(io::Error::from(Errno::BADMSG)))?)))
        }
        Err(failure) if failure.is(&[Errno::NOENT]) => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// `struct genlmsghdr`: the command, version 1.
fn header(command: u8) -> [u8; HEADER] {
    [command, 1, 0, 0]
}

fn parse(device: &[u8]) -> Option<(IfIndex, bool)> {
    let attributes = Attributes::after(device, HEADER);
    let features = attributes.find(XDP_FEATURES)?.first_chunk().copied().map(u64::from_ne_bytes)?;
    Some((IfIndex(attributes.u32(IFINDEX)?), features & BASIC != 0))
}
