//! What is refused, and in which words.

use aggctl_common::{IfIndex, PortId, vlan::VlanId};
use aggctl_engine::{
    config::{Addresses, AggregateConfig, Device, Hook, PortConfig, Wiring, Xdp},
    host::{Link, MtuLimits, XdpProgram},
    plan::{self, Change, LinkStep, OtherAggregates, ProgramStep, Step},
    record::Phase,
    vlan::VlanConfig,
};

use crate::{
    change::attached,
    hosts,
    model::{ModelHost, v4},
    wire,
};

type Spoil = fn(&mut ModelHost, &mut AggregateConfig, &mut OtherAggregates);

/// Each line: what is wrong, how it comes about, and words that the refusal must have.
const ATTACH: &[(&str, Spoil, &[&str])] = &[
    ("empty name", |_, c, _| c.name.clear(), &["empty"]),
    ("long name", |_, c, _| c.name = "a234567890123456".into(), &["a234567890123456", "15"]),
    ("slash", |_, c, _| c.name = "a/b".into(), &["a/b", "'/'"]),
    ("colon", |_, c, _| c.name = "a:b".into(), &["a:b", "':'"]),
    ("space", |_, c, _| c.name = "a b".into(), &["a b", "white space"]),
    ("newline", |_, c, _| c.name = "a\nb".into(), &["white space"]),
    ("dot", |_, c, _| c.name = ".".into(), &["directory"]),
    ("two dots", |_, c, _| c.name = "..".into(), &["directory"]),
    ("all", |_, c, _| c.name = "all".into(), &["all"]),
    ("default", |_, c, _| c.name = "default".into(), &["default"]),
    ("percent", |_, c, _| c.name = "agg%d".into(), &["agg%d"]),
    ("name of an interface", |_, c, _| c.name = "eth9".into(), &["eth9", "taken", "interface"]),
    ("name of an aggregate", |_, _, t| t.names.extend(["agg0".to_owned()]), &["agg0", "aggregate"]),
    (
        "name of the peer",
        |w, _, _| assert_ne!(hosts::add_link(w, 80, "agg0-peer"), IfIndex::NONE),
        &["agg0-peer", "taken"],
    ),
    ("no port", |_, c, _| c.ports.clear(), &["--port"]),
    ("too many", |_, c, _| c.ports = (0..65).map(|n| PortConfig::new(format!("p{n}"))).collect(), &["65", "64"]),
    ("twice", |_, c, _| c.ports.push(PortConfig::new("eth0")), &["eth0", "twice"]),
    ("itself", |_, c, _| c.ports.push(PortConfig::new("agg0")), &["agg0", "itself"]),
    ("missing", |_, c, _| c.ports.push(PortConfig::new("eth7")), &["eth7", "not exist"]),
    ("loopback", |w, _, _| link(w).loopback = true, &["eth1", "loopback"]),
    ("not Ethernet", |w, _, _| link(w).ethernet = false, &["eth1", "not Ethernet"]),
    ("another's port", |_, _, t| drop(t.ports.insert(IfIndex(3), "agg7".into())), &["eth1", "agg7"]),
    ("an aggregate", |_, _, t| t.names.extend(["eth1".to_owned()]), &["eth1", "itself an aggregate"]),
    ("a peer", a_peer, &["agg7-peer", "part of one"]),
    ("bridge port", bridge_port, &["eth1", "bridge", "br0", "nomaster"]),
    ("VRF", |w, _, _| link(w).kind = "vrf".into(), &["eth1", "vrf"]),
    ("ipvlan", |w, _, _| link(w).kind = "ipvlan".into(), &["eth1", "ipvlan", "MAC"]),
    ("VLAN on it", vlan, &["eth1.5", "eth1", "bypassed"]),
    ("tc filter", |w, _, _| link(w).hooks.clsact_ingress.push("flower pref 1".into()), &["eth1", "flower pref 1"]),
    ("nft chain", |w, _, _| link(w).hooks.nft_ingress.push("netdev t c".into()), &["eth1", "netdev t c"]),
    ("MTU", |w, _, _| link(w).mtu_limits.max = 1400, &["eth1", "0 to 1400", "1500", "eth0 mtu 1400"]),
    ("min-ports 0", |_, c, _| c.min_ports = 0, &["min-ports=0", "1 to 64"]),
    ("min-ports 3", |_, c, _| c.min_ports = 3, &["min-ports 3", "1 to 2"]),
    ("poll 0", |_, c, _| c.link_watch.poll_ms = 0, &["poll=0", "1 to 60000"]),
    ("long poll", |_, c, _| c.link_watch.poll_ms = u32::MAX, &["poll=4294967295", "60000"]),
    ("up-delay", |_, c, _| c.link_watch.up_delay_ms = 300_001, &["up-delay=300001", "300000"]),
    ("down-delay", |_, c, _| c.link_watch.down_delay_ms = 300_001, &["down-delay=300001", "300000"]),
    ("announce", |_, c, _| c.announce.interval_ms = 300_001, &["announce-interval=300001", "300000"]),
    ("weight 0", |_, c, _| c.ports[0].weight = 0, &["weight=0", "1 to 255"]),
    ("VLAN 0", |_, c, _| c.vlan = VlanConfig::Access { vid: VlanId(0) }, &["vlan=access=0", "4094"]),
    ("VLAN 4095", |_, c, _| c.vlan = VlanConfig::Access { vid: VlanId(4095) }, &["vlan=access=4095", "4094"]),
    ("addresses none", |_, c, _| c.addresses = Addresses::None, &["eth0", "the address", "--addresses move"]),
    ("tcx", |w, c, _| (w.host.capabilities.tcx, c.hook) = (false, Hook::Tcx), &["6.6", "clsact"]),
    (
        "netkit",
        |w, c, _| (w.host.capabilities.netkit, c.device) = (false, Device::Netkit),
        &["6.7", "CONFIG_NETKIT", "veth"],
    ),
    ("XDP program", foreign_xdp, &["eth1", "7 (stranger)", "--xdp off"]),
    (
        "no native XDP",
        |w, c, _| (link(w).xdp.native, c.xdp) = (Some(false), Xdp::Native),
        &["eth1", "runs no XDP", "--xdp generic"],
    ),
    ("stranded", stranded, &["eth0", "min-ports 2", "cut off"]),
    ("multipath", multipath, &["192.0.2.0/24", "multipath"]),
];

