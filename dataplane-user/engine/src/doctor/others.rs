//! What others do with the ports: programs and filters on them, addresses and masters, rules, sockets and managers.

use super::{AggregateFacts, Facts, Finding, FindingKind, PortFacts, Severity};
use crate::{
    config::Hook,
    conflict::{Conflict, ConflictKind},
    host::Link,
};

/// XDP of others.
pub(super) const XDP: FindingKind = FindingKind {
    id: "xdp-before",
    severities: &[Severity::Warning],
    looks_at: "whether a port runs an XDP program that is not ours: it sees each frame before all others",
    remedy: "see what it is: `bpftool prog show id N`; `ip link set IF xdp off`, if nobody needs it",
};
/// What our redirect bypasses.
pub(super) const BYPASSED: FindingKind = FindingKind {
    id: "bypassed",
    severities: &[Severity::Warning],
    looks_at: "filters of tc and chains of nftables on the ingress of a port (wirings `shared`, `direct`): our program \
               comes before, and they do not see what it passes to the aggregate",
    remedy: "attach them to the aggregate instead",
};
/// Addresses, routes, masters.
pub(super) const PUT: FindingKind = FindingKind {
    id: "put-by-others",
    severities: &[Severity::Warning],
    looks_at: "addresses, routes and masters on a port (wirings `shared`, `direct`): what uses them does not pass the \
               aggregate",
    remedy: "give them to the aggregate; see who put them there, and let it work on the aggregate",
};
/// `ip rule`.
pub(super) const RULE: FindingKind = conflict(
    "ip-rule",
    "policy routing rules that name a port (`iif`, `oif`) or its group, and do not apply to the aggregate",
    "add one that names the aggregate",
);
/// nftables.
pub(super) const NFTABLES: FindingKind = conflict(
    "nftables",
    "rules of nftables that name a port, by its name, number, group or kind, also in sets, and treat the aggregate \
     otherwise",
    "add the aggregate to them",
);
/// Flowtables.
pub(super) const FLOWTABLE: FindingKind =
    conflict("flowtable", "flowtables of nftables that have a port", "put the aggregate in its place");
/// iptables.
pub(super) const IPTABLES: FindingKind = conflict(
    "iptables",
    "rules of the older iptables, ip6tables and arptables that name a port, and treat the aggregate otherwise",
    "add the aggregate to them",
);
/// tc.
pub(super) const TC_FILTER: FindingKind = conflict(
    "tc-filter",
    "filters of tc on other interfaces that ask for a port (`indev`) or send to one (`mirred`)",
    "let them name the aggregate",
);
/// Tunnels.
pub(super) const TUNNEL: FindingKind =
    conflict("tunnel", "tunnels that send through a port (`dev IF`)", "make them again on the aggregate");
/// Sockets.
pub(super) const SOCKET: FindingKind = conflict(
    "bound-socket",
    "TCP, UDP and raw sockets that are bound to a port (`SO_BINDTODEVICE`), by their process",
    "start the process again, bound to the aggregate or to no interface",
);
/// DHCP clients.
pub(super) const DHCP: FindingKind = conflict(
    "dhcp-client",
    "packet sockets that dhclient, dhcpcd, udhcpc, connmand or wicked has on a port",
    "let it work on the aggregate",
);
/// Groups.
pub(super) const GROUP: FindingKind = conflict(
    "group",
    "multicast groups that were joined on a port (wirings `shared`, `direct`), which is not where their frames arrive",
    "join them on the aggregate",
);
/// NetworkManager.
pub(super) const NETWORK_MANAGER: FindingKind = conflict(
    "network-manager",
    "whether NetworkManager holds a port (wirings `shared`, `direct`), as its files in `/run` say",
    "the commands that the line names",
);
/// systemd-networkd.
pub(super) const NETWORKD: FindingKind = conflict(
    "networkd",
    "whether systemd-networkd holds a port (wirings `shared`, `direct`), as its files in `/run` say",
    "`networkctl reload`",
);
/// Packet sockets.
pub(super) const PACKET_SOCKET: FindingKind = FindingKind {
    severities: &[Severity::Hint],
    ..conflict(
        "packet-socket",
        "other packet sockets on a port (wirings `shared`, `direct`), but those of aggctl: LLDP daemons belong there",
        "let the process work on the aggregate, unless it is about the link itself",
    )
};
/// Other managers.
pub(super) const MANAGER: FindingKind = FindingKind {
    severities: &[Severity::Hint],
    ..conflict(
        "manager",
        "whether dhclient, dhcpcd, udhcpc, connmand or wicked runs in this network namespace",
        "see that it leaves the ports alone",
    )
};
/// No time.
pub(super) const UNSEEN: FindingKind = FindingKind {
    severities: &[Severity::Hint],
    ..conflict(
        "unseen",
        "whether all rules, filters and sockets could be looked at in the time for that, a second for each kind",
        "look there by hand",
    )
};

