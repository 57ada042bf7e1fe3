//! A host that carries out steps as the kernel does, with all that the kernel does unasked: prefix routes come and go
//! with their addresses, secondary addresses with their primary, an interface's IPv4 routes with its last IPv4 address.
//! A step that the kernel would refuse panics.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use aggctl_common::{IfIndex, Mac, PortId};
use aggctl_engine::{
    bond::BondSettings,
    config::Device,
    driver::{DriverKind, DriverState},
    host::{Address, Host, Link, Neighbour, Route},
    plan::{Awaited, Layer3Step, LinkStep, OneWayStep, PairSettings, ProgramStep, Setting, Step, Subject},
};

use crate::wire;

const SECONDARY: u32 = 0x01;
const PERMANENT: u32 = 0x80;
const NOPREFIXROUTE: u32 = 0x200;

/// A host and the dataplane of one aggregate on it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct World {
    pub host: Host,
    pub maps: bool,
    pub tx: bool,
    /// Number of the interfaces that have the receiving program.
    pub rx: BTreeSet<IfIndex>,
    /// The same of the one that drops early.
    pub xdp: BTreeSet<IfIndex>,
    pub selected: Option<PortId>,
    /// Names of the aggregate and its peer.
    pub pair: Option<(String, String)>,
    /// The aggregate's own namespace is there.
    pub namespace: bool,
    /// The peer, if it is in that namespace.
    pub apart: Option<Link>,
    /// The relay is attached to it.
    pub relay: bool,
    /// What network managers leave alone: ports by their slots, the peer as none.
    pub unmanaged: BTreeSet<Option<PortId>>,
    /// MAC and MTU that the members of the driver's device had before.
    pub members: BTreeMap<IfIndex, (Mac, u32)>,
    next: u32,
}

impl World {
    pub fn with(host: Host) -> Self {
        Self { host, next: 100, ..Self::default() }
    }

    /// Whether nothing of an aggregate is there.
    pub fn is_bare(&self) -> bool {
        let programs = self.tx || self.relay || !self.rx.is_empty() || !self.xdp.is_empty();
        !(self.maps || programs || self.namespace || self.apart.is_some() || !self.unmanaged.is_empty())
    }

    pub fn index(&self, name: &str) -> IfIndex {
        self.host.link(name).unwrap_or_else(|| panic!("no interface {name}")).index
    }

    pub fn aggregate(&self) -> Option<&Link> {
        self.host.link(&self.pair.as_ref()?.0)
    }

    fn resolve(&self, subject: &Subject) -> Option<IfIndex> {
        let name = match subject {
            Subject::Aggregate => &self.pair.as_ref()?.0,
            Subject::Peer => &self.pair.as_ref()?.1,
            Subject::Port { index, .. } => return Some(*index),
        };
        self.host.link(name).map(|link| link.index)
    }

    fn link(&mut self, index: IfIndex) -> &mut Link {
        self.host.links.get_mut(&index).unwrap()
    }

    /// Carries out a step. What is about an interface that is gone has no effect.
    pub fn apply(&mut self, step: &Step) {
        match step {
            Step::Link(step) => self.change_link(step),
            Step::Layer3(step) => self.change_layer3(step),
            Step::Program(step) => self.change_program(step),
            Step::OneWay(step) => self.act(step),
        }
    }

    /// Undoes a step; nothing happens if it cannot be undone.
    pub fn undo(&mut self, step: &Step) {
        if let Some(inverse) = step.inverse() {
            self.apply(&inverse);
        }
    }

