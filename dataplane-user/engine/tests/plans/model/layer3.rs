//! What becomes of addresses and routes, as the kernel does it.

use super::*;

impl ModelHost {
    /// What the kernel does when IPv6 starts on an interface.
    pub(super) fn make_link_local(&mut self, index: IfIndex) {
        let link = &self.host.links[&index];
        let disabled = link.sysctls.get("ipv6/disable_ipv6").is_none_or(|value| value == "1");
        if link.admin_up && link.addr_gen_mode == Some(0) && !disabled {
            let [a, b, c, d, e, f] = link.mac.0;
            let local = Ipv6Addr::from([0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f]);
            let address = Address { protocol: Some(3), scope: 253, ..wire::address(IpAddr::V6(local), 64) };
            self.add_address(index, &address);
        }
    }

    pub fn add_address(&mut self, index: IfIndex, address: &Address) {
        let same = |a: &Address| (a.local, a.peer, a.prefix_len) == (address.local, address.peer, address.prefix_len);
        if self.host.addresses.iter().any(|a| a.link == index && same(a)) {
            return;
        }
        let mut address = Address { link: index, ..address.clone() };
        let on_link = |a: &Address| a.link == index && a.local.is_ipv4() == address.local.is_ipv4();
        let at = if address.local.is_ipv4() {
            let label = address.label.as_deref().unwrap_or_default();
            assert!(label.starts_with(&self.host.links[&index].name), "label {label} on another interface");
            address.flags &= !SECONDARY;
            if self.host.addresses.iter().any(|a| on_link(a) && a.flags & SECONDARY == 0 && same_subnet(a, &address)) {
                address.flags |= SECONDARY;
            }
            let first_secondary =
                |a: &Address| on_link(a) && a.flags & SECONDARY != 0 && address.flags & SECONDARY == 0;
            self.host.addresses.iter().position(first_secondary)
        } else {
            let disabled = &self.host.links[&index].sysctls["ipv6/disable_ipv6"];
            assert_eq!(disabled, "0", "IPv6 is disabled on {index}, but it gets {}", address.local);
            let rank = |a: &Address| !is_link_local(a.local);
            self.host.addresses.iter().position(|a| on_link(a) && rank(a) <= rank(&address))
        };
        self.add_prefix_route(index, &address);
        self.host.addresses.insert(at.unwrap_or(self.host.addresses.len()), address);
    }

    pub(super) fn add_prefix_route(&mut self, index: IfIndex, address: &Address) {
        let v6 = address.local.is_ipv6();
        let secondary = !v6 && address.flags & SECONDARY != 0;
        if !self.host.links[&index].admin_up || secondary || address.flags & NOPREFIXROUTE != 0 {
            return;
        }
        let route = prefix_route(index, address);
        if !self.host.routes.contains(&route) {
            self.host.routes.push(route);
        }
    }

    pub fn delete_address(&mut self, index: IfIndex, address: &Address) {
        let is_it = |a: &Address| a.link == index && (a.local, a.prefix_len) == (address.local, address.prefix_len);
        let Some(at) = self.host.addresses.iter().position(is_it) else { return };
        let gone = self.host.addresses.remove(at);
        let v6 = gone.local.is_ipv6();
        if !v6 && gone.flags & SECONDARY == 0 {
            let falls = |a: &Address| a.link == index && a.flags & SECONDARY != 0 && same_subnet(a, &gone);
            self.host.addresses.retain(|a| a.local.is_ipv6() || !falls(a));
        }
        let kept = |a: &Address| a.link == index && a.flags & NOPREFIXROUTE == 0 && same_subnet(a, &gone);
        let expires = v6 && gone.flags & PERMANENT == 0;
        if gone.flags & (NOPREFIXROUTE | if v6 { 0 } else { SECONDARY }) == 0
            && !expires
            && !self.host.addresses.iter().any(kept)
        {
            let route = prefix_route(index, &gone);
            self.host.routes.retain(|r| *r != route);
        }
        if !self.host.addresses.iter().any(|a| a.local == gone.local) {
            self.host.routes.retain(|r| wire::source(r) != Some(gone.local));
        }
        if !v6 && !self.host.addresses.iter().any(|a| a.link == index && a.local.is_ipv4()) {
            self.host.routes.retain(|r| r.v6 || r.nexthop.is_some() || !r.links.contains(&index));
            self.host.neighbours.retain(|n| n.link != index || n.address.is_ipv6());
        }
    }

    pub fn add_route(&mut self, route: &Route, first: bool) {
        for link in &route.links {
            assert!(self.host.links[link].admin_up, "network is down: {route:?}");
        }
        if let Some(source) = wire::source(route) {
            assert!(self.host.addresses.iter().any(|a| a.local == source), "no such source: {route:?}");
        }
        if let Some(gateway) = wire::gateway(route) {
            let leads = |r: &Route| !r.gateway && route.links.iter().any(|l| r.links.contains(l)) && covers(r, gateway);
            assert!(self.host.routes.iter().any(leads), "gateway {gateway} is not reachable: {route:?}");
        }
        if self.host.routes.contains(route) {
            return;
        }
        let key = |r: &Route| (r.v6, r.table, r.destination, r.prefix_len, r.metric);
        let at = first.then(|| self.host.routes.iter().position(|r| key(r) == key(route))).flatten();
        self.host.routes.insert(at.unwrap_or(self.host.routes.len()), route.clone());
    }

    pub(super) fn move_nexthop(&mut self, id: u32, index: IfIndex) {
        assert!(self.host.links[&index].admin_up, "nexthop {id} on an interface that is down");
        for nexthop in self.host.nexthops.iter_mut().filter(|nexthop| nexthop.id == id) {
            nexthop.link = Some(index);
        }
        for route in self.host.routes.iter_mut().filter(|route| route.nexthop == Some(id)) {
            route.links = vec![index];
        }
    }
}

fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local())
}

fn same_subnet(one: &Address, other: &Address) -> bool {
    let net = |a: &Address| (wire::network(a.peer.unwrap_or(a.local), a.prefix_len), a.prefix_len);
    net(one) == net(other)
}

fn covers(route: &Route, host: IpAddr) -> bool {
    route.v6 == host.is_ipv6() && route.destination == Some(wire::network(host, route.prefix_len))
}

/// The route that the kernel makes for an address.
fn prefix_route(index: IfIndex, address: &Address) -> Route {
    let v6 = address.local.is_ipv6();
    let destination = wire::network(address.peer.unwrap_or(address.local), address.prefix_len);
    Route {
        protocol: 2,
        metric: address.metric.unwrap_or(if v6 { 256 } else { 0 }),
        ..wire::route(index, Some((destination, address.prefix_len)), v6, None, (!v6).then_some(address.local))
    }
}

/// The route with another interface.
pub(super) fn rewrite(route: &Route, from: IfIndex, to: IfIndex) -> Route {
    let links = route.links.iter().map(|link| if *link == from { to } else { *link }).collect();
    Route { links, ..route.clone() }
}
