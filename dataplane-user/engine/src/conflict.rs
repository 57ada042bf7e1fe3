//! Who else works on the ports of an aggregate and does not know about it: in words, for a warning and for `doctor`.

use std::{collections::BTreeSet, fmt};

/// How many of a kind are named one by one.
const NAMED: usize = 4;

/// What somebody does with a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConflictKind {
    /// A policy routing rule.
    RoutingRule,
    /// A rule of nftables, by its chain.
    Nftables,
    /// A flowtable of nftables.
    Flowtable,
    /// A rule of iptables, ip6tables or arptables of the older kind, by its table.
    Xtables,
    /// A filter of traffic control.
    TrafficFilter,
    /// A tunnel.
    Tunnel,
    /// A TCP, UDP or raw socket that is bound to the port, by its process.
    Socket,
    /// A packet socket that is bound to the port, by its process.
    PacketSocket,
    /// A packet socket of a program that configures interfaces, as DHCP clients have.
    DhcpClient,
    /// A multicast group that was joined on the port.
    Group,
    /// NetworkManager, which holds the port until it is told otherwise, by the commands for that.
    NetworkManager,
    /// systemd-networkd, likewise.
    Networkd,
    /// Another program that configures interfaces by itself.
    Manager,
    /// What there was no time to look at.
    Unseen,
}

impl ConflictKind {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::RoutingRule,
        Self::Nftables,
        Self::Flowtable,
        Self::Xtables,
        Self::TrafficFilter,
        Self::Tunnel,
        Self::Socket,
        Self::PacketSocket,
        Self::DhcpClient,
        Self::Group,
        Self::NetworkManager,
        Self::Networkd,
        Self::Manager,
        Self::Unseen,
    ];
}

/// All of a kind that is in conflict with the aggregate. Displayed as one line: what it is, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// What it is.
    pub kind: ConflictKind,
    /// The aggregate.
    pub aggregate: String,
    /// The ports that are concerned.
    pub ports: BTreeSet<String>,
    /// Each of them.
    pub who: BTreeSet<String>,
}

impl Conflict {
    /// What it is, in words.
    #[must_use]
    pub fn seen(&self) -> String {
        let (who, ports, aggregate) = (shortened(&self.who), shortened(&self.ports), &self.aggregate);
        let manager = |name| format!("{name} holds {ports} and gives addresses back when a link returns");
        match self.kind {
            ConflictKind::RoutingRule => format!("ip rule {who} names {ports} and does not apply to {aggregate}"),
            ConflictKind::Nftables => {
                format!("rules in nftables {who} name {ports} and treat {aggregate} otherwise")
            }
            ConflictKind::Flowtable => format!("nftables flowtable {who} names {ports}, not {aggregate}"),
            ConflictKind::Xtables => format!("rules in {who} name {ports} and treat {aggregate} otherwise"),
            ConflictKind::TrafficFilter => {
                format!("tc filters on {who} name {ports} and do not apply to {aggregate}")
            }
            ConflictKind::Tunnel => format!("{who} sends through {ports}, which has no routes any more"),
            ConflictKind::Socket => format!("{who} bound to {ports} reaches nobody from now on"),
            ConflictKind::PacketSocket => format!("{who} still listens on {ports}"),
            ConflictKind::DhcpClient => format!("{who} still configures {ports}"),
            ConflictKind::Group => format!("groups joined on {ports} are not received there any more, as {who}"),
            ConflictKind::NetworkManager => manager("NetworkManager"),
            ConflictKind::Networkd => manager("systemd-networkd"),
            ConflictKind::Manager => format!("{who} configures interfaces here"),
            ConflictKind::Unseen => format!("there was no time to look at all of {who}, which may name {ports}"),
        }
    }

    /// What to do about it, in words.
    #[must_use]
    pub fn remedy(&self) -> String {
        let aggregate = &self.aggregate;
        match self.kind {
            ConflictKind::RoutingRule => format!("add one that names {aggregate}"),
            ConflictKind::Nftables | ConflictKind::Xtables => format!("add {aggregate} to them"),
            ConflictKind::Flowtable => format!("put {aggregate} in its place"),
            ConflictKind::TrafficFilter => format!("let them name {aggregate}"),
            ConflictKind::Tunnel => format!("make it again on {aggregate}"),
            ConflictKind::Socket => format!("start it again, bound to {aggregate} or to no interface"),
            ConflictKind::PacketSocket | ConflictKind::DhcpClient => format!("let it work on {aggregate} instead"),
            ConflictKind::Group => format!("join them on {aggregate}"),
            ConflictKind::NetworkManager | ConflictKind::Networkd => {
                format!("once {aggregate} is there, {}", shortened(&self.who))
            }
            ConflictKind::Manager => "see that it leaves the ports alone".to_owned(),
            ConflictKind::Unseen => "look there by hand".to_owned(),
        }
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.seen(), self.remedy())
    }
}

/// The first few, and how many more there are.
fn shortened(names: &BTreeSet<String>) -> String {
    let list = names.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMED) {
        0 => list,
        more => format!("{list} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conflict(kind: ConflictKind, ports: &[&str], who: BTreeSet<String>) -> Conflict {
        let ports = ports.iter().map(|port| (*port).to_owned()).collect();
        Conflict { kind, aggregate: "agg0".to_owned(), ports, who }
    }

    #[test]
    fn a_thousand_of_a_kind_are_one_line() {
        let who = (0..1000).map(|number| format!("inet filter c{number:04}")).collect();
        assert_eq!(
            conflict(ConflictKind::Nftables, &["eth0", "eth1"], who).to_string(),
            "rules in nftables inet filter c0000, inet filter c0001, inet filter c0002, inet filter c0003 and 996 \
             more name eth0, eth1 and treat agg0 otherwise: add agg0 to them"
        );
    }

    #[test]
    fn every_kind_is_one_line_that_names_who_and_what_to_do() {
        for kind in ConflictKind::ALL {
            let line = conflict(kind, &["eth1"], ["somebody".to_owned()].into()).to_string();
            assert!(line.contains("somebody") && !line.contains('\n') && line.contains(": "), "{line}");
            assert!(line.contains("eth1") || kind == ConflictKind::Manager, "{line}");
        }
    }
}
