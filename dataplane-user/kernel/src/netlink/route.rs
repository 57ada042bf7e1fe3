//! Routes. They are moved as the kernel described them, so that attributes that we do not know are kept too; only the
//! momentary state of a route (dead, link down, age of cached metrics) is left out.

use aggctl_common::IfIndex;
use aggctl_engine::host::Route;
use rustix::io::Errno;

use super::{
    APPEND, CREATE, INET, INET6, Netlink,
    tlv::{Attributes, Builder, align, ip_of, u32_of},
    unless,
};
use crate::error::KernelError;

/// Octets of `struct rtmsg`.
const HEADER: usize = 12;
/// Octets of `struct rtnexthop`.
const NEXTHOP_HEADER: usize = 8;

/// Attributes (`RTA_*`).
mod attr {
    pub(super) const DST: u16 = libc::RTA_DST;
    pub(super) const IIF: u16 = libc::RTA_IIF;
    pub(super) const OIF: u16 = libc::RTA_OIF;
    pub(super) const GATEWAY: u16 = libc::RTA_GATEWAY;
    pub(super) const PRIORITY: u16 = libc::RTA_PRIORITY;
    pub(super) const MULTIPATH: u16 = libc::RTA_MULTIPATH;
    pub(super) const CACHEINFO: u16 = libc::RTA_CACHEINFO;
    pub(super) const TABLE: u16 = libc::RTA_TABLE;
    pub(super) const VIA: u16 = libc::RTA_VIA;
    pub(super) const ENCAP_TYPE: u16 = libc::RTA_ENCAP_TYPE;
    pub(super) const ENCAP: u16 = libc::RTA_ENCAP;
    pub(super) const EXPIRES: u16 = libc::RTA_EXPIRES;
    pub(super) const NH_ID: u16 = 30;
}

/// `RT_TABLE_LOCAL`: the kernel's own.
const TABLE_LOCAL: u32 = libc::RT_TABLE_LOCAL as u32;
/// `RTPROT_KERNEL`.
const PROTOCOL_KERNEL: u8 = libc::RTPROT_KERNEL;
/// `RTN_LOCAL`, `RTN_BROADCAST`, `RTN_ANYCAST`, `RTN_MULTICAST`: what the kernel makes for each address.
const ADDRESS_KINDS: std::ops::RangeInclusive<u8> = 2..=5;
/// `RTM_F_CLONED`: a cache entry.
const CLONED: u32 = libc::RTM_F_CLONED;
/// `RTNH_F_ONLINK`: the only flag of a next hop that is its owner's.
const ONLINK: u8 = 4;
/// Ticks of `rta_expires` in a second (`USER_HZ`).
const TICKS: u32 = 100;

impl Netlink {
    /// All routes that leave by an interface, in the kernel's order, but those that the kernel makes for each address
    /// and cache entries.
    ///
    /// # Errors
    ///
    /// If the kernel cannot be asked.
    pub fn routes(&mut self) -> Result<Vec<Route>, KernelError> {
        self.dump_routes(None)
    }

    /// Those of [`Netlink::routes`] that leave by this interface. The kernel does not tell the others, however many
    /// there are.
    ///
    /// # Errors
    ///
    /// If the kernel cannot be asked.
    pub fn routes_by(&mut self, index: IfIndex) -> Result<Vec<Route>, KernelError> {
        match self.dump_routes(Some(index)) {
            // It is not there.
            Err(error) if error.errno() == Some(Errno::NODEV) => Ok(Vec::new()),
            routes => routes,
        }
    }

    fn dump_routes(&mut self, by: Option<IfIndex>) -> Result<Vec<Route>, KernelError> {
        let mut routes = Vec::new();
        for family in [INET, INET6] {
            let mut header = [0; HEADER];
            header[0] = family;
            let mut query = Builder::new(&header);
            if let Some(index) = by {
                query = query.push_u32(attr::OIF, index.0);
            }
            let messages = self.dump("routes", libc::RTM_GETROUTE, &query.finish())?;
            let of_family = messages.iter().filter(|message| message.first() == Some(&family));
            routes.extend(of_family.filter_map(|message| parse(message)));
        }
        Ok(routes)
    }

