//! Moving what an interface has above the link (neighbours, addresses, routes, nexthop objects) to another interface.
//!
//! The pieces are put together by attach and detach in the order that loses nothing: everything is on the new interface
//! before anything goes from the old one, and every route of the old one is removed by a step of its own before an
//! address goes, because the kernel flushes all IPv4 routes of an interface with its last IPv4 address, and only what
//! is in the journal can be restored.

use std::net::{IpAddr, Ipv6Addr};

use aggctl_common::{IfIndex, Mac};

use crate::{
    host::{Address, Host, Link, NeighbourEntry, Nexthop, Route},
    plan::{Change, Layer3Step, Step, Subject, order::RouteOrder},
    record::Layer3,
};

/// `IFA_F_TEMPORARY` of IPv6 (the same bit is `IFA_F_SECONDARY` of IPv4).
pub(super) const IFA_F_TEMPORARY: u32 = 0x01;
/// `IFA_F_PERMANENT`: the address does not expire.
const IFA_F_PERMANENT: u32 = 0x80;
/// `IFA_F_NOPREFIXROUTE`: the kernel makes no prefix route for the address.
const IFA_F_NOPREFIXROUTE: u32 = 0x200;
/// `RTPROT_KERNEL`.
const RTPROT_KERNEL: u8 = 2;
/// `RTPROT_RA`: learned from a router advertisement.
const RTPROT_RA: u8 = 9;
/// `RTN_UNICAST`.
const RTN_UNICAST: u8 = 1;
/// `RT_TABLE_MAIN`.
const MAIN: u32 = 254;
/// `IFAPROT_KERNEL_LL`: the kernel made this link-local address.
const IFAPROT_KERNEL_LL: u8 = 3;
/// Metric of IPv6 prefix routes, unless the address says another.
const IPV6_PREFIX_METRIC: u32 = 256;

/// Whether somebody gave this address to `link`, or a router did: all but a link-local one that the kernel made.
pub(crate) fn is_given(address: &Address, link: &Link) -> bool {
    let IpAddr::V6(v6) = address.local else { return true };
    if !v6.is_unicast_link_local() {
        return true;
    }
    // Kernels before 5.18 do not say who made it; then its form or the interface's mode does.
    let made_by_kernel = match address.protocol {
        Some(protocol) => protocol == IFAPROT_KERNEL_LL,
        None => v6.octets()[8..] == eui64(link.mac) || matches!(link.addr_gen_mode, Some(2 | 3)),
    };
    !made_by_kernel
}

/// Whether both are the same address, whatever their labels, flags and lifetimes.
pub(super) fn is_same(one: &Address, other: &Address) -> bool {
    (one.local, one.peer, one.prefix_len) == (other.local, other.peer, other.prefix_len)
}

/// Whether the address is one of these.
pub(super) fn is_in(addresses: &[Address], address: &Address) -> bool {
    addresses.iter().any(|a| is_same(a, address))
}

/// Whether an interface has the address.
pub(super) fn has(host: &Host, link: IfIndex, address: &Address) -> bool {
    host.addresses.iter().any(|a| a.link == link && is_same(a, address))
}

/// The interface identifier of a MAC (RFC 4291, appendix A).
fn eui64(mac: Mac) -> [u8; 8] {
    let [a, b, c, d, e, f] = mac.0;
    [a ^ 2, b, c, 0xff, 0xfe, d, e, f]
}

/// Whether `route` stays for us to move: not a prefix route that comes and goes with an address, and not one that
/// follows its nexthop object.
pub(super) fn is_movable(route: &Route, addresses: &[Address]) -> bool {
    route.nexthop.is_none() && !is_made_by_kernel(route, addresses)
}

/// Whether the kernel makes this route by itself: for one of `addresses`, or for IPv6 as such.
pub(crate) fn is_made_by_kernel(route: &Route, addresses: &[Address]) -> bool {
    let for_ipv6 = |v6: Ipv6Addr| v6.is_multicast() || (v6.is_unicast_link_local() && route.prefix_len == 64);
    is_made_for(route, addresses)
        || is_prefix_route(route) && matches!(route.destination, Some(IpAddr::V6(v6)) if for_ipv6(v6))
}

/// Whether the kernel makes this route by itself for one of `addresses`.
pub(super) fn is_made_for(route: &Route, addresses: &[Address]) -> bool {
    let usual = if route.v6 { IPV6_PREFIX_METRIC } else { 0 };
    let makes = |address: &Address| {
        address.flags & IFA_F_NOPREFIXROUTE == 0
            && address.local.is_ipv6() == route.v6
            && address.metric.unwrap_or(usual) == route.metric
            && prefixes(address)
                .into_iter()
                .any(|prefix| (Some(prefix.0), prefix.1) == (route.destination, route.prefix_len))
    };
    is_prefix_route(route) && route.kind == RTN_UNICAST && addresses.iter().any(makes)
}

