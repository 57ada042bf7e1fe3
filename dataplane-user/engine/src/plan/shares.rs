//! Which port gets what of the aggregate's addresses and routes when it is detached: what came from a port goes back
//! there, and what came later to the first port that had addresses.

use std::net::IpAddr;

use aggctl_common::IfIndex;

use crate::{
    host::{Address, Host, Link, Route},
    names,
    plan::{Subject, layer3, origins::Origins, port},
    record::{Layer3, PortRecord, Record},
};

/// A port, and what it gets.
pub(super) struct Recipient<'a> {
    pub port: &'a PortRecord,
    pub link: &'a Link,
    pub what: Layer3,
}

impl Recipient<'_> {
    pub fn subject(&self) -> Subject {
        port::subject(self.port.id, &self.port.identity, self.link)
    }

    /// Whether it gets anything.
    pub fn is_target(&self) -> bool {
        let Layer3 { addresses, routes, nexthops, .. } = &self.what;
        !(addresses.is_empty() && routes.is_empty() && nexthops.is_empty())
    }

    /// Whether it gets what the host is reached by, which a link-local address of the kernel's alone is not.
    pub fn matters(&self) -> bool {
        self.what.addresses.iter().any(|a| layer3::is_given(a, &self.port.before))
            || self.what.routes.iter().any(|route| layer3::is_movable(route, &self.what.addresses))
            || !self.what.nexthops.is_empty()
    }
}

/// Deals out what the aggregate has, or had when last seen if its interface is gone. `ports` are those that are there.
pub(super) fn share<'a>(
    host: &Host,
    record: &Record,
    aggregate: Option<&Link>,
    ports: &[(&'a PortRecord, &'a Link)],
) -> Vec<Recipient<'a>> {
    let all = aggregate.map_or_else(|| record.last_seen.clone(), |link| Layer3::of(host, link.index));
    Distribution { record, aggregate, origins: Origins::of(&record.journal) }.of(all, ports)
}

/// By what is decided who gets what.
struct Distribution<'a> {
    record: &'a Record,
    aggregate: Option<&'a Link>,
    origins: Origins,
}

impl Distribution<'_> {
    /// What came from no port goes to the first that had addresses, else the first.
    fn of<'a>(&self, all: Layer3, ports: &[(&'a PortRecord, &'a Link)]) -> Vec<Recipient<'a>> {
        let mut shares =
            ports.iter().map(|(port, link)| Recipient { port, link, what: Layer3::default() }).collect::<Vec<_>>();
        let had_addresses =
            |share: &Recipient<'_>| share.port.addresses.iter().any(|a| layer3::is_given(a, &share.port.before));
        let home = shares.iter().position(had_addresses).unwrap_or(0);
        if shares.is_empty() {
            return shares;
        }
        for address in &all.addresses {
            let owner = shares.iter().position(|share| had(share.port, address).is_some());
            if owner.is_none() && self.aggregate.is_some_and(|link| !layer3::is_given(address, link)) {
                continue; // the aggregate's own link-local address
            }
            let share = &mut shares[owner.unwrap_or(home)];
            let address = self.as_on_port(address.clone(), share);
            share.what.addresses.push(address);
        }
        for route in all.routes {
            for to in self.ports_of_route(&route, &all.addresses, &shares, home) {
                shares[to].what.routes.push(route.clone());
            }
        }
        for nexthop in all.nexthops {
            let to = position(&shares, self.origins.of_nexthop(&nexthop)).unwrap_or(home);
            shares[to].what.nexthops.push(nexthop);
        }
        for neighbour in all.neighbours {
            let origins = self.origins.of_neighbour(&neighbour).iter();
            let mut to = origins.filter_map(|link| position(&shares, Some(*link))).collect::<Vec<_>>();
            if to.is_empty() {
                to.push(position(&shares, reaches(&shares, neighbour.address)).unwrap_or(home));
            }
            to.into_iter().for_each(|to| shares[to].what.neighbours.push(neighbour.clone()));
        }
        for share in &mut shares {
            // Addresses of several ports in one subnet are listed otherwise on the aggregate.
            let former = &share.port.addresses;
            let rank = |a: &Address| former.iter().position(|known| layer3::is_same(known, a)).unwrap_or(former.len());
            share.what.addresses.sort_by_key(rank);
        }
        shares
    }

    /// The address as the port gets it: with the label that it had there.
    fn as_on_port(&self, mut address: Address, share: &Recipient<'_>) -> Address {
        let (name, port) = (&self.record.config.name, &share.link.name);
        let former = had(share.port, &address).and_then(|former| former.label.as_deref());
        address.label = address.label.map(|label| match former {
            Some(former) if names::relabel(former, &share.port.before.name, name) == label => {
                names::relabel(former, &share.port.before.name, port)
            }
            _ => names::relabel(&label, name, port),
        });
        address.link = share.link.index;
        address
    }

    /// The ports that get the route: several, if several had the same.
    fn ports_of_route(&self, route: &Route, made_for: &[Address], shares: &[Recipient<'_>], home: usize) -> Vec<usize> {
        if !layer3::is_movable(route, made_for) {
            // A prefix route goes with the address that it was made for, wherever that goes.
            let source = layer3::preferred_source(route);
            let goes = |share: &Recipient<'_>| {
                let addresses = &share.what.addresses;
                layer3::is_made_for(route, addresses)
                    && source.is_none_or(|source| addresses.iter().any(|a| a.local == source))
            };
            return shares.iter().position(goes).into_iter().collect();
        }
        // A former attempt gave it to a port: IPv6 joins equal routes into one of several ways.
        let is_there = |at: &usize| route.links.contains(&shares[*at].link.index);
        let there = (0..shares.len()).filter(is_there).collect::<Vec<_>>();
        if !there.is_empty() {
            return there;
        }
        let origins = self.origins.of_route(route).iter();
        let mut ports = origins.filter_map(|link| position(shares, Some(*link))).collect::<Vec<_>>();
        if ports.is_empty() {
            let from = layer3::gateway(route).and_then(|gateway| reaches(shares, gateway));
            ports.push(position(shares, from).unwrap_or(home));
        }
        ports
    }
}

/// The address of the port's that this one is.
fn had<'p>(port: &'p PortRecord, address: &Address) -> Option<&'p Address> {
    port.addresses.iter().find(|former| layer3::is_same(former, address))
}

/// The share of the port that had this number when the aggregate was attached.
fn position(shares: &[Recipient<'_>], index: Option<IfIndex>) -> Option<usize> {
    shares.iter().position(|share| Some(share.port.before.index) == index)
}

/// The port whose addresses share a network with `host`.
fn reaches(shares: &[Recipient<'_>], host: IpAddr) -> Option<IfIndex> {
    let reach = |share: &&Recipient<'_>| share.what.addresses.iter().any(|a| layer3::is_neighbour_of(host, a));
    shares.iter().find(reach).map(|share| share.port.before.index)
}