const fn conflict(id: &'static str, looks_at: &'static str, remedy: &'static str) -> FindingKind {
    FindingKind { id, severities: &[Severity::Warning], looks_at, remedy }
}

/// What a conflict is found as; `None`: in this wiring it is as it should be.
fn kind_of(kind: ConflictKind, has_pair: bool) -> Option<&'static FindingKind> {
    match kind {
        ConflictKind::RoutingRule => Some(&RULE),
        ConflictKind::Nftables => Some(&NFTABLES),
        ConflictKind::Flowtable => Some(&FLOWTABLE),
        ConflictKind::Xtables => Some(&IPTABLES),
        ConflictKind::TrafficFilter => Some(&TC_FILTER),
        ConflictKind::Tunnel => Some(&TUNNEL),
        ConflictKind::Socket => Some(&SOCKET),
        ConflictKind::DhcpClient => Some(&DHCP),
        ConflictKind::Unseen => Some(&UNSEEN),
        // A driver has its members where managers and daemons look for them.
        ConflictKind::Group => has_pair.then_some(&GROUP),
        ConflictKind::NetworkManager => has_pair.then_some(&NETWORK_MANAGER),
        ConflictKind::Networkd => has_pair.then_some(&NETWORKD),
        ConflictKind::PacketSocket => has_pair.then_some(&PACKET_SOCKET),
        ConflictKind::Manager => has_pair.then_some(&MANAGER),
    }
}

/// Who else works on the ports.
pub(super) fn conflicts(_: &Facts, aggregate: &AggregateFacts) -> Vec<Finding> {
    let has_pair = aggregate.config.wiring.has_pair();
    let one = |conflict: &Conflict| {
        let kind = kind_of(conflict.kind, has_pair)?;
        let ports = conflict.ports.iter().map(String::as_str);
        Some(Finding::new(kind, aggregate, conflict.seen(), conflict.remedy()).on(ports))
    };
    aggregate.conflicts.iter().filter_map(one).collect()
}

/// Programs, filters and chains on the ports.
pub(super) fn programs(_: &Facts, aggregate: &AggregateFacts) -> Vec<Finding> {
    aggregate
        .present()
        .flat_map(|(port, link)| xdp(aggregate, port).into_iter().chain(bypassed(aggregate, link)))
        .collect()
}

fn xdp(aggregate: &AggregateFacts, port: &PortFacts) -> Option<Finding> {
    let program = port.foreign_xdp.as_ref()?;
    let (port, id, name) = (&port.name, program.id, &aggregate.name);
    let called = if program.name.is_empty() { String::new() } else { format!(" ({})", program.name) };
    let seen = format!(
        "the XDP program {id}{called} of somebody else runs on {port}: what it does not pass does not reach {name}"
    );
    let remedy = format!("see what it is: `bpftool prog show id {id}`; `ip link set {port} xdp off` takes it off");
    Some(Finding::new(&XDP, aggregate, seen, remedy).on([port.as_str()]))
}

