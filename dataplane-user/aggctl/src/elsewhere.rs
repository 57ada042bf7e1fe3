//! Ports that were moved to other network namespaces.

use aggctl_common::IfIndex;
use aggctl_engine::{
    host::Link,
    plan,
    record::{PortRecord, Record},
};
use aggctl_kernel::{ethtool, execute, netlink::Netlink, netns};
use tracing::warn;

/// What became of a port that is not in this network namespace any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Moved {
    /// It was not found in another one, or has nothing there that is ours.
    NotFound,
    /// It is an ordinary interface there, but for what could not be restored.
    Restored(Vec<String>),
}

/// Looks for a port in the other network namespaces, and takes its settings as a port off there. `index`: the one that
/// it has there, if the kernel told.
pub fn restore(record: &Record, port: &PortRecord, index: Option<IfIndex>) -> Moved {
    let restore = |netlink: &mut Netlink| {
        let is_it = |link: &Link| plan::is_elsewhere(record, port, link, index);
        let mut link = netlink.links().ok()?.into_iter().find(is_it)?;
        link.features = ethtool::features(&link.name, &ethtool::FEATURES).unwrap_or_default();
        let settings = plan::restore_elsewhere(port, &link);
        let errors = settings.iter().filter_map(|setting| execute::set_elsewhere(netlink, &link, setting).err());
        Some(errors.map(|error| error.to_string()).collect())
    };
    match netns::find_elsewhere(restore) {
        Ok(found) => found.map_or(Moved::NotFound, Moved::Restored),
        Err(error) => {
            warn!(%error, port = port.config.name, "cannot look for it in other network namespaces");
            Moved::NotFound
        }
    }
}