    fn change_link(&mut self, step: &LinkStep) {
        match step {
            LinkStep::Managed { link, managed } if managed.to => {
                self.unmanaged.remove(&slot(link));
            }
            LinkStep::Managed { link, .. } => {
                assert!(self.pair.is_none() || *link != Subject::Peer, "the peer was seen by network managers");
                self.unmanaged.insert(slot(link));
            }
            LinkStep::Namespace { present } => {
                assert!(present.to || self.apart.is_none(), "the namespace goes before the pair");
                self.namespace = present.to;
            }
            LinkStep::Pair { pair, present } if present.to => self.create_pair(pair),
            LinkStep::Pair { pair, .. } => self.delete_pair(pair),
            LinkStep::Bond { bond, present } if present.to => self.create_bond(bond),
            LinkStep::Bond { bond, .. } => {
                if let Some(index) = self.host.link(&bond.name).map(|link| link.index) {
                    self.release_all(index);
                    self.delete_link(index);
                }
                self.tx = false;
            }
            LinkStep::Member { link, member } => {
                let port = self.resolve(link).unwrap();
                match self.resolve(&Subject::Aggregate) {
                    Some(device) if member.to => self.enslave(port, device),
                    Some(device) => self.release(port, device),
                    None => assert!(!member.to, "no device to be a member of"),
                }
            }
            LinkStep::Set { link: Subject::Peer, setting } if self.namespace => self.set_apart(setting),
            LinkStep::Set { link, setting } => {
                if let Some(index) = self.resolve(link) {
                    self.set(index, setting);
                }
            }
        }
    }

    fn set(&mut self, index: IfIndex, setting: &Setting) {
        match setting {
            Setting::Admin(up) => self.set_admin(index, up.to),
            Setting::Mac(mac) => {
                let busy = self.host.links[&index].admin_up && self.host.addresses.iter().any(|a| a.link == index);
                assert!(!busy, "a driver may take {index} down to change the MAC, and it has addresses");
                self.link(index).mac = mac.to;
            }
            Setting::Mtu(mtu) => self.link(index).mtu = mtu.to,
            Setting::Promisc(on) => self.link(index).promisc = on.to,
            Setting::Allmulti(on) => self.link(index).allmulti = on.to,
            Setting::AddrGenMode(mode) => self.link(index).addr_gen_mode = Some(mode.to),
            Setting::Sysctl { key, value } => self.set_sysctl(index, key, &value.to),
            Setting::Token(token) => self.link(index).token = Some(token.to).filter(|t| !t.is_unspecified()),
            Setting::Feature { name, on } => self.link(index).features.get_mut(name).unwrap().on = on.to,
        }
    }

    /// A setting of the peer, where that is in a namespace of its own.
    fn set_apart(&mut self, setting: &Setting) {
        let Some(peer) = &mut self.apart else { return };
        match setting {
            Setting::Admin(up) => {
                // What the host sends past the sending program would come back by the relay.
                assert!(!up.to || (self.tx && self.relay), "the peer is up too early");
                peer.admin_up = up.to;
                self.update_carrier();
            }
            Setting::Sysctl { key, value } => {
                peer.sysctls.insert(key.clone(), value.to.clone());
            }
            other => panic!("{other:?} is not for a peer"),
        }
    }

    fn change_layer3(&mut self, step: &Layer3Step) {
        let Some(index) = self.resolve(step.subject()) else { return };
        match step {
            Layer3Step::Address { address, present, .. } if present.to => self.add_address(index, address),
            Layer3Step::Address { address, .. } => self.delete_address(index, address),
            Layer3Step::Route { route, described_on, first, present, .. } => {
                let route = rewrite(route, *described_on, index);
                if present.to {
                    self.add_route(&route, *first);
                } else if let Some(at) = self.host.routes.iter().position(|r| *r == route) {
                    self.host.routes.remove(at);
                }
            }
            Layer3Step::Nexthop { nexthop, .. } => self.move_nexthop(nexthop.id, index),
            Layer3Step::Neighbour { neighbour, present, .. } => {
                let is_it = |n: &Neighbour| n.link == index && n.address == neighbour.address;
                if !present.to {
                    self.host.neighbours.retain(|n| !is_it(n));
                } else if !self.host.neighbours.iter().any(is_it) {
                    self.host.neighbours.push(Neighbour { link: index, ..neighbour.clone() });
                }
            }
        }
    }

