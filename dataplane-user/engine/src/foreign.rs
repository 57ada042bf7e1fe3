//! What others put on a port: addresses, routes, a master. aggctl leaves none of these on a port, so they were put
//! there by others, and traffic that uses them does not pass the aggregate.

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Serialize};

use crate::{
    host::{Address, Link, Route},
    plan::layer3,
};

/// `RT_TABLE_MAIN`.
const MAIN: u32 = 254;

/// Something on a port that is not ours.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Foreign {
    /// What it is.
    pub kind: ForeignKind,
    /// Which one: an address with its prefix, a route as `ip route` has it, the name of an interface.
    pub what: String,
}

/// What others put on a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ForeignKind {
    /// An address, but for a link-local one that the kernel made.
    Address,
    /// A route, but for those that the kernel makes for addresses.
    Route,
    /// A bridge, bond, VRF, … that it was made a port of.
    Master,
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            ForeignKind::Address => "address",
            ForeignKind::Route => "route",
            ForeignKind::Master => "master",
        };
        write!(f, "{kind} {}", self.what)
    }
}

/// What others put on a port, of the addresses and routes that it has. `master`: the name of its master.
#[must_use]
pub fn on_port(link: &Link, master: Option<String>, addresses: &[Address], routes: &[Route]) -> BTreeSet<Foreign> {
    let given = addresses.iter().filter(|address| layer3::is_given(address, link));
    let given = given.map(|address| (ForeignKind::Address, format!("{}/{}", address.local, address.prefix_len)));
    let routes = routes.iter().filter(|route| !layer3::is_made_by_kernel(route, addresses));
    let routes = routes.map(|route| (ForeignKind::Route, describe(route)));
    let master = master.into_iter().map(|name| (ForeignKind::Master, name));
    given.chain(routes).chain(master).map(|(kind, what)| Foreign { kind, what }).collect()
}

/// A route, as `ip route` has it.
fn describe(route: &Route) -> String {
    let to = match route.destination {
        Some(destination) => format!("{destination}/{}", route.prefix_len),
        None if route.v6 => "default (IPv6)".to_owned(),
        None => "default".to_owned(),
    };
    let via = layer3::gateway(route).map(|gateway| format!(" via {gateway}")).unwrap_or_default();
    let table = if route.table == MAIN { String::new() } else { format!(" table {}", route.table) };
    to + &via + &table
}

#[cfg(test)]
mod tests {
    use aggctl_common::{IfIndex, Mac};

    use super::*;
    use crate::samples;

    const ETH0: IfIndex = IfIndex(2);

    fn link() -> Link {
        Link { index: ETH0, mac: Mac([2, 0, 0, 0, 0, 1]), ..Link::default() }
    }

    fn address(local: &str, prefix_len: u8) -> Address {
        samples::address(ETH0, local, prefix_len)
    }

    fn route(destination: Option<&str>, prefix_len: u8, protocol: u8, table: u32) -> Route {
        Route { table, ..samples::route(ETH0, destination, prefix_len, protocol) }
    }

    fn words(found: &BTreeSet<Foreign>) -> Vec<String> {
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_somebody_gave_is_named_and_what_the_kernel_makes_of_it_is_not() {
        let addresses = [address("10.0.0.2", 24), address("fe80::ff:fe00:1", 64), address("fe80::7", 64)];
        let routes = [route(Some("10.0.0.0"), 24, 2, 254), route(None, 0, 3, 254), route(Some("10.9.0.0"), 16, 16, 7)];
        let found = on_port(&link(), Some("br0".into()), &addresses, &routes);
        assert_eq!(
            words(&found),
            ["address 10.0.0.2/24", "address fe80::7/64", "route 10.9.0.0/16 table 7", "route default", "master br0"]
        );
    }

    #[test]
    fn a_port_as_it_should_be_has_nothing() {
        assert!(on_port(&link(), None, &[], &[]).is_empty());
    }
}