fn bypassed(aggregate: &AggregateFacts, link: &Link) -> Option<Finding> {
    if !aggregate.config.wiring.has_pair() {
        return None;
    }
    // On clsact itself the order counts, and verification tells it.
    let filters = link.hooks.clsact_ingress.iter().filter(|_| aggregate.hook == Hook::Tcx);
    let filters = filters.map(|filter| format!("tc filter {filter}"));
    let chains = link.hooks.nft_ingress.iter().map(|chain| format!("nftables chain {chain}"));
    let all: Vec<_> = filters.chain(chains).collect();
    if all.is_empty() {
        return None;
    }
    let (port, name) = (&link.name, &aggregate.name);
    let seen = format!("{} on the ingress of {port} does not see what {port} receives for {name}", all.join(", "));
    Some(Finding::new(&BYPASSED, aggregate, seen, format!("attach it to {name} instead")).on([port.as_str()]))
}

/// Addresses, routes and masters on ports.
pub(super) fn put_on_ports(_: &Facts, aggregate: &AggregateFacts) -> Vec<Finding> {
    let name = &aggregate.name;
    let one = |port: &PortFacts| {
        let what = port.foreign.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let seen = format!("somebody put this on {}: {what}; what uses it does not pass {name}", port.name);
        let remedy = format!("give it to {name}, and let who put it there work on {name}");
        Finding::new(&PUT, aggregate, seen, remedy).on([port.name.as_str()])
    };
    aggregate.ports.iter().filter(|port| !port.foreign.is_empty()).map(one).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{super::samples::found, *};
    use crate::{
        config::Wiring,
        foreign::{Foreign, ForeignKind},
        host::XdpProgram,
    };

    fn with_conflict(kind: ConflictKind, wiring: Wiring) -> Vec<&'static str> {
        found(|facts| {
            facts.config.wiring = wiring;
            let aggregate = facts.name.clone();
            let (ports, who) = (BTreeSet::from(["eth1".to_owned()]), BTreeSet::from(["somebody".to_owned()]));
            facts.conflicts.push(Conflict { kind, aggregate, ports, who });
        })
    }

    #[test]
    fn each_conflict_has_a_word_of_its_own() {
        let words: BTreeSet<_> =
            ConflictKind::ALL.iter().flat_map(|kind| with_conflict(*kind, Wiring::Shared)).collect();
        assert_eq!(words.len(), ConflictKind::ALL.len(), "{words:?}");
    }

    #[test]
    fn a_drivers_members_may_be_held() {
        assert_eq!(with_conflict(ConflictKind::NetworkManager, Wiring::Over), [""; 0]);
        assert_eq!(with_conflict(ConflictKind::RoutingRule, Wiring::Over), ["ip-rule"]);
    }

    #[test]
    fn what_is_attached_to_a_port_is_before_ours_or_bypassed() {
        let program = XdpProgram { id: 7, name: "mine".into() };
        assert_eq!(found(|facts| facts.ports[0].foreign_xdp = Some(program)), ["xdp-before"]);
        let filter = |facts: &mut AggregateFacts, hook| {
            facts.hook = hook;
            facts.ports[1].link.as_mut().unwrap().hooks.clsact_ingress.push("bpf mine".into());
        };
        assert_eq!(found(|facts| filter(facts, Hook::Tcx)), ["bypassed"]);
        assert_eq!(found(|facts| filter(facts, Hook::Clsact)), [""; 0]);
        let chain = |facts: &mut AggregateFacts, wiring| {
            facts.config.wiring = wiring;
            facts.ports[1].link.as_mut().unwrap().hooks.nft_ingress.push("filter ingress".into());
        };
        assert_eq!(found(|facts| chain(facts, Wiring::Direct)), ["bypassed"]);
        assert_eq!(found(|facts| chain(facts, Wiring::Over)), [""; 0]);
    }

    #[test]
    fn what_was_put_on_a_port_is_told_once_for_each() {
        let put = |facts: &mut AggregateFacts| {
            for what in ["10.0.0.9/24", "10.0.0.10/24"] {
                facts.ports[1].foreign.insert(Foreign { kind: ForeignKind::Address, what: what.into() });
            }
        };
        assert_eq!(found(put), ["put-by-others"]);
    }
}
