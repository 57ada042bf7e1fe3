//! Hosts to plan for: random ones, and one that an owner would recognise.

use std::{collections::BTreeMap, net::IpAddr};

use aggctl_common::{IfIndex, Mac};
use aggctl_engine::{
    config::{AggregateConfig, PortConfig, Toggle, Wiring, Xdp},
    host::{Address, Capabilities, EthtoolFeature, Host, Link, NeighbourEntry, Nexthop},
};
use proptest::prelude::*;

use crate::{
    model::{ModelHost, v4},
    wire,
};

/// What a random port is like.
#[derive(Clone, Debug)]
pub struct PortSpec {
    pub admin_up: bool,
    pub carrier: bool,
    pub flags: u32,
    pub mtu: u32,
    pub rp_filter: u8,
    pub ipv4: u8,
    pub ipv6: u8,
    pub routes: u8,
    pub peculiar: u8,
}

impl PortSpec {
    fn bit(&self, bit: u32) -> bool {
        self.flags >> bit & 1 == 1
    }
}

/// A random host with one to three ports and an interface that stays out of it.
#[derive(Clone, Debug)]
pub struct HostSpec {
    pub ports: Vec<PortSpec>,
    /// Another interface has an address in the first port's subnet: 0 none, 1 before, 2 after.
    pub rival: u8,
    pub tcx: bool,
    pub netkit: bool,
    pub promisc: u8,
    pub primary: bool,
    pub direct: bool,
    pub early: bool,
}

pub fn host() -> impl Strategy<Value = HostSpec> {
    let (kernel, wish) = ((any::<bool>(), any::<bool>()), (any::<bool>(), any::<bool>(), any::<bool>()));
    (prop::collection::vec(port(), 1..=3), 0..3_u8, kernel, 0..3_u8, wish).prop_map(
        |(ports, rival, (tcx, netkit), promisc, (primary, direct, early))| HostSpec {
            ports,
            rival,
            tcx,
            netkit,
            promisc,
            primary,
            direct,
            early,
        },
    )
}

fn port() -> impl Strategy<Value = PortSpec> {
    let mtu = prop_oneof![3 => Just(1500_u32), 1 => Just(9000_u32)];
    (
        (prop::bool::weighted(0.8), any::<bool>(), any::<u32>(), mtu),
        (0..3_u8, 0..5_u8, 0..4_u8, any::<u8>(), any::<u8>()),
    )
        .prop_map(|((admin_up, carrier, flags, mtu), (rp_filter, ipv4, ipv6, routes, peculiar))| PortSpec {
            admin_up,
            carrier: carrier && admin_up,
            flags,
            mtu,
            rp_filter,
            ipv4,
            ipv6,
            routes,
            peculiar,
        })
}

/// The wish for a random host.
pub fn config(spec: &HostSpec) -> AggregateConfig {
    let ports = (0..spec.ports.len()).map(|at| PortConfig::new(format!("eth{at}"))).collect();
    let mut config = AggregateConfig::new("agg0", ports);
    config.promisc = [Toggle::Auto, Toggle::On, Toggle::Off][usize::from(spec.promisc)];
    config.primary = spec.primary.then(|| "eth0".to_owned());
    config.xdp = if spec.early { Xdp::Generic } else { Xdp::Off };
    config.wiring = if spec.direct { Wiring::Direct } else { Wiring::Shared };
    config
}

/// The host before anything is attached.
pub fn build(spec: &HostSpec) -> ModelHost {
    let mut world = ModelHost::with(Host {
        capabilities: Capabilities { tcx: spec.tcx, netkit: spec.netkit, bonding: true },
        ..Host::default()
    });
    add_link(&mut world, 50, "eth9");
    if spec.rival == 1 {
        add_rival(&mut world);
    }
    for (at, port) in (0..).zip(&spec.ports) {
        add_port(&mut world, at, port);
    }
    if spec.rival == 2 {
        add_rival(&mut world);
    }
    world
}

/// Two ports, the first with an address, a gateway and a neighbour.
pub fn plain() -> (ModelHost, AggregateConfig) {
    let spec = PortSpec {
        admin_up: true,
        carrier: true,
        flags: 0,
        mtu: 1500,
        rp_filter: 0,
        ipv4: 1,
        ipv6: 1,
        routes: 0b11,
        peculiar: 0,
    };
    let bare = PortSpec { ipv4: 0, ipv6: 0, routes: 0, ..spec.clone() };
    let spec = HostSpec {
        ports: vec![spec, bare],
        rival: 0,
        tcx: true,
        netkit: true,
        promisc: 0,
        primary: false,
        direct: false,
        early: false,
    };
    (build(&spec), config(&spec))
}

/// An interface that is up and has nothing but what the kernel gives it.
pub fn add_link(world: &mut ModelHost, index: u32, name: &str) -> IfIndex {
    let number = IfIndex(index);
    let link = Link {
        index: number,
        name: name.to_owned(),
        ethernet: true,
        carrier: true,
        mac: Mac([2, 0, 0, 0, 0, u8::try_from(index).unwrap()]),
        mtu: 1500,
        gso_max_size: 65536,
        gso_max_segs: 65535,
        addr_gen_mode: Some(0),
        sysctls: ["ipv6/disable_ipv6", "ipv4/rp_filter", "ipv4/forwarding"]
            .map(|key| (key.to_owned(), "0".to_owned()))
            .into(),
        ..Link::default()
    };
    world.host.links.insert(number, link);
    world.set_admin(number, true);
    number
}

