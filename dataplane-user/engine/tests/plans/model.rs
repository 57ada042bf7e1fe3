//! A host that carries out steps as the kernel does, with all that the kernel does unasked: prefix routes come and go
//! with their addresses, secondary addresses with their primary, an interface's IPv4 routes with its last IPv4 address.
//! A step that the kernel would refuse panics.

mod layer3;
mod links;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use aggctl_common::{IfIndex, Mac, PortId};
use aggctl_engine::{
    bond::BondSettings,
    config::Device,
    driver::{DriverKind, DriverState},
    host::{Address, Host, Link, NeighbourEntry, Route},
    plan::{Awaited, Layer3Step, LinkStep, OneWayStep, PairSettings, ProgramStep, Setting, Step, Subject},
};

use self::layer3::rewrite;
use crate::wire;

const SECONDARY: u32 = 0x01;
const PERMANENT: u32 = 0x80;
const NOPREFIXROUTE: u32 = 0x200;

/// A host and the dataplane of one aggregate on it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelHost {
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

impl ModelHost {
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
                let is_it = |n: &NeighbourEntry| n.link == index && n.address == neighbour.address;
                if !present.to {
                    self.host.neighbours.retain(|n| !is_it(n));
                } else if !self.host.neighbours.iter().any(is_it) {
                    self.host.neighbours.push(NeighbourEntry { link: index, ..neighbour.clone() });
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
            OneWayStep::SpeakLacp { link, .. } | OneWayStep::LeaveLacp { link } | OneWayStep::Announce { link } => {
                if let Some(index) = self.resolve(link) {
                    assert!(self.host.links[&index].carrier, "spoken through a dead port");
                }
            }
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
