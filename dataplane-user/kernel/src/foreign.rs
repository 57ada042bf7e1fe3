//! Looking for what others put on a port.

use std::collections::BTreeSet;

use aggctl_engine::{
    foreign::{Foreign, on_port},
    host::Link,
};

use crate::{error::KernelError, netlink::Netlink};

/// What others put on a port, of which the kernel just told `link`.
///
/// # Errors
///
/// If the kernel cannot be asked.
pub fn look(netlink: &mut Netlink, link: &Link) -> Result<BTreeSet<Foreign>, KernelError> {
    let master = match link.master {
        // One that goes in this moment has no name any more.
        Some(index) => netlink.link(index)?.map(|master| master.name),
        None => None,
    };
    let addresses = netlink.addresses_of(link.index)?;
    let routes = netlink.routes_by(link.index)?;
    Ok(on_port(link, master, &addresses, &routes))
}
