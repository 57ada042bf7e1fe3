//! Addresses and routes as the kernel describes them.

use std::net::IpAddr;

use aggctl_common::IfIndex;
use aggctl_engine::host::{Address, Route};

const RTA_GATEWAY: u16 = 5;
const RTA_PREFSRC: u16 = 7;
const RTMSG: usize = 12;

/// A permanent address.
pub fn address(local: IpAddr, prefix_len: u8) -> Address {
    Address {
        link: IfIndex::NONE,
        local,
        peer: None,
        prefix_len,
        broadcast: None,
        label: None,
        scope: 0,
        flags: 0x80,
        protocol: None,
        metric: None,
        valid_lifetime: None,
        preferred_lifetime: None,
    }
}

/// A static unicast route of the main table.
pub fn route(
    link: IfIndex,
    destination: Option<(IpAddr, u8)>,
    v6: bool,
    gateway: Option<IpAddr>,
    source: Option<IpAddr>,
) -> Route {
    let mut wire = vec![0; RTMSG];
    for (kind, value) in [(RTA_PREFSRC, source), (RTA_GATEWAY, gateway)] {
        let octets = match value {
            None => continue,
            Some(IpAddr::V4(v4)) => v4.octets().to_vec(),
            Some(IpAddr::V6(v6)) => v6.octets().to_vec(),
        };
        wire.extend(u16::try_from(octets.len() + 4).unwrap().to_ne_bytes());
        wire.extend(kind.to_ne_bytes());
        wire.extend(octets);
    }
    Route {
        v6,
        destination: destination.map(|(address, _)| address),
        prefix_len: destination.map_or(0, |(_, len)| len),
        table: 254,
        metric: if v6 { 1024 } else { 0 },
        protocol: 3,
        kind: 1,
        links: vec![link],
        gateway: gateway.is_some(),
        nexthop: None,
        wire,
    }
}

/// The gateway of a route made by [`route`].
pub fn gateway(route: &Route) -> Option<IpAddr> {
    attribute(route, RTA_GATEWAY)
}

/// The preferred source of a route made by [`route`].
pub fn source(route: &Route) -> Option<IpAddr> {
    attribute(route, RTA_PREFSRC)
}

fn attribute(route: &Route, wanted: u16) -> Option<IpAddr> {
    let mut rest = &route.wire[RTMSG..];
    while !rest.is_empty() {
        let length = usize::from(u16::from_ne_bytes([rest[0], rest[1]]));
        if u16::from_ne_bytes([rest[2], rest[3]]) == wanted {
            let value = &rest[4..length];
            let v4 = <[u8; 4]>::try_from(value).map(IpAddr::from);
            return Some(v4.unwrap_or_else(|_| <[u8; 16]>::try_from(value).unwrap().into()));
        }
        rest = &rest[length..];
    }
    None
}

/// The first `len` bits.
pub fn network(address: IpAddr, len: u8) -> IpAddr {
    let keep = |octets: &mut [u8]| {
        for (at, octet) in octets.iter_mut().enumerate() {
            let bits = usize::from(len).saturating_sub(at * 8).min(8);
            *octet &= u8::try_from(0xff00_u32 >> bits & 0xff).unwrap();
        }
    };
    match address {
        IpAddr::V4(v4) => {
            let mut octets = v4.octets();
            keep(&mut octets);
            octets.into()
        }
        IpAddr::V6(v6) => {
            let mut octets = v6.octets();
            keep(&mut octets);
            octets.into()
        }
    }
}
