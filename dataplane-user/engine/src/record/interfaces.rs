//! Which interfaces are the aggregate's and its ports': by their index and what they are known by
//! ([`crate::identity`]).

use aggctl_common::IfIndex;

use super::{PortRecord, Record};
use crate::host::{Host, Link};

impl Record {
    /// The interface that `port` has now: the one with its index if that is still it, else the one that is recognised
    /// as the port come back.
    #[must_use]
    pub fn interface_of<'h>(&self, host: &'h Host, port: &PortRecord) -> Option<&'h Link> {
        self.still(host, port).or_else(|| self.returned(host, port))
    }

    /// The aggregate's interface, if it is there and ours.
    #[must_use]
    pub fn aggregate_of<'h>(&self, host: &'h Host) -> Option<&'h Link> {
        host.links.get(&self.index).filter(|link| self.is_aggregate(link))
    }

    /// Whether `link`, which has the index of the aggregate's interface, still is that: one may be renamed, or get
    /// another MAC, but an interface that has neither in common is a stranger.
    #[must_use]
    pub fn is_aggregate(&self, link: &Link) -> bool {
        link.index == self.index && (link.name == self.config.name || link.mac == self.mac)
    }

    /// The port that `link` is, by its index and its identity.
    #[must_use]
    pub fn port_of(&self, link: &Link) -> Option<&PortRecord> {
        self.ports.iter().find(|port| port.index == Some(link.index) && self.is_still(link, port))
    }

    /// Whether `link`, which has the index of `port`, is still its interface.
    #[must_use]
    pub fn is_still(&self, link: &Link, port: &PortRecord) -> bool {
        port.identity.is_still(link, &port.config.name, self.mac)
    }

    /// The interface with the index of `port`, if it is still the port's.
    fn still<'h>(&self, host: &'h Host, port: &PortRecord) -> Option<&'h Link> {
        host.links.get(&port.index?).filter(|link| self.is_still(link, port))
    }

    /// The interface that `port` came back as. Several with one permanent MAC (the ports of some switch chips share
    /// theirs) are told apart by the name.
    fn returned<'h>(&self, host: &'h Host, port: &PortRecord) -> Option<&'h Link> {
        let name = &port.config.name;
        let taken = |index: IfIndex| {
            let other = |other: &&PortRecord| other.id != port.id && other.index == Some(index);
            [self.index, self.peer_index].contains(&index) || self.ports.iter().any(|port| other(&port))
        };
        let found = || host.links.values().filter(|link| port.identity.returns_as(link, name) && !taken(link.index));
        found().find(|link| link.name == *name).or_else(|| {
            let mut all = found();
            all.next().filter(|_| all.next().is_none())
        })
    }
}

#[cfg(test)]
mod tests;
