//! Tunnels that send through a port: the routes that they find their other end by are the aggregate's from now on.

use aggctl_engine::plan::is_tunnel;

use super::{ConflictKind, Search};
use crate::{error::KernelError, netlink::Netlink};

pub(super) fn look(search: &mut Search) -> Result<bool, KernelError> {
    for link in Netlink::open()?.links()?.into_iter().filter(|link| is_tunnel(&link.kind)) {
        if let Some(port) = link.lower.and_then(|lower| search.interfaces.port(lower)).map(|port| port.name.clone()) {
            search.note(ConflictKind::Tunnel, &port, format!("{} ({})", link.name, link.kind));
        }
    }
    Ok(true)
}
