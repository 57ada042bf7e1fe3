//! Addresses and routes for the tests of this crate: as an owner makes them.

use aggctl_common::IfIndex;

use crate::host::{Address, Route};

/// A permanent address.
pub(crate) fn address(link: IfIndex, local: &str, prefix_len: u8) -> Address {
    Address {
        link,
        local: local.parse().unwrap(),
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

/// A unicast route of the main table that some protocol made; without destination it is a default route for IPv4.
pub(crate) fn route(link: IfIndex, destination: Option<&str>, prefix_len: u8, protocol: u8) -> Route {
    Route {
        v6: destination.is_some_and(|text| text.contains(':')),
        destination: destination.map(|text| text.parse().unwrap()),
        prefix_len,
        table: 254,
        metric: 0,
        protocol,
        kind: 1,
        links: vec![link],
        gateway: false,
        nexthop: None,
        wire: vec![0; 12],
    }
}