    /// Adds a route that leaves by `to` wherever its description says `from`: ahead of (`first`) or behind others with
    /// the same destination and metric. IPv6 knows no such order. Fine if it is there.
    ///
    /// # Errors
    ///
    /// What the kernel refuses.
    pub fn add_route(&mut self, route: &Route, from: IfIndex, to: IfIndex, first: bool) -> Result<(), KernelError> {
        let how = if first && !route.v6 { CREATE } else { CREATE | APPEND };
        for message in rebind(route, from, to)? {
            let result = self.socket.request(libc::RTM_NEWROUTE, how, &message);
            unless(result, &[Errno::EXIST])
                .map_err(|failure| KernelError::refused(describe(route), "add route", failure))?;
        }
        Ok(())
    }

    /// Removes the route that [`Netlink::add_route`] with the same arguments adds. Fine if it is not there.
    ///
    /// # Errors
    ///
    /// What the kernel refuses.
    pub fn delete_route(&mut self, route: &Route, from: IfIndex, to: IfIndex) -> Result<(), KernelError> {
        for message in rebind(route, from, to)? {
            let result = self.socket.request(libc::RTM_DELROUTE, 0, &message);
            unless(result, &[Errno::SRCH, Errno::NODEV])
                .map_err(|failure| KernelError::refused(describe(route), "delete route", failure))?;
        }
        Ok(())
    }
}

/// The route in words, for messages.
fn describe(route: &Route) -> String {
    let table = if route.table == 254 { String::new() } else { format!(" in table {}", route.table) };
    match route.destination {
        Some(destination) => format!("route {destination}/{}{table}", route.prefix_len),
        None if route.v6 => format!("IPv6 default route{table}"),
        None => format!("default route{table}"),
    }
}

/// A route, if it is one that leaves by an interface and is not the kernel's own.
pub(crate) fn parse(message: &[u8]) -> Option<Route> {
    let [family, prefix_len, _, _, short_table, protocol, _, kind, ..] = *message.first_chunk::<HEADER>()?;
    let flags = u32_of(&message[8..])?;
    let attributes = Attributes::after(message, HEADER);
    let table = attributes.u32(attr::TABLE).unwrap_or_else(|| short_table.into());
    let made_for_address = protocol == PROTOCOL_KERNEL && ADDRESS_KINDS.contains(&kind);
    if table == TABLE_LOCAL || flags & CLONED != 0 || made_for_address {
        return None;
    }
    let wire = lasting(message);
    let hops = Attributes::after(&wire, HEADER).find(attr::MULTIPATH).map(next_hops).unwrap_or_default();
    let single = attributes.u32(attr::OIF).into_iter();
    let mut links: Vec<_> = single.chain(hops.iter().map(|hop| hop.link)).map(IfIndex).collect();
    links.dedup();
    let nexthop = attributes.u32(attr::NH_ID).filter(|id| *id != 0);
    if links.is_empty() && nexthop.is_none() {
        return None;
    }
    let via_gateway =
        |attributes: Attributes<'_>| attributes.find(attr::GATEWAY).is_some() || attributes.find(attr::VIA).is_some();
    let gateway = via_gateway(attributes) || hops.iter().any(|hop| via_gateway(Attributes::nested(hop.attributes)));
    Some(Route {
        v6: family == INET6,
        destination: attributes.find(attr::DST).and_then(ip_of).filter(|_| prefix_len != 0),
        prefix_len,
        table,
        metric: attributes.u32(attr::PRIORITY).unwrap_or_default(),
        protocol,
        kind,
        links,
        gateway,
        nexthop,
        wire,
    })
}

/// The message without what changes by itself: flags of the moment and the age of cached metrics. An expiry is kept.
fn lasting(message: &[u8]) -> Vec<u8> {
    let mut header = [0; HEADER];
    header.copy_from_slice(&message[..HEADER]);
    let flags = u32::from_ne_bytes([header[8], header[9], header[10], header[11]]) & u32::from(ONLINK);
    header[8..].copy_from_slice(&flags.to_ne_bytes());
    let mut built = Builder::new(&header);
    for (kind, value) in Attributes::after(message, HEADER) {
        match kind {
            attr::IIF => {}
            attr::CACHEINFO => {
                if let Some(seconds) = expiry(value) {
                    built.append(attr::EXPIRES, &seconds.to_ne_bytes());
                }
            }
            attr::MULTIPATH => {
                let (mut hops, mut kept) = (next_hops(value), Vec::with_capacity(value.len()));
                if header[0] == INET6 {
                    // A set: the kernel puts the one last that was added last.
                    hops.sort_by_key(|hop| (hop.attributes, hop.link));
                }
                hops.iter().for_each(|hop| hop.emit(&mut kept, |link| link));
                built.append(kind, &kept);
            }
            _ => built.append(kind, value),
        }
    }
    built.finish()
}

