//! Routes are re-emitted as they were but for the interface.

use super::*;

/// The one request that a route comes to.
fn rebound(route: &Route, from: u32, to: u32) -> Vec<u8> {
    let mut requests = rebind(route, IfIndex(from), IfIndex(to)).unwrap();
    assert_eq!(requests.len(), 1);
    requests.remove(0)
}

/// default via 192.0.2.1 in the main table, link down, with attributes that nobody knows.
fn header(flags: u32) -> [u8; HEADER] {
    let mut header = [INET, 0, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0];
    header[8..].copy_from_slice(&flags.to_ne_bytes());
    header
}

/// A next hop with a gateway.
fn hop(flags: u8, link: u32) -> Vec<u8> {
    let attributes = Builder::default().push(attr::GATEWAY, &[192, 0, 2, 1]).finish();
    let mut hop = vec![16, 0, flags, 4];
    hop.extend_from_slice(&link.to_ne_bytes());
    hop.extend_from_slice(&attributes);
    hop
}

#[test]
fn only_the_interface_changes() {
    let message = Builder::new(&header(u32::from(ONLINK) | 16))
        .push_u32(attr::TABLE, 254)
        .push(attr::GATEWAY, &[192, 0, 2, 1])
        .push_u32(attr::OIF, 5)
        .push(4000, b"unknown")
        .finish();
    let route = parse(&message).unwrap();
    assert_eq!(route.links, vec![IfIndex(5)]);
    assert!(route.gateway);
    let there = rebound(&route, 5, 9);
    let moved = parse(&there).unwrap();
    assert_eq!(moved.links, vec![IfIndex(9)]);
    assert_eq!(Attributes::after(&there, HEADER).find(4000), Some(&b"unknown"[..]));
    assert_eq!(u32_of(&there[8..]), Some(u32::from(ONLINK)), "link down is not sent back");
    assert_eq!(rebound(&moved, 9, 5), route.wire);
    assert_eq!(rebound(&route, 6, 9), route.wire, "another interface stays");
}

#[test]
fn each_next_hop_of_a_multipath_route_is_looked_at() {
    let hops = [hop(ONLINK | 1, 5), hop(16, 6)].concat();
    let message = Builder::new(&header(0)).push(attr::MULTIPATH, &hops).finish();
    let route = parse(&message).unwrap();
    assert_eq!(route.links, vec![IfIndex(5), IfIndex(6)]);
    assert!(route.gateway);
    let moved = rebound(&route, 5, 9);
    let value = Attributes::after(&moved, HEADER).find(attr::MULTIPATH).unwrap();
    assert_eq!(value, [hop(ONLINK, 9), hop(0, 6)].concat());
}

#[test]
fn of_an_ipv6_multipath_route_only_the_next_hops_that_move_are_touched() {
    let mut header = header(0);
    header[0] = INET6;
    let hops = [hop(0, 5), hop(0, 6), hop(0, 5)].concat();
    let route = parse(&Builder::new(&header).push(attr::MULTIPATH, &hops).finish()).unwrap();
    let requests = rebind(&route, IfIndex(5), IfIndex(9)).unwrap();
    assert_eq!(requests.len(), 2);
    for request in requests {
        assert_eq!(Attributes::after(&request, HEADER).find(attr::MULTIPATH).unwrap(), hop(0, 9));
    }
    let whole = rebound(&route, 7, 9);
    assert_eq!(next_hops(Attributes::after(&whole, HEADER).find(attr::MULTIPATH).unwrap()).len(), 3);
}

#[test]
fn a_nexthop_object_stands_for_its_interface_and_gateway() {
    let message = Builder::new(&header(0))
        .push_u32(attr::NH_ID, 3)
        .push_u32(attr::OIF, 5)
        .push(attr::GATEWAY, &[192, 0, 2, 1])
        .finish();
    let route = parse(&message).unwrap();
    assert_eq!(route.nexthop, Some(3));
    let sent = rebound(&route, 5, 9);
    assert_eq!(Attributes::after(&sent, HEADER).collect::<Vec<_>>(), vec![(attr::NH_ID, &3_u32.to_ne_bytes()[..])]);
}

#[test]
fn an_expiry_is_kept_and_the_rest_of_the_cache_is_not() {
    let cacheinfo = |ticks: i32| {
        let mut info = [7; 32];
        info[8..12].copy_from_slice(&ticks.to_ne_bytes());
        let message = Builder::new(&header(0)).push_u32(attr::OIF, 5).push(attr::CACHEINFO, &info).finish();
        let route = parse(&message).unwrap();
        assert!(Attributes::after(&route.wire, HEADER).find(attr::CACHEINFO).is_none());
        Attributes::after(&route.wire, HEADER).u32(attr::EXPIRES)
    };
    assert_eq!(cacheinfo(0), None);
    assert_eq!(cacheinfo(179_950), Some(1799));
    assert_eq!(cacheinfo(-3), Some(1));
}

#[test]
fn the_kernels_own_routes_are_left_out() {
    let with_oif = |mut header: [u8; HEADER], table: u8, protocol: u8, kind: u8, flags: u32| {
        header[4] = table;
        header[5] = protocol;
        header[7] = kind;
        header[8..].copy_from_slice(&flags.to_ne_bytes());
        parse(&Builder::new(&header).push_u32(attr::OIF, 5).finish()).is_some()
    };
    assert!(with_oif(header(0), 254, PROTOCOL_KERNEL, 1, 0), "a prefix route");
    assert!(with_oif(header(0), 100, 3, 2, 0), "a local route that somebody made");
    assert!(!with_oif(header(0), 255, 3, 1, 0), "table local");
    assert!(!with_oif(header(0), 100, PROTOCOL_KERNEL, 3, 0), "the broadcast route of an address in a VRF");
    assert!(!with_oif(header(0), 254, 3, 1, CLONED), "a cache entry");
    assert!(parse(&Builder::new(&header(0)).finish()).is_none(), "no interface");
}

#[test]
fn a_malformed_description_is_an_error() {
    let route =
        Route { wire: vec![1, 2, 3], ..parse(&Builder::new(&header(0)).push_u32(attr::OIF, 5).finish()).unwrap() };
    assert!(matches!(rebind(&route, IfIndex(5), IfIndex(9)), Err(KernelError::Malformed { .. })));
}
