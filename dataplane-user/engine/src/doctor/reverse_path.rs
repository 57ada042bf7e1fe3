//! `rp_filter`: a packet that comes in by the aggregate is dropped, without a trace but a counter, if it is strict and
//! the way back to its sender is another interface.

use std::net::IpAddr;

use aggctl_common::IfIndex;

use super::{AggregateFacts, Facts, Finding, FindingKind, Severity};
use crate::host::{Address, Route};

/// `RT_TABLE_MAIN`.
const MAIN: u32 = 254;
/// `RTN_UNICAST`.
const UNICAST: u8 = 1;
/// `rp_filter` that drops what would not be answered by the interface that it came in by.
const STRICT_MODE: u8 = 1;

/// The network of one of its own addresses is somewhere else.
pub(super) const STRICT: FindingKind = FindingKind {
    id: "rp-filter",
    severities: &[Severity::Error],
    looks_at: "`rp_filter` of the aggregate (the larger of its own and that of `all`) is 1, and the best route of the \
               main table to the network of one of its IPv4 addresses leaves by another interface",
    remedy: "take that route or address away, or `sysctl net.ipv4.conf.NAME.rp_filter=2`",
};
/// The default route is somewhere else, and packets were dropped.
pub(super) const OTHER_WAY: FindingKind = FindingKind {
    id: "rp-filter-default",
    severities: &[Severity::Hint],
    looks_at: "`rp_filter` of the aggregate is 1, the default route leaves by another interface, and the network \
               namespace has counted packets that `rp_filter` dropped (`IPReversePathFilter`, since it was made)",
    remedy: "if senders behind routers are to reach the aggregate: `sysctl net.ipv4.conf.NAME.rp_filter=2`",
};

/// What strict filtering drops.
pub(super) fn look(facts: &Facts, aggregate: &AggregateFacts) -> Vec<Finding> {
    let Some(own) = aggregate.link.as_ref().filter(|_| aggregate.rp_filter == Some(STRICT_MODE)) else {
        return Vec::new();
    };
    let name = &aggregate.name;
    let loosen = format!("`sysctl net.ipv4.conf.{name}.rp_filter=2`");
    let addresses = facts.host.addresses.iter().filter(|address| address.link == own.index);
    let networks: Vec<_> = addresses.filter_map(network).collect();
    if networks.is_empty() {
        return Vec::new();
    }
    let mut found = Vec::new();
    for (network, prefix_len) in networks {
        let Some(elsewhere) = best(facts, Some(network), prefix_len, own.index) else { continue };
        let seen = format!(
            "rp_filter of {name} is 1 (strict), and the way to {network}/{prefix_len} is by {elsewhere}: packets from \
             there that arrive on {name} are dropped"
        );
        let remedy = format!("take what leads there off {elsewhere}, or {loosen}");
        found.push(Finding::new(&STRICT, aggregate, seen, remedy));
    }
    let dropped = facts.kernel.reverse_path_drops.filter(|dropped| *dropped > 0);
    if let (true, Some(dropped), Some(elsewhere)) = (found.is_empty(), dropped, best(facts, None, 0, own.index)) {
        let seen = format!(
            "rp_filter of {name} is 1 (strict), the default route is by {elsewhere}, and {dropped} packets were \
             dropped by it in this network namespace since that was made"
        );
        found.push(Finding::new(&OTHER_WAY, aggregate, seen, format!("if hosts behind routers use {name}: {loosen}")));
    }
    found
}

/// The network of an IPv4 address that has neighbours.
fn network(address: &Address) -> Option<(IpAddr, u8)> {
    let IpAddr::V4(local) = address.local else { return None };
    let host_bits = 32_u32.checked_sub(address.prefix_len.into()).filter(|bits| (1..32).contains(bits))?;
    Some((IpAddr::V4((local.to_bits() >> host_bits << host_bits).into()), address.prefix_len))
}

/// The interface by which the best route to this destination leaves, if that is not by `own`. The kernel's order is
/// that of the metric, then that of its list.
fn best(facts: &Facts, destination: Option<IpAddr>, prefix_len: u8, own: IfIndex) -> Option<String> {
    let is_one = |route: &&Route| {
        let matches = route.destination == destination && route.prefix_len == prefix_len;
        matches && !route.v6 && route.table == MAIN && route.kind == UNICAST
    };
    let best = facts.host.routes.iter().filter(is_one).min_by_key(|route| route.metric)?;
    let elsewhere = best.links.first().filter(|_| !best.links.contains(&own))?;
    Some(facts.name_of(*elsewhere))
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            examine,
            samples::{AGG0, OTHER, facts, healthy},
        },
        *,
    };
    use crate::samples::{address, route};

    /// Strict, with an address on the aggregate and these routes.
    fn picture(routes: Vec<Route>) -> Facts {
        let mut picture = facts(AggregateFacts { rp_filter: Some(1), ..healthy() });
        picture.host.addresses = vec![address(AGG0, "10.0.0.2", 24), address(AGG0, "fd00::2", 64)];
        picture.host.routes = routes;
        picture
    }

    fn ids(picture: &Facts) -> Vec<&'static str> {
        examine(picture).iter().map(|finding| finding.id).collect()
    }

    #[test]
    fn strict_alone_is_no_fault() {
        assert_eq!(ids(&picture(vec![route(AGG0, Some("10.0.0.0"), 24, 2), route(AGG0, None, 0, 3)])), [""; 0]);
    }

    #[test]
    fn the_best_route_decides() {
        let by = |link, metric| Route { metric, ..route(link, Some("10.0.0.0"), 24, 2) };
        assert_eq!(ids(&picture(vec![by(OTHER, 0), by(AGG0, 0)])), ["rp-filter"]);
        assert_eq!(ids(&picture(vec![by(AGG0, 0), by(OTHER, 0)])), [""; 0], "the first of the same metric");
        assert_eq!(ids(&picture(vec![by(OTHER, 100), by(AGG0, 0)])), [""; 0]);
        let loose = |mut picture: Facts| {
            picture.aggregates[0].rp_filter = Some(2);
            picture
        };
        assert_eq!(ids(&loose(picture(vec![by(OTHER, 0)]))), [""; 0]);
        let seen = &examine(&picture(vec![by(OTHER, 0)]))[0].seen;
        assert!(seen.contains("10.0.0.0/24") && seen.contains("other0"), "{seen}");
    }

    #[test]
    fn a_default_route_elsewhere_counts_only_where_packets_were_dropped() {
        let mut picture = picture(vec![route(AGG0, Some("10.0.0.0"), 24, 2), route(OTHER, None, 0, 3)]);
        assert_eq!(ids(&picture), [""; 0]);
        picture.kernel.reverse_path_drops = Some(41);
        assert_eq!(ids(&picture), ["rp-filter-default"]);
        assert!(examine(&picture)[0].seen.contains("41"));
    }
}
