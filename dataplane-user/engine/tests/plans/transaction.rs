//! Attach and detach as transactions.

use std::net::IpAddr;

use aggctl_common::IfIndex;
use aggctl_engine::{
    host::{Address, Route},
    plan::{self, LinkStep, OtherAggregates, Setting, Step, Subject},
    record::{Phase, Record},
};
use proptest::prelude::*;

use crate::{
    hosts::{self, HostSpec},
    model::{ModelHost, v4},
    promises::{self, NONE, run},
    wire,
};

/// The host before, and with the aggregate attached.
fn attached(spec: &HostSpec) -> (ModelHost, ModelHost, Record) {
    let before = hosts::build(spec);
    let (mut record, _) = plan::attach(&before.host, &hosts::config(spec), &OtherAggregates::default()).unwrap();
    let mut world = before.clone();
    let end = record.journal.len();
    run(&mut world, &mut record, end);
    record.phase = Phase::Attached;
    (before, world, record)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 48,
        max_shrink_iters: 400,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Nothing is lost on the way, and from every prefix the way back ends where it began.
    #[test]
    fn an_attach_is_undone_from_every_prefix(spec in hosts::host()) {
        let before = hosts::build(&spec);
        let (record, _) = plan::attach(&before.host, &hosts::config(&spec), &OtherAggregates::default()).unwrap();
        promises::is_undone_from_every_prefix(&before, &record)?;
    }

    /// A step that was journalled as begun but had no effect is undone without harm.
    #[test]
    fn a_step_that_failed_is_undone_too(spec in hosts::host()) {
        let before = hosts::build(&spec);
        let (record, _) = plan::attach(&before.host, &hosts::config(&spec), &OtherAggregates::default()).unwrap();
        promises::is_undone_after_a_step_failed(&before, &record)?;
    }

    /// What a port carried is on the aggregate afterwards, and the port keeps nothing.
    #[test]
    fn an_attach_moves_everything(spec in hosts::host()) {
        let (before, world, record) = attached(&spec);
        let aggregate = world.aggregate().unwrap();
        for port in &record.ports {
            let index = port.before.index;
            prop_assert!(!world.host.addresses.iter().any(|a| a.link == index));
            prop_assert!(!world.host.routes.iter().any(|r| r.links.contains(&index)));
            prop_assert!(!world.host.neighbours.iter().any(|n| n.link == index));
            let link = &world.host.links[&index];
            prop_assert_eq!((link.mac, link.mtu, link.admin_up), (aggregate.mac, aggregate.mtu, true));
            prop_assert_eq!(&link.sysctls["ipv4/rp_filter"], &before.host.links[&index].sysctls["ipv4/rp_filter"]);
            prop_assert!(world.rx.contains(&index));
        }
        // Where the first port's subnet had precedence over that of an interface that is no port, it still has.
        let (old, new) = (first_way(&before, v4(10, 0, 0, 0)), first_way(&world, v4(10, 0, 0, 0)));
        let moved = old.filter(|link| record.ports.iter().any(|port| port.before.index == *link));
        if old.is_some() {
            prop_assert_eq!(new, moved.map(|_| aggregate.index).or(old));
        }
    }

    /// Attach and detach: the host is as before, and nothing is lost on the way.
    #[test]
    fn a_detach_gives_everything_back(spec in hosts::host()) {
        let (before, world, record) = attached(&spec);
        promises::gives_everything_back(&before, &world, &record)?;
    }

    /// A detach that died is completed by planning again.
    #[test]
    fn a_detach_is_completed_from_every_prefix(spec in hosts::host()) {
        let (before, attached, record) = attached(&spec);
        promises::is_completed_from_every_prefix(&before, &attached, &record)?;
    }

    /// Undoing an undoing is doing.
    #[test]
    fn the_inverse_of_the_inverse_is_the_step(spec in hosts::host()) {
        let (_, world, record) = attached(&spec);
        promises::inverses_are_inverse(&world, &record)?;
    }

    /// What was added to the aggregate while it ran goes to a port too: to the one whose subnet leads to the gateway,
    /// else to the first that had addresses.
    #[test]
    fn live_changes_go_to_a_port(spec in hosts::host(), pick in 0..3_usize) {
        let (before, mut world, mut record) = attached(&spec);
        let aggregate = world.aggregate().unwrap().index;
        let mut added = wire::address(v4(10, 99, 0, 1), 24);
        added.label = Some("agg0:new".to_owned());
        world.add_address(aggregate, &added);
        let on_link = wire::route(aggregate, Some((v4(10, 98, 0, 0), 24)), false, None, None);
        world.add_route(&on_link, true);
        let subnet = before.host.addresses.iter().filter(|a| {
            a.local.is_ipv4() && a.prefix_len == 24 && a.flags & 0x200 == 0
                && record.ports.iter().any(|port| port.before.index == a.link && port.before.admin_up)
        }).nth(pick).cloned();
        if let Some(address) = &subnet {
            let IpAddr::V4(local) = address.local else { unreachable!() };
            let [a, b, c, _] = local.octets();
            let route = wire::route(aggregate, Some((v4(10, 97, 0, 0), 24)), false, Some(v4(a, b, c, 77)), None);
            world.add_route(&route, true);
        }
        // A port that was down goes down again and takes its routes along: that is another test.
        record.ports.iter_mut().for_each(|port| port.before.admin_up = true);
        plan::detach(&world.host, &record, true).unwrap().iter().for_each(|step| world.apply(step));

        let owner = world.host.addresses.iter().find(|a| a.local == added.local).unwrap();
        let had = |port: &&aggctl_engine::record::PortRecord| port.addresses.iter().any(|a| a.protocol != Some(3));
        let home = record.ports.iter().find(had).unwrap_or(&record.ports[0]);
        prop_assert_eq!(owner.link, home.before.index);
        prop_assert_eq!(owner.label.clone().unwrap(), format!("{}:new", home.config.name));
        prop_assert_eq!(first_way(&world, v4(10, 98, 0, 0)), Some(home.before.index));
        if let Some(address) = subnet {
            let way = first_way(&world, v4(10, 97, 0, 0)).unwrap();
            let leads = |a: &Address| a.link == way && wire::network(a.local, 24) == wire::network(address.local, 24);
            prop_assert!(world.host.addresses.iter().any(leads));
        }
    }
}

