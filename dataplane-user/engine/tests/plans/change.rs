//! Adding and removing ports, live options.

use aggctl_common::PortId;
use aggctl_engine::{
    config::{PortConfig, Reselect, Toggle},
    options::{Assignment, GivenOptions, GivenPort},
    plan::{self, LiveChange, OtherAggregates, Refusal, Warning},
    record::{Phase, Record},
};

use crate::{
    hosts,
    model::{ModelHost, v4},
    promises::{NONE, Promise, run},
    wire,
};

/// A plain host with its aggregate.
pub fn attached() -> (ModelHost, Record) {
    let (mut world, config) = hosts::plain();
    let (mut record, _) = plan::attach(&world.host, &config, &OtherAggregates::default()).unwrap();
    let end = record.journal.len();
    run(&mut world, &mut record, end);
    record.phase = Phase::Attached;
    (world, record)
}

#[test]
fn a_port_that_is_added_and_removed_is_as_before() {
    let (mut world, mut record) = attached();
    hosts::add_link(&mut world, 60, "eth5");
    let before = world.clone();
    let (port, steps, warnings) =
        plan::add_port(&world.host, &record, &PortConfig::new("eth5"), &OtherAggregates::default()).unwrap();
    assert!(warnings.is_empty(), "{warnings:?}");
    assert_eq!(port.id, PortId(2));
    steps.iter().for_each(|step| world.apply(step));
    assert!(world.rx.contains(&world.index("eth5")));
    assert_eq!(world.host.link("eth5").unwrap().mac, record.mac);
    record.config.ports.push(port.config.clone());
    record.ports.push(port);
    let (steps, warnings) = plan::remove_port(&world.host, &record, PortId(2)).unwrap();
    assert!(warnings.is_empty(), "{warnings:?}");
    steps.iter().for_each(|step| world.apply(step));
    assert_eq!(world.differences(&before), NONE);
    assert_eq!(world.rx, before.rx);
}

#[test]
fn the_port_whose_mac_the_aggregate_keeps_is_not_removed_without_a_word() {
    let (world, record) = attached();
    let owner = record.ports.iter().find(|port| port.before.mac == record.mac).unwrap();
    let (_, warnings) = plan::remove_port(&world.host, &record, owner.id).unwrap();
    let [warning] = &warnings[..] else { panic!("{warnings:?}") };
    let words = warning.to_string();
    assert!(words.contains(&owner.config.name) && words.contains(&record.mac.to_string()), "{words}");
}

#[test]
fn a_primary_that_was_removed_stays_the_primary() {
    let (_, mut record) = attached();
    record.config.primary = Some("eth1".to_owned());
    record.config.ports.retain(|port| port.name != "eth1");
    let config = plan::set(&record, &change(&["reselect=failure"], &[])).unwrap();
    assert_eq!(config.absent_primary(), Some("eth1"));
    assert_eq!(plan::set(&record, &change(&["primary=eth0"], &[])).unwrap().absent_primary(), None);
}

#[test]
fn a_primary_may_be_named_before_it_is_a_port_and_that_is_said() {
    let (_, record) = attached();
    let config = plan::set(&record, &change(&["primary=eth7"], &[])).unwrap();
    let told = Warning::PrimaryNotYet { aggregate: "agg0".to_owned(), primary: "eth7".to_owned() };
    assert_eq!(Warning::of_primary(&config), Some(told.clone()));
    let (world, mut wish) = hosts::plain();
    let warned = |wish: &_| plan::attach(&world.host, wish, &OtherAggregates::default()).unwrap().1.contains(&told);
    assert!(!warned(&wish));
    wish.primary = Some("eth7".to_owned());
    assert!(warned(&wish));
}

#[test]
fn adding_a_port_is_undone_from_every_prefix() {
    let (mut start, record) = attached();
    let index = hosts::add_link(&mut start, 60, "eth5");
    let mut address = wire::address(v4(10, 5, 0, 1), 24);
    address.label = Some("eth5".to_owned());
    start.add_address(index, &address);
    start.add_route(&wire::route(index, Some((v4(10, 6, 0, 0), 16)), false, Some(v4(10, 5, 0, 254)), None), false);
    let (port, steps, _) =
        plan::add_port(&start.host, &record, &PortConfig::new("eth5"), &OtherAggregates::default()).unwrap();
    let mut wider = record.clone();
    wider.ports.push(port);
    let promise = Promise::of(&start, &wider);
    for end in 0..=steps.len() {
        let mut world = start.clone();
        for step in &steps[..end] {
            world.apply(step);
            promise.check(&world, step);
        }
        for step in steps[..end].iter().rev() {
            world.undo(step);
            promise.check(&world, step);
        }
        assert_eq!(world.differences(&start), NONE, "after {end} steps");
    }
}