    fn change_program(&mut self, step: &ProgramStep) {
        match step {
            ProgramStep::Maps { present } => {
                self.maps = present.to;
                if !present.to {
                    self.rx.clear();
                    self.xdp.clear();
                    self.selected = None;
                }
            }
            ProgramStep::Tx { attached, .. } => {
                assert!(self.maps || !attached.to, "the sending program needs the maps");
                self.tx = attached.to;
            }
            ProgramStep::Relay { attached, .. } => {
                if self.apart.is_some() {
                    assert!(self.maps || !attached.to, "the relay needs the maps");
                    self.relay = attached.to;
                }
            }
            ProgramStep::Rx { link, attached, .. } => {
                let Some(index) = self.resolve(link) else { return };
                if attached.to {
                    assert!(self.maps && self.aggregate().is_some(), "the receiving program needs maps and pair");
                    self.rx.insert(index);
                } else {
                    assert!(!self.xdp.contains(&index), "what {index} gets back would be dropped early");
                    self.rx.remove(&index);
                }
            }
            ProgramStep::Xdp { link, attached, .. } => {
                let Some(index) = self.resolve(link) else { return };
                if attached.to {
                    assert!(self.rx.contains(&index), "what {index} keeps would be dropped early");
                    self.xdp.insert(index);
                } else {
                    self.xdp.remove(&index);
                }
            }
        }
    }

    fn act(&mut self, step: &OneWayStep) {
        match step {
            OneWayStep::Sysctls { link, values } => {
                if let Some(index) = self.resolve(link) {
                    values.iter().for_each(|(key, value)| self.set_sysctl(index, key, value));
                }
            }
            OneWayStep::Select { link } => {
                assert!(self.maps, "selecting needs the maps");
                self.selected = Some(slot(link).expect("a port is selected"));
            }
            OneWayStep::Await { link, what } => {
                let Some(index) = self.resolve(link) else { return };
                let members = || self.host.links.values().filter(|link| link.master == Some(index));
                let met = *what == Awaited::Link || members().any(Link::has_link);
                assert!(met && self.host.links[&index].admin_up, "{what:?} does not come about");
            }
            OneWayStep::Announce { link } => {
                if let Some(index) = self.resolve(link) {
                    assert!(self.host.links[&index].carrier, "announced through a dead port");
                }
            }
        }
    }

    fn create_pair(&mut self, pair: &PairSettings) {
        self.pair = Some((pair.name.clone(), pair.peer.clone()));
        let peer_mac = Mac([2, 0, 0, 0, 9, 9]);
        for (name, mac, apart) in [(&pair.name, pair.mac, false), (&pair.peer, peer_mac, self.namespace)] {
            let index = IfIndex(self.next);
            self.next += 1;
            let link = Link {
                index,
                name: name.clone(),
                ethernet: true,
                kind: if pair.device == Device::Netkit { "netkit" } else { "veth" }.to_owned(),
                mac,
                mtu: pair.mtu,
                gso_max_size: pair.gso_max_size,
                gso_max_segs: pair.gso_max_segs,
                addr_gen_mode: Some(1),
                sysctls: BTreeMap::from([("ipv6/disable_ipv6".to_owned(), "0".to_owned())]),
                ..Link::default()
            };
            if apart {
                self.apart = Some(link);
            } else {
                self.host.links.insert(index, link);
            }
        }
    }

    fn create_bond(&mut self, bond: &BondSettings) {
        self.pair = Some((bond.name.clone(), String::new()));
        let index = IfIndex(self.next);
        self.next += 1;
        let link = Link {
            index,
            name: bond.name.clone(),
            ethernet: true,
            kind: "bond".to_owned(),
            mac: bond.mac,
            mtu: bond.mtu,
            driver: Some(DriverState { kind: DriverKind::Bonding, mode: bond.mode, active: None }),
            addr_gen_mode: Some(1),
            sysctls: BTreeMap::from([("ipv6/disable_ipv6".to_owned(), "0".to_owned())]),
            ..Link::default()
        };
        self.host.links.insert(index, link);
    }