/// The interface of the first route to `destination` in the main table.
fn first_way(world: &ModelHost, destination: IpAddr) -> Option<IfIndex> {
    let leads = |r: &&Route| r.destination == Some(destination) && r.metric == 0 && r.table == 254;
    world.host.routes.iter().find(leads).map(|route| route.links[0])
}

#[test]
fn the_addressed_port_lends_the_aggregate_its_mac_and_is_active_first() {
    let (mut world, config) = hosts::plain();
    let mut config = config;
    config.ports.swap(0, 1);
    config.primary = Some("eth1".to_owned());
    let (mut record, _) = plan::attach(&world.host, &config, &OtherAggregates::default()).unwrap();
    let end = record.journal.len();
    run(&mut world, &mut record, end);
    assert_eq!(record.mac, world.host.link("eth0").unwrap().mac);
    assert_eq!(world.selected, Some(record.ports[1].id));
    assert!(world.aggregate().unwrap().carrier);
}

#[test]
fn the_addressed_port_never_goes_down() {
    let (world, config) = hosts::plain();
    let (record, _) = plan::attach(&world.host, &config, &OtherAggregates::default()).unwrap();
    let touches = |step: &Step| {
        matches!(step, Step::Link(LinkStep::Set { link: Subject::Port { name, .. }, setting })
            if name == "eth0" && matches!(setting, Setting::Admin(_) | Setting::Mac(_)))
    };
    assert!(!record.journal.iter().any(|entry| touches(&entry.step)));
}

#[test]
fn a_deleted_device_gives_back_what_was_last_seen() {
    let (before, config) = hosts::plain();
    let mut world = before.clone();
    let (mut record, _) = plan::attach(&world.host, &config, &OtherAggregates::default()).unwrap();
    let end = record.journal.len();
    run(&mut world, &mut record, end);
    record.phase = Phase::Attached;
    let index = record.index;
    record.last_seen.addresses = world.host.addresses.iter().filter(|a| a.link == index).cloned().collect();
    record.last_seen.routes = world.host.routes.iter().filter(|r| r.links.contains(&index)).cloned().collect();
    record.last_seen.neighbours = world.host.neighbours.iter().filter(|n| n.link == index).cloned().collect();
    for name in ["agg0", "agg0-peer"] {
        let index = world.index(name);
        world.delete_link(index);
    }
    plan::detach(&world.host, &record, false).unwrap().iter().for_each(|step| world.apply(step));
    assert_eq!(world.differences(&before), NONE);
}

#[test]
fn what_came_from_a_port_that_is_gone_goes_to_the_next() {
    let (mut world, config) = hosts::plain();
    let (mut record, _) = plan::attach(&world.host, &config, &OtherAggregates::default()).unwrap();
    let end = record.journal.len();
    run(&mut world, &mut record, end);
    record.phase = Phase::Attached;
    let gone = world.index("eth0");
    world.delete_link(gone);
    plan::detach(&world.host, &record, false).unwrap().iter().for_each(|step| world.apply(step));
    let heir = world.index("eth1");
    let inherited = |a: &&Address| a.link == heir && a.protocol != Some(3);
    let inherited = world.host.addresses.iter().filter(inherited).collect::<Vec<_>>();
    assert_eq!(inherited.iter().map(|a| a.local).collect::<Vec<_>>().len(), 2);
    assert_eq!(inherited[0].label.as_deref(), Some("eth1"));
    assert!(world.host.routes.iter().any(|r| r.destination.is_none() && r.links == [heir]));
}

#[test]
fn with_no_port_left_only_the_device_goes() {
    let (mut world, config) = hosts::plain();
    let (mut record, _) = plan::attach(&world.host, &config, &OtherAggregates::default()).unwrap();
    let end = record.journal.len();
    run(&mut world, &mut record, end);
    record.phase = Phase::Attached;
    for name in ["eth0", "eth1"] {
        let index = world.index(name);
        world.delete_link(index);
    }
    plan::detach(&world.host, &record, false).unwrap().iter().for_each(|step| world.apply(step));
    assert_eq!(world.host.links.values().map(|link| link.name.as_str()).collect::<Vec<_>>(), ["eth9"]);
    assert!(!world.maps);
}
