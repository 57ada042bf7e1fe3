//! Policy routing rules that name a port, or its group.

use super::{ConflictKind, Search};
use crate::{error::KernelError, netlink::Netlink};

pub(super) fn look(search: &mut Search) -> Result<bool, KernelError> {
    let rules = Netlink::open()?.rules()?;
    let aggregate_group = search.interfaces.aggregate.group;
    for port in search.interfaces.ports.clone() {
        let names_it = |name: &Option<String>| name.as_ref() == Some(&port.name);
        let of_group = |group: Option<u32>| group.is_some_and(|group| group == port.group && group != aggregate_group);
        for rule in &rules {
            if names_it(&rule.iif) || names_it(&rule.oif) || of_group(rule.suppressed_group) {
                let family = if rule.v6 { "IPv6" } else { "IPv4" };
                search.note(ConflictKind::RoutingRule, &port.name, format!("{} ({family})", rule.priority));
            }
        }
    }
    Ok(true)
}