    /// What the driver does with a new member.
    fn enslave(&mut self, port: IfIndex, device: IfIndex) {
        if self.host.links[&port].master == Some(device) {
            return;
        }
        assert!(!self.host.links[&port].admin_up, "{port} is up: the driver does not take it");
        assert!(!self.host.addresses.iter().any(|a| a.link == port), "{port} has addresses");
        let Link { mac, mtu, .. } = self.host.links[&device];
        let link = self.link(port);
        let former = (link.mac, link.mtu);
        (link.mac, link.mtu, link.master) = (mac, mtu, Some(device));
        self.members.insert(port, former);
        self.set_admin(port, true);
    }

    /// What the driver does with a member that goes.
    fn release(&mut self, port: IfIndex, device: IfIndex) {
        let Some(link) = self.host.links.get(&port).filter(|link| link.master == Some(device)) else { return };
        let index = link.index;
        self.set_admin(index, false);
        let former = self.members.remove(&port).unwrap();
        let link = self.link(port);
        (link.mac, link.mtu, link.master) = (former.0, former.1, None);
        self.update_carrier();
    }

    /// What the driver does with all members when its device goes.
    pub fn release_all(&mut self, device: IfIndex) {
        let members: Vec<_> = self.members.keys().copied().collect();
        members.into_iter().for_each(|port| self.release(port, device));
    }

    fn delete_pair(&mut self, pair: &PairSettings) {
        for name in [&pair.name, &pair.peer] {
            if let Some(index) = self.host.link(name).map(|link| link.index) {
                self.delete_link(index);
            }
        }
        self.tx = false;
        (self.apart, self.relay) = (None, false);
    }

    /// The interface goes away with all that is on it.
    pub fn delete_link(&mut self, index: IfIndex) {
        self.host.links.remove(&index);
        self.host.addresses.retain(|a| a.link != index);
        self.host.routes.retain(|r| !r.links.contains(&index));
        self.host.nexthops.retain(|n| n.link != Some(index));
        self.host.neighbours.retain(|n| n.link != index);
        self.rx.remove(&index);
        self.xdp.remove(&index);
    }

    pub fn set_admin(&mut self, index: IfIndex, up: bool) {
        if self.host.links[&index].admin_up == up {
            return;
        }
        self.link(index).admin_up = up;
        if up {
            let addresses = self.host.addresses.iter().filter(|a| a.link == index).cloned().collect::<Vec<_>>();
            addresses.iter().for_each(|address| self.add_prefix_route(index, address));
            self.make_link_local(index);
        } else {
            self.host.addresses.retain(|a| a.link != index || a.local.is_ipv4());
            self.host.routes.retain(|r| !r.links.contains(&index));
            self.host.nexthops.retain(|n| n.link != Some(index));
            self.host.neighbours.retain(|n| n.link != index);
        }
        self.update_carrier();
    }

    /// Each end of a pair has carrier while the other is up.
    fn update_carrier(&mut self) {
        let Some((aggregate, peer)) = self.pair.clone() else { return };
        if let Some(device) = self.host.link(&aggregate).filter(|link| link.driver.is_some()) {
            let index = device.index;
            let linked = self.host.links.values().any(|link| link.master == Some(index) && link.has_link());
            self.link(index).carrier = linked;
            return;
        }
        let find = |name: &str| self.host.link(name).or(self.apart.as_ref().filter(|link| link.name == name));
        let both = [&aggregate, &peer].map(|name| find(name).is_some_and(|link| link.admin_up));
        for link in self.host.links.values_mut().filter(|link| link.name == aggregate || link.name == peer) {
            link.carrier = both == [true, true];
        }
    }