#[test]
fn the_addresses_of_an_added_port_go_back_to_it() {
    let (mut world, mut record) = attached();
    let index = hosts::add_link(&mut world, 60, "eth5");
    let mut address = wire::address(v4(10, 5, 0, 1), 24);
    address.label = Some("eth5".to_owned());
    world.add_address(index, &address);
    let before = world.host.addresses.iter().filter(|a| a.link == index).cloned().collect::<Vec<_>>();
    let (port, steps, _) =
        plan::add_port(&world.host, &record, &PortConfig::new("eth5"), &OtherAggregates::default()).unwrap();
    steps.iter().for_each(|step| world.apply(step));
    assert!(!world.host.addresses.iter().any(|a| a.link == index));
    record.ports.push(port);
    plan::detach(&world.host, &record, false).unwrap().iter().for_each(|step| world.apply(step));
    let mut after = world.host.addresses.iter().filter(|a| a.link == index).cloned().collect::<Vec<_>>();
    after.sort_by_key(|a| a.local.is_ipv6());
    let mut before = before;
    before.sort_by_key(|a| a.local.is_ipv6());
    assert_eq!(after, before);
}

#[test]
fn a_port_that_comes_back_is_repaired() {
    let (mut world, mut record) = attached();
    let gone = world.index("eth1");
    world.delete_link(gone);
    let index = hosts::add_link(&mut world, 70, "eth1");
    record.ports[1].index = None;
    for step in plan::repair(&world.host, &record) {
        world.apply(&step);
    }
    let link = &world.host.links[&index];
    assert_eq!(link.mac, record.mac);
    assert!(world.rx.contains(&index));
    assert!(!world.host.addresses.iter().any(|a| a.link == index), "it must not speak IPv6 by itself");
}

/// What `set` is asked for.
fn change(options: &[&str], ports: &[&str]) -> LiveChange {
    let mut said = GivenOptions::default();
    options.iter().for_each(|text| said.change(text).unwrap());
    let ports = ports.iter().map(|text| GivenPort::read(text).unwrap());
    LiveChange { options: said.options, ports: ports.map(|words| (words.name, words.options)).collect() }
}

#[test]
fn options_change_all_or_none() {
    let (_, record) = attached();
    let wishes = ["primary=eth1", "reselect=failure", "min-ports=2", "promisc=on", "up-delay=200", "announce=5"];
    let config = plan::set(&record, &change(&wishes, &["eth0,priority=7"])).unwrap();
    assert_eq!(config.primary.as_deref(), Some("eth1"));
    assert_eq!((config.reselect, config.min_ports, config.promisc), (Reselect::Failure, 2, Toggle::On));
    assert_eq!((config.link_watch.up_delay_ms, config.announce.count, config.ports[0].priority), (200, 5, 7));
    assert_eq!(config.link_watch.poll_ms, record.config.link_watch.poll_ms);

    let wrong = change(&["primary=eth1", "min-ports=3"], &[]);
    assert_eq!(plan::set(&record, &wrong), Err(Refusal::MinPorts { min_ports: 3, ports: 2 }));
    let refusal = Refusal::NotAPort { name: "agg0".to_owned(), port: "eth7".to_owned() };
    assert_eq!(plan::set(&record, &change(&wishes, &["eth7"])), Err(refusal));
    assert_eq!(plan::set(&record, &LiveChange::default()), Ok(record.config.clone()));
    assert_eq!(plan::set(&record, &change(&["primary=none"], &[])).unwrap().primary, None);
}

#[test]
fn a_port_with_a_setting_that_nobody_can_type_is_not_added() {
    let (mut world, record) = attached();
    hosts::add_link(&mut world, 60, "eth5");
    let wish = PortConfig { weight: 0, ..PortConfig::new("eth5") };
    let refusal = plan::add_port(&world.host, &record, &wish, &OtherAggregates::default()).unwrap_err().to_string();
    assert!(refusal.contains("weight=0") && refusal.contains("1 to 255"), "{refusal}");
}

#[test]
fn what_another_version_asks_for_is_refused() {
    let (_, record) = attached();
    for (key, value, part) in [("bogus", "1", "bogus"), ("poll", "0", "1 to 60000"), ("mode", "tlb", "not built")] {
        let options = vec![Assignment { key: key.to_owned(), value: value.to_owned() }];
        let refusal = plan::set(&record, &LiveChange { options, ..LiveChange::default() }).unwrap_err().to_string();
        assert!(refusal.contains(part), "{refusal}");
    }
}