fn link(world: &mut ModelHost) -> &mut Link {
    world.host.links.get_mut(&IfIndex(3)).unwrap()
}

fn a_peer(world: &mut ModelHost, config: &mut AggregateConfig, taken: &mut OtherAggregates) {
    hosts::add_link(world, 80, "agg7-peer");
    taken.names.insert("agg7".into());
    config.ports.push(PortConfig::new("agg7-peer"));
}

fn bridge_port(world: &mut ModelHost, _: &mut AggregateConfig, _: &mut OtherAggregates) {
    let bridge = hosts::add_link(world, 80, "br0");
    world.host.links.get_mut(&bridge).unwrap().kind = "bridge".into();
    link(world).master = Some(bridge);
}

fn vlan(world: &mut ModelHost, _: &mut AggregateConfig, _: &mut OtherAggregates) {
    let vlan = hosts::add_link(world, 80, "eth1.5");
    world.host.links.get_mut(&vlan).unwrap().lower = Some(IfIndex(3));
}

fn foreign_xdp(world: &mut ModelHost, config: &mut AggregateConfig, _: &mut OtherAggregates) {
    link(world).xdp.program = Some(XdpProgram { id: 7, name: "stranger".into() });
    config.xdp = Xdp::Generic;
}

fn stranded(world: &mut ModelHost, config: &mut AggregateConfig, _: &mut OtherAggregates) {
    link(world).carrier = false;
    config.min_ports = 2;
}

fn multipath(world: &mut ModelHost, _: &mut AggregateConfig, _: &mut OtherAggregates) {
    let mut route = wire::route(IfIndex(2), Some((v4(192, 0, 2, 0), 24)), false, None, None);
    route.links.push(IfIndex(3));
    world.host.routes.push(route);
}

/// One line, without a full stop, and no longer than a person reads.
fn check_words(what: &str, refusal: &str, words: &[&str]) {
    assert!(!refusal.contains('\n') && !refusal.ends_with('.'), "{what}: {refusal:?}");
    assert!(refusal.len() < 240, "{what}: {refusal}");
    for word in words {
        assert!(refusal.contains(word), "{what}: {word:?} is missing in {refusal:?}");
    }
}

#[test]
fn attach_refuses_in_one_line() {
    for (what, spoil, words) in ATTACH {
        let (mut world, mut config) = hosts::plain();
        let mut taken = OtherAggregates::default();
        spoil(&mut world, &mut config, &mut taken);
        let Err(refusal) = plan::attach(&world.host, &config, &taken) else { panic!("{what} was accepted") };
        check_words(what, &refusal.to_string(), words);
    }
}

