//! Who else works on the ports and does not know about the aggregate: rules, tunnels and sockets that name a port, and
//! programs that configure it. They are not stopped, only named.
//!
//! A rule counts if it treats the port otherwise than the aggregate; one that names both does not. Each part of the
//! search has a limit of time, and is named if it came to no end. It uses sockets of its own, so that it can run beside
//! everything else.

mod filter;
mod group;
mod interface;
mod nft;
mod nft_expression;
mod process;
mod routing;
mod socket;
mod tunnel;
mod xtables;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::{Duration, Instant},
};

use aggctl_common::IfIndex;

use self::interface::Interfaces;
use crate::{error::KernelError, netlink::Netlink};

/// How long each part of the search may take. All but the largest firewalls are read in a small fraction of it.
const LIMIT: Duration = Duration::from_secs(1);
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

/// All of a kind that is in conflict with the aggregate. Displayed as one line.
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

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (who, ports, aggregate) = (shortened(&self.who), shortened(&self.ports), &self.aggregate);
        match self.kind {
            ConflictKind::RoutingRule => {
                write!(
                    f,
                    "ip rule {who} names {ports} and does not apply to {aggregate}: add one that names {aggregate}"
                )
            }
            ConflictKind::Nftables => write!(
                f,
                "rules in nftables {who} name {ports} and treat {aggregate} otherwise: add {aggregate} to them"
            ),
            ConflictKind::Flowtable => {
                write!(f, "nftables flowtable {who} names {ports}, not {aggregate}: put {aggregate} in its place")
            }
            ConflictKind::Xtables => {
                write!(f, "rules in {who} name {ports} and treat {aggregate} otherwise: add {aggregate} to them")
            }
            ConflictKind::TrafficFilter => {
                write!(f, "tc filters on {who} name {ports} and do not apply to {aggregate}: let them name {aggregate}")
            }
            ConflictKind::Tunnel => {
                write!(f, "{who} sends through {ports}, which has no routes any more: make it again on {aggregate}")
            }
            ConflictKind::Socket => write!(
                f,
                "{who} bound to {ports} reaches nobody from now on: start it again, bound to {aggregate} or to no \
                 interface"
            ),
            ConflictKind::PacketSocket => {
                write!(f, "{who} still listens on {ports}: let it work on {aggregate} instead")
            }
            ConflictKind::Group => {
                write!(f, "groups joined on {ports} are not received there any more: join {who} on {aggregate}")
            }
            ConflictKind::NetworkManager | ConflictKind::Networkd => {
                let manager = if self.kind == ConflictKind::Networkd { "systemd-networkd" } else { "NetworkManager" };
                write!(
                    f,
                    "{manager} holds {ports} and gives addresses back when a link returns: once {aggregate} is there, \
                     {who}"
                )
            }
            ConflictKind::Manager => write!(f, "{who} configures interfaces here: see that it leaves the ports alone"),
            ConflictKind::Unseen => {
                write!(f, "there was no time to look at everything that may name {ports}: not at {who}")
            }
        }
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

/// Who else works on these ports of `aggregate`, which need not be there yet.
///
/// # Errors
///
/// If the kernel cannot be asked.
pub fn find(ports: &[(IfIndex, String)], aggregate: &str) -> Result<Vec<Conflict>, KernelError> {
    let interfaces = Interfaces::look(&mut Netlink::open()?, ports, aggregate)?;
    let mut search = Search { found: Findings::default(), interfaces, end: Instant::now() + LIMIT };
    for (what, look) in PARTS {
        search.end = Instant::now() + LIMIT;
        if !look(&mut search)? {
            search.unseen(what);
        }
    }
    Ok(search.found.into_conflicts(aggregate))
}

/// A part of the search. It returns whether it came to its end.
type Part = fn(&mut Search) -> Result<bool, KernelError>;

/// The parts.
const PARTS: [(&str, Part); 9] = [
    ("ip rules", routing::look),
    ("tunnels", tunnel::look),
    ("multicast groups", group::look),
    ("managers", process::look_for_managers),
    ("iptables", xtables::look),
    ("tc filters", filter::look),
    ("nftables", nft::look),
    ("sockets", socket::look),
    ("packet sockets", socket::look_for_packet_sockets),
];

/// A search.
struct Search {
    interfaces: Interfaces,
    found: Findings,
    end: Instant,
}

impl Search {
    /// Whether the time is over.
    fn is_over(&self) -> bool {
        Instant::now() >= self.end
    }

    /// Notes who names a port.
    fn note(&mut self, kind: ConflictKind, port: &str, who: String) {
        self.found.note(kind, port, who);
    }

    /// Notes what was not looked at to its end.
    fn unseen(&mut self, what: &str) {
        let ports: Vec<_> = self.interfaces.ports.iter().map(|port| port.name.clone()).collect();
        for port in ports {
            self.note(ConflictKind::Unseen, &port, what.to_owned());
        }
    }
}

/// What was found: by kind, the ports and who names them.
#[derive(Default)]
struct Findings(BTreeMap<ConflictKind, (BTreeSet<String>, BTreeSet<String>)>);

impl Findings {
    fn note(&mut self, kind: ConflictKind, port: &str, who: String) {
        let (ports, all) = self.0.entry(kind).or_default();
        ports.insert(port.to_owned());
        all.insert(who);
    }

    fn into_conflicts(self, aggregate: &str) -> Vec<Conflict> {
        let conflict = |(kind, (ports, who))| Conflict { kind, aggregate: aggregate.to_owned(), ports, who };
        self.0.into_iter().map(conflict).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_of_a_kind_are_one_line() {
        let mut found = Findings::default();
        for number in 0..1000 {
            found.note(ConflictKind::Nftables, "eth1", format!("inet filter c{number:04}"));
        }
        found.note(ConflictKind::Nftables, "eth0", "inet filter c0000".to_owned());
        let conflicts = found.into_conflicts("agg0");
        let [conflict] = conflicts.as_slice() else { panic!("{conflicts:?}") };
        assert_eq!(
            conflict.to_string(),
            "rules in nftables inet filter c0000, inet filter c0001, inet filter c0002, inet filter c0003 and 996 \
             more name eth0, eth1 and treat agg0 otherwise: add agg0 to them"
        );
    }

    #[test]
    fn every_kind_is_one_line_that_names_who_and_what_to_do() {
        for kind in [
            ConflictKind::RoutingRule,
            ConflictKind::Nftables,
            ConflictKind::Flowtable,
            ConflictKind::Xtables,
            ConflictKind::TrafficFilter,
            ConflictKind::Tunnel,
            ConflictKind::Socket,
            ConflictKind::PacketSocket,
            ConflictKind::Group,
            ConflictKind::NetworkManager,
            ConflictKind::Networkd,
            ConflictKind::Manager,
            ConflictKind::Unseen,
        ] {
            let mut found = Findings::default();
            found.note(kind, "eth1", "somebody".to_owned());
            let line = found.into_conflicts("agg0")[0].to_string();
            assert!(line.contains("somebody") && !line.contains('\n') && line.contains(':'), "{line}");
            assert!(line.contains("eth1") || kind == ConflictKind::Manager, "{line}");
        }
    }
}
