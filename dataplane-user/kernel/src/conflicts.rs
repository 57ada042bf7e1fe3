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
    time::{Duration, Instant},
};

use aggctl_common::IfIndex;
use aggctl_engine::conflict::{Conflict, ConflictKind};

use self::interface::Interfaces;
use crate::{error::KernelError, netlink::Netlink};

/// How long each part of the search may take. All but the largest firewalls are read in a small fraction of it.
const LIMIT: Duration = Duration::from_secs(1);

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

    /// What is told twice is told once.
    fn into_conflicts(mut self, aggregate: &str) -> Vec<Conflict> {
        let at_work = self.0.get(&ConflictKind::DhcpClient).map(|(_, who)| who.clone()).unwrap_or_default();
        if let Some((_, who)) = self.0.get_mut(&ConflictKind::Manager) {
            who.retain(|who| !at_work.contains(who));
        }
        self.0.retain(|_, (_, who)| !who.is_empty());
        let conflict = |(kind, (ports, who))| Conflict { kind, aggregate: aggregate.to_owned(), ports, who };
        self.0.into_iter().map(conflict).collect()
    }
}