fn add_rival(world: &mut ModelHost) {
    let mut address = wire::address(v4(10, 0, 0, 200), 24);
    address.label = Some("eth9".to_owned());
    world.add_address(IfIndex(50), &address);
    world.add_route(&wire::route(IfIndex(50), None, false, Some(v4(10, 0, 0, 254)), None), false);
}

fn add_port(world: &mut ModelHost, at: u8, spec: &PortSpec) {
    let name = format!("eth{at}");
    let index = add_link(world, u32::from(at) + 2, &name);
    let link = world.host.links.get_mut(&index).unwrap();
    link.carrier = spec.carrier;
    link.mtu = spec.mtu;
    link.gso_max_size = 65536 + u32::from(spec.peculiar);
    link.promisc = spec.bit(0);
    link.allmulti = spec.bit(1);
    link.sysctls.insert("ipv4/rp_filter".to_owned(), spec.rp_filter.to_string());
    link.sysctls.insert("ipv4/forwarding".to_owned(), u8::from(spec.bit(2)).to_string());
    let feature = |on, fixed| EthtoolFeature { on, fixed };
    link.features = BTreeMap::from([
        ("rx-lro".to_owned(), feature(spec.bit(3), spec.bit(4))),
        ("rx-vlan-filter".to_owned(), feature(spec.bit(5), spec.bit(6))),
    ]);
    if spec.bit(7) {
        link.permanent_mac = Some(link.mac);
    }
    if spec.peculiar % 8 == 7 {
        link.addr_gen_mode = Some(1);
    }
    add_ipv4(world, index, at, spec);
    add_ipv6(world, index, at, spec);
    if !spec.admin_up {
        world.set_admin(index, false);
    }
}

/// Address `host` of the first port's subnet if `shared`, else of the port's own.
fn ipv4_of(at: u8, shared: bool, host: u8) -> IpAddr {
    v4(10, 0, if shared { 0 } else { at }, host)
}

fn add_ipv4(world: &mut ModelHost, index: IfIndex, at: u8, spec: &PortSpec) {
    let name = world.host.links[&index].name.clone();
    let shared = spec.bit(8);
    for count in 0..spec.ipv4.min(3) {
        let local = match count {
            0 | 1 => ipv4_of(at, shared, 10 * (at + 1) + count),
            _ => v4(172, 16, at, 1),
        };
        let mut address: Address = wire::address(local, 24);
        address.label = Some(if count == 1 { format!("{name}:{count}") } else { name.clone() });
        address.flags |= if spec.bit(9) && count == 2 { 0x200 } else { 0 };
        address.metric = (spec.bit(10) && !shared && at > 0).then_some(100);
        world.add_address(index, &address);
    }
    if spec.ipv4 == 0 || spec.ipv4 == 4 {
        return;
    }
    let source = ipv4_of(at, shared, 10 * (at + 1));
    let gateway = ipv4_of(at, shared, 254);
    if spec.routes & 1 != 0 {
        world.add_route(&wire::route(index, None, false, Some(gateway), None), spec.bit(11) && !shared);
    }
    if spec.routes & 2 != 0 {
        let route = wire::route(index, Some((v4(192, 168, at, 0), 24)), false, Some(gateway), Some(source));
        world.add_route(&route, false);
    }
    if spec.routes & 4 != 0 {
        world.add_route(&wire::route(index, Some((v4(198, 51, 100, at), 32)), false, None, None), false);
        let mut route = wire::route(index, Some((v4(203, 0, 113, 0), 24)), false, Some(v4(198, 51, 100, at)), None);
        route.table = 100;
        world.add_route(&route, false);
    }
    if spec.routes & 8 != 0 {
        let id = u32::from(at) + 1;
        world.host.nexthops.push(Nexthop { id, link: Some(index), wire: vec![at] });
        let mut route = wire::route(index, Some((v4(100, 64, at, 0), 24)), false, None, None);
        route.nexthop = Some(id);
        route.gateway = true;
        world.host.routes.push(route);
    }
    add_neighbour(world, index, gateway);
}

fn add_ipv6(world: &mut ModelHost, index: IfIndex, at: u8, spec: &PortSpec) {
    let local = |host: u16| IpAddr::from([0xfd00, 0, 0, u16::from(at), 0, 0, 0, host]);
    for count in 0..spec.ipv6.min(3) {
        let mut address = wire::address(local(u16::from(count) + 1), if count == 2 { 128 } else { 64 });
        if spec.bit(12) && count == 1 {
            address.flags = 0x01; // temporary
            address.valid_lifetime = Some(86_400);
        }
        world.add_address(index, &address);
    }
    if spec.ipv6 == 0 {
        return;
    }
    if spec.routes & 16 != 0 {
        world.add_route(&wire::route(index, None, true, Some(local(0xff)), None), false);
        add_neighbour(world, index, local(0xff));
    }
    if spec.routes & 32 != 0 && world.host.links[&index].addr_gen_mode == Some(0) {
        let router = IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, u16::from(at) + 1]);
        let mut route = wire::route(index, None, true, Some(router), None);
        (route.protocol, route.metric) = (9, 100);
        world.add_route(&route, false);
    }
    if spec.routes & 64 != 0 {
        let wide = IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0]);
        world.add_route(&wire::route(index, Some((wide, 32)), true, Some(local(0xfe)), Some(local(1))), false);
    }
}

fn add_neighbour(world: &mut ModelHost, link: IfIndex, address: IpAddr) {
    let mac = Some(Mac([2, 9, 9, 9, 9, 9]));
    world.host.neighbours.push(NeighbourEntry { link, address, mac, state: 0x80, flags: 0 });
}