/// Whether the route looks like one that the kernel made.
fn is_prefix_route(route: &Route) -> bool {
    route.protocol == RTPROT_KERNEL && !route.gateway && route.nexthop.is_none() && route.table == MAIN
}

/// Whether a router advertisement brought the route.
pub(super) fn is_from_router(route: &Route) -> bool {
    route.protocol == RTPROT_RA
}

/// The prefixes that the kernel may make a route for when it gets this address.
fn prefixes(address: &Address) -> Vec<(IpAddr, u8)> {
    match address.peer {
        None => vec![(network(address.local, address.prefix_len), address.prefix_len)],
        Some(peer @ IpAddr::V4(_)) => vec![(network(peer, address.prefix_len), address.prefix_len)],
        Some(peer) => vec![(network(address.local, address.prefix_len), address.prefix_len), (peer, 128)],
    }
}

/// The first `len` bits of `address`.
fn network(address: IpAddr, len: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            IpAddr::V4((v4.to_bits() & u32::MAX.checked_shl(32 - u32::from(len.min(32))).unwrap_or(0)).into())
        }
        IpAddr::V6(v6) => {
            IpAddr::V6((v6.to_bits() & u128::MAX.checked_shl(128 - u32::from(len.min(128))).unwrap_or(0)).into())
        }
    }
}

/// Whether `host` is in the network of `address`.
pub(super) fn is_neighbour_of(host: IpAddr, address: &Address) -> bool {
    host.is_ipv4() == address.local.is_ipv4()
        && network(host, address.prefix_len) == network(address.peer.unwrap_or(address.local), address.prefix_len)
}

/// The order in which addresses must be added to be listed as they are here: the kernel appends IPv4 addresses, but
/// puts an IPv6 address before those that it has.
pub(super) fn in_adding_order(addresses: &[Address]) -> impl DoubleEndedIterator<Item = &Address> {
    let v4 = addresses.iter().filter(|a| a.local.is_ipv4());
    v4.chain(addresses.iter().rev().filter(|a| a.local.is_ipv6()))
}

/// Where layer 3 goes: from the descriptions of interface `from` (which is `source`) to `to`.
pub(super) struct Transfer<'a> {
    /// All routes of the host whose order counts.
    pub order: &'a RouteOrder<'a>,
    /// Whether others get routes to the same destinations too, so that each must be put ahead, rival or not.
    pub crowded: bool,
    /// What moves, as it is on `from`.
    pub what: &'a Layer3,
    /// The addresses of the old interface: they say which routes the kernel made.
    pub made_for: &'a [Address],
    /// Number of the old interface.
    pub from: IfIndex,
    /// The old interface.
    pub source: Subject,
    /// The new interface.
    pub to: Subject,
}