#[test]
fn a_link_local_address_of_the_kernel_does_not_count() {
    let (world, mut config) = hosts::plain();
    config.addresses = Addresses::None;
    config.ports.remove(0);
    assert!(world.host.addresses.iter().any(|a| a.link == IfIndex(3)), "eth1 has a link-local address");
    plan::attach(&world.host, &config, &OtherAggregates::default()).unwrap();
}

#[test]
fn clsact_is_taken_where_there_is_no_tcx() {
    let (mut world, config) = hosts::plain();
    assert_eq!(plan::attach(&world.host, &config, &OtherAggregates::default()).unwrap().0.hook, Hook::Tcx);
    world.host.capabilities.tcx = false;
    assert_eq!(plan::attach(&world.host, &config, &OtherAggregates::default()).unwrap().0.hook, Hook::Clsact);
}

#[test]
fn veth_is_taken_where_there_is_no_netkit() {
    let (mut world, mut config) = hosts::plain();
    let device = |world: &ModelHost, config: &AggregateConfig| {
        let record = plan::attach(&world.host, config, &OtherAggregates::default()).unwrap().0;
        let made = record.journal.iter().filter_map(|entry| match &entry.step {
            Step::Link(LinkStep::Pair { pair, .. }) => Some(pair.device),
            Step::Program(ProgramStep::Tx { device, .. }) => Some(*device),
            _ => None,
        });
        assert_eq!(made.collect::<Vec<_>>(), [record.device; 2]);
        record.device
    };
    assert_eq!(device(&world, &config), Device::Netkit);
    config.device = Device::Veth;
    assert_eq!(device(&world, &config), Device::Veth);
    config.device = Device::Auto;
    world.host.capabilities.netkit = false;
    assert_eq!(device(&world, &config), Device::Veth);
}

