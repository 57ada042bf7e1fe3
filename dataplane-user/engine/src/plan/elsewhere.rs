//! A port that was moved to another network namespace: it is no port there, and what it was made for being one is
//! undone.

use aggctl_common::IfIndex;

use crate::{
    host::Link,
    plan::{Setting, port_settings},
    record::{PortRecord, Record},
};

/// Whether `link`, of another network namespace, is `port`, which went away from here. `index`: the index that it got
/// there, if the kernel told. It must have the MAC that it has as a port: without that nothing tells it from a
/// stranger, and somebody there has made it theirs.
#[must_use]
pub fn is_elsewhere(record: &Record, port: &PortRecord, link: &Link, index: Option<IfIndex>) -> bool {
    let told = index == Some(link.index) && port.identity.is_still(link, &port.config.name, record.mac);
    link.mac == record.mac && (told || port.identity.returns_as(link, &port.config.name))
}

/// The settings that `link`, the interface of `port` in another network namespace, gets back because it still has them
/// as a port. The kernel itself took its addresses, and set its sysctls to those of that namespace.
#[must_use]
pub fn restore_elsewhere(port: &PortRecord, link: &Link) -> Vec<Setting> {
    let before = &port.before;
    // Whether it is up, and makes addresses, is the business of those there.
    let now = Link { admin_up: before.admin_up, addr_gen_mode: before.addr_gen_mode, ..link.clone() };
    port_settings::restore_link(&now, before).chain(port_settings::restore_rest(&now, before)).collect()
}