impl Transfer<'_> {
    /// Copies the neighbours.
    pub fn add_neighbours(&self) -> impl Iterator<Item = Step> {
        self.what.neighbours.iter().map(|neighbour| change_neighbour(&self.to, neighbour, Change::ON))
    }

    /// Adds the routes: those without gateway first, because the gateways are reached through them; and then puts the
    /// prefix routes that stood before another interface's back in that place, for the kernel put them last.
    pub fn add_routes(&self) -> impl Iterator<Item = Step> {
        let add = |route: &Route| self.add(route, &self.to, self.order.is_first(route));
        let promote = |route: &Route| [self.delete(route, &self.to, false), self.add(route, &self.to, true)];
        // IPv6 joins equal routes into one of several ways: then the new interface has it already.
        let is_there = |route: &&Route| matches!(&self.to, Subject::Port { index, .. } if route.links.contains(index));
        let plain = self.movable(false).filter(|route| !is_there(route)).map(add).collect::<Vec<_>>();
        let gateways = self.movable(true).filter(|route| !is_there(route)).map(add).collect::<Vec<_>>();
        let contested = self.contested().flat_map(promote).collect::<Vec<_>>();
        contested.into_iter().chain(plain).chain(gateways)
    }

    /// Adds the routes that do not come with their addresses, to an interface that had them itself.
    pub fn put_routes_back(&self) -> impl Iterator<Item = Step> {
        let routes = self.movable(false).chain(self.movable(true));
        routes.map(|route| self.add(route, &self.to, false))
    }

    /// Makes the nexthop objects leave by the new interface.
    pub fn move_nexthops(&self) -> impl Iterator<Item = Step> {
        let go = |nexthop: &Nexthop| Layer3Step::Nexthop {
            nexthop: nexthop.clone(),
            link: Change { from: self.source.clone(), to: self.to.clone() },
        };
        self.what.nexthops.iter().map(go).map(Step::from)
    }

    /// Removes the routes from the old interface, in the reverse of the order in which they can be added again. IPv4
    /// prefix routes go behind those of the new interface instead, so that from here on nothing uses the neighbours of
    /// the old one, whose answers it does not receive any more.
    pub fn delete_routes(&self) -> impl Iterator<Item = Step> {
        let delete = |route: &Route| self.delete(route, &self.source, self.order.is_first(route));
        // Undone, the second step removes what the kernel appended with the address, and the first puts it in its
        // place.
        let demote = |route: &Route| [delete(route), self.add(route, &self.source, false)];
        let mut steps = self.movable(true).chain(self.movable(false)).map(delete).collect::<Vec<_>>();
        steps.extend(self.prefix_routes().filter(|route| !route.v6).flat_map(demote));
        steps.extend(self.prefix_routes().filter(|route| self.outlives_its_address(route)).map(delete));
        steps.into_iter()
    }

    /// Removes the neighbours of one family from the old interface.
    pub fn delete_neighbours(&self, v6: bool) -> impl Iterator<Item = Step> {
        let family = self.what.neighbours.iter().rev().filter(move |neighbour| neighbour.address.is_ipv6() == v6);
        family.map(|neighbour| change_neighbour(&self.source, neighbour, Change::OFF))
    }

    /// Removes the addresses from the old interface, the last first: secondary ones go with their primary.
    pub fn delete_addresses(&self) -> impl Iterator<Item = Step> {
        in_adding_order(&self.what.addresses).rev().map(|a| Layer3Step::delete_address(&self.source, a))
    }

    /// The routes to be moved by steps, with or without gateway.
    fn movable(&self, gateway: bool) -> impl DoubleEndedIterator<Item = &Route> {
        self.what.routes.iter().filter(move |r| r.gateway == gateway && is_movable(r, self.made_for))
    }

    /// The routes that come and go with the addresses.
    fn prefix_routes(&self) -> impl Iterator<Item = &Route> {
        self.what.routes.iter().filter(|route| is_made_by_kernel(route, self.made_for))
    }

    /// IPv4 prefix routes of the old interface that stand before one of another interface: the kernel appends, so
    /// that the other one would win as soon as this address moves.
    fn contested(&self) -> impl Iterator<Item = &Route> {
        self.prefix_routes().filter(|route| {
            let contested = || self.crowded || self.order.has_rival_elsewhere(route, self.from);
            !route.v6 && self.order.is_first(route) && contested()
        })
    }

    /// Whether this is a prefix route of IPv6 addresses that expire, which the kernel leaves when they are removed.
    fn outlives_its_address(&self, route: &Route) -> bool {
        let lasting = self.made_for.iter().filter(|a| a.flags & IFA_F_PERMANENT != 0).cloned().collect::<Vec<_>>();
        route.v6 && !is_made_by_kernel(route, &lasting)
    }

    fn add(&self, route: &Route, link: &Subject, first: bool) -> Step {
        self.change(route, link, first, Change::ON)
    }

    fn delete(&self, route: &Route, link: &Subject, first: bool) -> Step {
        self.change(route, link, first, Change::OFF)
    }

    fn change(&self, route: &Route, link: &Subject, first: bool, present: Change<bool>) -> Step {
        let (link, route) = (link.clone(), route.clone());
        Layer3Step::Route { link, route, described_on: self.from, first, present }.into()
    }
}

fn change_neighbour(link: &Subject, neighbour: &NeighbourEntry, present: Change<bool>) -> Step {
    Layer3Step::Neighbour { link: link.clone(), neighbour: neighbour.clone(), present }.into()
}

/// `RTA_GATEWAY`.
const RTA_GATEWAY: u16 = 5;
/// `RTA_PREFSRC`.
const RTA_PREFSRC: u16 = 7;
/// Octets of `struct rtmsg`, which the attributes follow.
const RTMSG: usize = 12;

/// The gateway of a route that has one, from the message that describes it.
pub(crate) fn gateway(route: &Route) -> Option<IpAddr> {
    attribute(route, RTA_GATEWAY)
}

/// The type of service that the route is for.
pub(crate) fn type_of_service(route: &Route) -> u8 {
    route.wire.get(3).copied().unwrap_or_default()
}

/// The address that packets on this route leave with, where the message that describes it says one.
pub(super) fn preferred_source(route: &Route) -> Option<IpAddr> {
    attribute(route, RTA_PREFSRC)
}

/// An attribute that is an address.
fn attribute(route: &Route, wanted: u16) -> Option<IpAddr> {
    let mut rest = route.wire.get(RTMSG..)?;
    while let Some((header, _)) = rest.split_first_chunk::<4>() {
        let [a, b, c, d] = *header;
        let (length, kind) = (usize::from(u16::from_ne_bytes([a, b])), u16::from_ne_bytes([c, d]));
        let value = rest.get(4..length)?;
        if kind == wanted {
            return match value.len() {
                4 => <[u8; 4]>::try_from(value).ok().map(IpAddr::from),
                _ => <[u8; 16]>::try_from(value).ok().map(IpAddr::from),
            };
        }
        rest = rest.get(length.next_multiple_of(4)..)?;
    }
    None
}
