//! What becomes of links: pairs, bonds and their members, up and down, carrier.

use super::*;

impl ModelHost {
    pub(super) fn create_pair(&mut self, pair: &PairSettings) {
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

    pub(super) fn create_bond(&mut self, bond: &BondSettings) {
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
    pub(super) fn enslave(&mut self, port: IfIndex, device: IfIndex) {
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
    pub(super) fn release(&mut self, port: IfIndex, device: IfIndex) {
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

    pub(super) fn delete_pair(&mut self, pair: &PairSettings) {
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
    pub(super) fn update_carrier(&mut self) {
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
}
