//! Whether an interface can become a port.

use std::collections::{BTreeMap, BTreeSet};

use aggctl_common::IfIndex;

use crate::{
    config::AggregateConfig,
    host::{Host, Link},
    names,
    plan::{Refusal, kind, layer3, port::PlannedPort},
};

/// What belongs to other aggregates of this network namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OtherAggregates {
    /// Their ports, with the name of the aggregate.
    pub ports: BTreeMap<IfIndex, String>,
    /// Their names.
    pub names: BTreeSet<String>,
}

impl OtherAggregates {
    /// Refuses the name of another aggregate.
    pub(super) fn check_free(&self, name: &str) -> Result<(), Refusal> {
        if self.names.contains(name) {
            return Err(Refusal::NameTaken { name: name.to_owned(), by: "another aggregate" });
        }
        Ok(())
    }
}

/// Whether `link` may become a port of whatever device.
pub(super) fn check(host: &Host, link: &Link, taken: &OtherAggregates) -> Result<(), Refusal> {
    let port = link.name.clone();
    if link.loopback {
        return Err(Refusal::PortIsLoopback { port });
    }
    if let Some(aggregate) = taken.ports.get(&link.index) {
        return Err(Refusal::PortInAggregate { port, aggregate: aggregate.clone() });
    }
    if taken.names.iter().any(|name| *name == port || names::peer_name(name) == port) {
        return Err(Refusal::PortIsAggregate { port });
    }
    if !link.ethernet {
        return Err(Refusal::PortNotEthernet { port });
    }
    if let Some(why) = kind::impossible(link) {
        return Err(Refusal::PortImpossible { port, kind: link.kind.clone(), why });
    }
    if let Some(index) = link.master {
        let master = host.links.get(&index);
        let kind = master.map(|m| m.kind.clone()).filter(|kind| !kind.is_empty());
        return Err(Refusal::PortHasMaster {
            port,
            kind: kind.unwrap_or_else(|| "interface".to_owned()),
            master: master.map_or_else(|| index.to_string(), |m| m.name.clone()),
        });
    }
    if let Some(upper) = host.stacked_on(link.index).find(|upper| !kind::is_tunnel(&upper.kind)) {
        return Err(Refusal::PortHasUpper { port, upper: upper.name.clone() });
    }
    Ok(())
}

/// Whether nothing on the ingress of `link` would be bypassed by a program there.
pub(super) fn check_ingress(link: &Link) -> Result<(), Refusal> {
    let port = link.name.clone();
    let filter = link.hooks.clsact_ingress.first().map(|filter| format!("a tc filter ({filter})"));
    let chain = link.hooks.nft_ingress.first().map(|chain| format!("an nftables chain ({chain})"));
    filter.or(chain).map_or(Ok(()), |what| Err(Refusal::PortHasHook { port, what }))
}

/// Whether `link` takes the MTU that it gets as a port, that of `source`.
pub(super) fn check_mtu(link: &Link, source: &Link) -> Result<(), Refusal> {
    let (limits, mtu) = (link.mtu_limits, source.mtu);
    let fits = limits.closest(mtu);
    if fits == mtu {
        return Ok(());
    }
    Err(Refusal::PortMtu { port: link.name.clone(), limits, mtu, fits, source_name: source.name.clone() })
}

/// `--addresses none`: the port must have neither addresses nor routes.
pub(super) fn check_bare(port: &PlannedPort<'_>) -> Result<(), Refusal> {
    let given = port.layer3.addresses.iter().find(|a| layer3::is_given(a, port.link));
    let what = match given {
        Some(address) => format!("the address {}", address.local),
        None if port.carries() => "routes".to_owned(),
        None => return Ok(()),
    };
    Err(Refusal::PortHasAddresses { port: port.link.name.clone(), what })
}

/// A host that is reached through `port` stays so, with this many ports that have a link.
pub(super) fn check_reachable(config: &AggregateConfig, port: &PlannedPort<'_>, links: usize) -> Result<(), Refusal> {
    if links >= usize::from(config.min_ports) {
        return Ok(());
    }
    Err(Refusal::WouldStrand {
        name: config.name.clone(),
        port: port.link.name.clone(),
        links,
        min_ports: config.min_ports,
    })
}

/// A route is described once, with one interface to replace: two of its ways cannot both be moved.
pub(super) fn check_multipath(ports: &[PlannedPort<'_>]) -> Result<(), Refusal> {
    let is_ours = |link: &IfIndex| ports.iter().any(|port| port.link.index == *link);
    let routes = ports.iter().flat_map(|port| &port.layer3.routes);
    for route in routes.filter(|route| route.nexthop.is_none()) {
        if route.links.iter().filter(|link| is_ours(link)).count() > 1 {
            let destination =
                route.destination.map_or_else(|| "default".to_owned(), |d| format!("{d}/{}", route.prefix_len));
            return Err(Refusal::MultipathOverPorts { route: destination });
        }
    }
    Ok(())
}