#[test]
fn ports_without_a_link_are_named() {
    let (mut world, config) = hosts::plain();
    let say = |world: &ModelHost| {
        let links: Vec<_> = world.host.links.values().cloned().collect();
        let warnings = plan::without_link("agg0", &["eth0", "eth1"], &links);
        warnings.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert!(say(&world).is_empty());
    world.host.links.get_mut(&IfIndex(3)).unwrap().carrier = false;
    assert_eq!(say(&world), ["eth1 has no link yet: it carries nothing until it has"]);
    world.host.links.get_mut(&IfIndex(2)).unwrap().carrier = false;
    assert_eq!(say(&world), ["no port of agg0 has a link yet: eth0, eth1"]);
    plan::attach(&world.host, &config, &OtherAggregates::default()).unwrap();
}

#[test]
fn what_leads_to_several_interfaces_takes_force() {
    let (mut world, config) = hosts::plain();
    for kind in ["", "veth", "tun", "netkit", "dummy", "vlan", "macvlan", "macsec", "virt_wifi"] {
        link(&mut world).kind = kind.into();
        plan::check_kind(link(&mut world)).unwrap();
        plan::attach(&world.host, &config, &OtherAggregates::default()).unwrap();
    }
    for kind in ["bridge", "bond", "team", "vxlan", "gretap", "geneve"] {
        link(&mut world).kind = kind.into();
        let refusal = plan::check_kind(link(&mut world)).unwrap_err().to_string();
        check_words(kind, &refusal, &["eth1", kind, "--force"]);
        plan::attach(&world.host, &config, &OtherAggregates::default()).unwrap();
    }
}

#[test]
fn detach_to_a_dead_port_needs_force() {
    let (mut world, record) = attached();
    world.host.links.get_mut(&IfIndex(2)).unwrap().carrier = false;
    let refusal = plan::detach(&world.host, &record, false).unwrap_err().to_string();
    check_words("dead port", &refusal, &["eth0", "agg0", "--force"]);
    plan::detach(&world.host, &record, true).unwrap();
    let mut begun = record;
    begun.phase = Phase::Detaching;
    plan::detach(&world.host, &begun, false).unwrap();
}

#[test]
fn a_dead_spare_port_does_not_hold_up_a_detach() {
    let (mut world, record) = attached();
    world.host.links.get_mut(&IfIndex(3)).unwrap().carrier = false;
    plan::detach(&world.host, &record, false).unwrap();
}

#[test]
fn detach_of_both_dead_is_no_loss() {
    let (mut world, record) = attached();
    world.host.links.values_mut().for_each(|link| link.carrier = false);
    plan::detach(&world.host, &record, false).unwrap();
}

#[test]
fn detach_under_a_stacked_device_needs_force() {
    let (mut world, record) = attached();
    let vlan = hosts::add_link(&mut world, 80, "agg0.5");
    world.host.links.get_mut(&vlan).unwrap().lower = Some(record.index);
    let refusal = plan::detach(&world.host, &record, false).unwrap_err().to_string();
    check_words("stacked", &refusal, &["agg0.5", "agg0", "--force"]);
    plan::detach(&world.host, &record, true).unwrap();
}

#[test]
fn detach_of_a_bridge_port_needs_force() {
    let (mut world, record) = attached();
    let bridge = hosts::add_link(&mut world, 80, "br0");
    world.host.links.get_mut(&bridge).unwrap().kind = "bridge".into();
    world.host.links.get_mut(&record.index).unwrap().master = Some(bridge);
    for index in 81..90 {
        let vlan = hosts::add_link(&mut world, index, &format!("agg0.{index}"));
        world.host.links.get_mut(&vlan).unwrap().lower = Some(record.index);
    }
    let refusal = plan::detach(&world.host, &record, false).unwrap_err().to_string();
    check_words("bridge", &refusal, &["br0 (bridge)", "agg0.81", "6 more", "--force"]);
    plan::detach(&world.host, &record, true).unwrap();
}

#[test]
fn a_tunnel_is_not_bypassed() {
    let (mut world, config) = hosts::plain();
    let tunnel = hosts::add_link(&mut world, 80, "vx0");
    let link = world.host.links.get_mut(&tunnel).unwrap();
    (link.kind, link.lower) = ("vxlan".into(), Some(IfIndex(3)));
    plan::attach(&world.host, &config, &OtherAggregates::default()).unwrap();
}

#[test]
fn removing_a_port_that_is_needed_is_refused() {
    let (world, mut record) = attached();
    let words = |record: &_, id| plan::remove_port(&world.host, record, PortId(id)).unwrap_err().to_string();
    check_words("no port", &words(&record, 9), &["9", "agg0"]);
    record.config.min_ports = 2;
    check_words("min-ports", &words(&record, 1), &["eth1", "min-ports 2"]);
    record.ports.truncate(1);
    check_words("last", &words(&record, 0), &["eth0", "last", "detach"]);
}

#[test]
fn adding_what_cannot_be_a_port_is_refused() {
    let (mut world, mut record) = attached();
    let other = hosts::add_link(&mut world, 60, "eth5");
    let words = |world: &ModelHost, record: &_, name| {
        plan::add_port(&world.host, record, &PortConfig::new(name), &OtherAggregates::default())
            .unwrap_err()
            .to_string()
    };
    check_words("own port", &words(&world, &record, "eth1"), &["eth1"]);
    check_words("itself", &words(&world, &record, "agg0"), &["agg0", "itself"]);
    check_words("peer", &words(&world, &record, "agg0-peer"), &["agg0-peer", "part of one"]);
    check_words("missing", &words(&world, &record, "eth7"), &["eth7", "not exist"]);
    let limits = MtuLimits { min: 2000, max: 0 };
    world.host.links.get_mut(&other).unwrap().mtu_limits = limits;
    check_words("MTU", &words(&world, &record, "eth5"), &["eth5", "at least 2000", "agg0 mtu 2000"]);
    world.host.links.get_mut(&other).unwrap().mtu_limits = MtuLimits::NONE;
    let mut address = wire::address(v4(10, 5, 0, 1), 24);
    address.label = Some("eth5".to_owned());
    world.add_address(other, &address);
    record.config.addresses = Addresses::None;
    check_words("addresses", &words(&world, &record, "eth5"), &["eth5", "10.5.0.1"]);
}

#[test]
fn only_a_direct_wiring_has_a_namespace_and_a_relay() {
    let (world, mut config) = hosts::plain();
    let apart = |config: &AggregateConfig| {
        let record = plan::attach(&world.host, config, &OtherAggregates::default()).unwrap().0;
        let mut steps = record.journal.iter().map(|entry| &entry.step);
        let first = steps.find(|step| !matches!(step, Step::Link(LinkStep::Managed { .. })));
        let first = first == Some(&Step::Link(LinkStep::Namespace { present: Change::ON }));
        let relay = Step::Program(ProgramStep::Relay { hook: record.hook, attached: Change::ON });
        let relay = steps.any(|step| *step == relay);
        assert_eq!(first, relay);
        relay
    };
    assert!(!apart(&config));
    config.wiring = Wiring::Direct;
    assert!(apart(&config));
}