/// The description as requests, leaving by `to` wherever it said `from`.
///
/// It is one request, but for IPv6 multipath: there the kernel keeps each next hop as a route of its own, refuses the
/// whole if one of them is there, and would remove those too that stay where they are. So it is one for each that
/// moves.
fn rebind(route: &Route, from: IfIndex, to: IfIndex) -> Result<Vec<Vec<u8>>, KernelError> {
    let multipath = Attributes::after(&route.wire, HEADER).find(attr::MULTIPATH).filter(|_| route.nexthop.is_none());
    let moving: Vec<_> = multipath.map(next_hops).unwrap_or_default();
    let moving: Vec<_> = moving.iter().filter(|hop| hop.link == from.0).collect();
    if route.v6 && !moving.is_empty() {
        moving.into_iter().map(|hop| request(route, from, to, Some(hop))).collect()
    } else {
        Ok(vec![request(route, from, to, None)?])
    }
}

/// One request: the whole description, or with `only` one of its next hops.
fn request(route: &Route, from: IfIndex, to: IfIndex, only: Option<&Hop<'_>>) -> Result<Vec<u8>, KernelError> {
    let malformed = || KernelError::Malformed { subject: describe(route), what: "route" };
    let header = route.wire.get(..HEADER).ok_or_else(malformed)?;
    let moved = |link: u32| if link == from.0 { to.0 } else { link };
    let mut message = Builder::new(header);
    for (kind, value) in Attributes::after(&route.wire, HEADER) {
        match kind {
            // With a nexthop object they are its business, and the kernel refuses both at once.
            attr::OIF | attr::GATEWAY | attr::VIA | attr::MULTIPATH | attr::ENCAP | attr::ENCAP_TYPE
                if route.nexthop.is_some() => {}
            attr::OIF => {
                let link = u32_of(value).ok_or_else(malformed)?;
                message.append(kind, &moved(link).to_ne_bytes());
            }
            attr::MULTIPATH => {
                let mut hops = Vec::with_capacity(value.len());
                match only {
                    Some(hop) => hop.emit(&mut hops, moved),
                    None => next_hops(value).iter().for_each(|hop| hop.emit(&mut hops, moved)),
                }
                message.append(kind, &hops);
            }
            _ => message.append(kind, value),
        }
    }
    Ok(message.finish())
}

/// Seconds until the route expires, from `struct rta_cacheinfo`, if it does.
fn expiry(cacheinfo: &[u8]) -> Option<u32> {
    let ticks = i32::from_ne_bytes(*cacheinfo.get(8..)?.first_chunk()?);
    // Zero: it does not expire. Negative: it has, and was not collected yet.
    (ticks != 0).then(|| (u32::try_from(ticks).unwrap_or(0) / TICKS).max(1))
}

/// One next hop of a multipath route.
struct Hop<'a> {
    flags: u8,
    weight: u8,
    link: u32,
    attributes: &'a [u8],
}

impl Hop<'_> {
    /// Writes it with another interface, and without flags of the moment.
    fn emit(&self, to: &mut Vec<u8>, moved: impl Fn(u32) -> u32) {
        // It was read from sixteen bits.
        let length = u16::try_from(NEXTHOP_HEADER + self.attributes.len()).unwrap_or(u16::MAX);
        to.extend_from_slice(&length.to_ne_bytes());
        to.extend_from_slice(&[self.flags & ONLINK, self.weight]);
        to.extend_from_slice(&moved(self.link).to_ne_bytes());
        to.extend_from_slice(self.attributes);
        to.resize(align(to.len()), 0);
    }
}

/// The next hops of a multipath route.
fn next_hops(mut value: &[u8]) -> Vec<Hop<'_>> {
    let mut hops = Vec::new();
    while let Some(header) = value.first_chunk::<NEXTHOP_HEADER>() {
        let length = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        let Some(attributes) = value.get(NEXTHOP_HEADER..length) else { break };
        let link = u32::from_ne_bytes([header[4], header[5], header[6], header[7]]);
        hops.push(Hop { flags: header[2], weight: header[3], link, attributes });
        value = value.get(align(length)..).unwrap_or_default();
    }
    hops
}

#[cfg(test)]
#[path = "route_tests.rs"]
mod tests;