    fn set_sysctl(&mut self, index: IfIndex, key: &str, value: &str) {
        let was = self.link(index).sysctls.insert(key.to_owned(), value.to_owned());
        if key != "ipv6/disable_ipv6" || was.as_deref() == Some(value) {
            return;
        }
        if value == "1" {
            self.host.addresses.retain(|a| a.link != index || a.local.is_ipv4());
            self.host.routes.retain(|r| !r.v6 || r.links != [index]);
            self.host.neighbours.retain(|n| n.link != index || n.address.is_ipv4());
        } else {
            self.make_link_local(index);
        }
    }

    /// What the kernel does when IPv6 starts on an interface.
    fn make_link_local(&mut self, index: IfIndex) {
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

    fn add_prefix_route(&mut self, index: IfIndex, address: &Address) {
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

    fn move_nexthop(&mut self, id: u32, index: IfIndex) {
        assert!(self.host.links[&index].admin_up, "nexthop {id} on an interface that is down");
        for nexthop in self.host.nexthops.iter_mut().filter(|nexthop| nexthop.id == id) {
            nexthop.link = Some(index);
        }
        for route in self.host.routes.iter_mut().filter(|route| route.nexthop == Some(id)) {
            route.links = vec![index];
        }
    }

    /// What this host has that the other lacks (`+`) and the other way round (`-`); empty if they are equal.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let (mine, theirs) = (self.normalised(), other.normalised());
        let lines = |host: &Host| {
            let mut lines = host.links.values().map(|link| format!("{link:?}")).collect::<Vec<_>>();
            lines.extend(host.addresses.iter().map(|address| format!("{address:?}")));
            lines.extend(host.routes.iter().map(|route| format!("{route:?}")));
            lines.extend(host.nexthops.iter().map(|nexthop| format!("{nexthop:?}")));
            lines.extend(host.neighbours.iter().map(|neighbour| format!("{neighbour:?}")));
            lines
        };
        let (ours, others) = (lines(&mine), lines(&theirs));
        let mut out = ours.iter().filter(|line| !others.contains(line)).map(|l| format!("+ {l}")).collect::<Vec<_>>();
        out.extend(others.iter().filter(|line| !ours.contains(line)).map(|l| format!("- {l}")));
        if out.is_empty() && mine != theirs {
            out.push(format!("another order: {:?} {:?}", mine.addresses, mine.routes));
        }
        out
    }

    /// The host without what order does not mean: addresses of each interface keep theirs; of IPv4 routes that differ
    /// in nothing but how they leave, the first one counts.
    pub fn normalised(&self) -> Host {
        let mut host = self.host.clone();
        host.addresses.sort_by_key(|a| (a.link, a.local.is_ipv6()));
        for address in host.addresses.iter_mut().filter(|address| address.local.is_ipv6()) {
            address.flags &= !1; // temporary ones become ordinary
        }
        let key = |r: &Route| (r.v6, r.table, r.destination, r.prefix_len, r.metric);
        let mut seen = BTreeSet::new();
        let mut routes = host.routes.into_iter().map(|r| (r.v6 || !seen.insert(key(&r)), r)).collect::<Vec<_>>();
        routes.sort_by_key(|(behind, r)| (key(r), *behind, r.links.clone(), r.wire.clone()));
        host.routes = routes.into_iter().map(|(_, route)| route).collect();
        host.nexthops.sort_by_key(|n| n.id);
        host.neighbours.sort_by_key(|n| (n.link, n.address));
        host
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
fn rewrite(route: &Route, from: IfIndex, to: IfIndex) -> Route {
    let links = route.links.iter().map(|link| if *link == from { to } else { *link }).collect();
    Route { links, ..route.clone() }
}

/// An IPv4 address in the way that tests write it.
pub fn v4(a: u8, b: u8, c: u8, d: u8) -> IpAddr {
    Ipv4Addr::new(a, b, c, d).into()
}

/// The slot of a port; none of the peer.
fn slot(subject: &Subject) -> Option<PortId> {
    match subject {
        Subject::Port { id, .. } => Some(*id),
        Subject::Aggregate | Subject::Peer => None,
    }
}
