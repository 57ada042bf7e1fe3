//! What others add while a plan is carried out.

use aggctl_common::IfIndex;
use aggctl_engine::{
    arrivals::{Arrivals, ChangeAuthor, ChangeEvent, ChangedItem as What},
    host::{Address, Route},
    plan::{self, LinkStep, OtherAggregates, Step},
    record::{JournalEntry, Layer3, Phase, Record},
};

use crate::{
    hosts,
    model::{ModelHost, v4},
    promises::{NONE, run},
    wire,
};

/// An address in a network of its own, secondary to one that the port has, and routes.
fn newcomers(port: IfIndex) -> (Vec<Address>, Vec<Route>) {
    let address = |local, label: &str| Address { label: Some(label.to_owned()), ..wire::address(local, 24) };
    let addresses = vec![address(v4(10, 77, 0, 1), "eth0"), address(v4(10, 0, 0, 99), "eth0:9")];
    let on_link = wire::route(port, Some((v4(10, 78, 0, 0), 24)), false, None, None);
    let via = wire::route(port, Some((v4(10, 79, 0, 0), 24)), false, Some(v4(10, 77, 0, 9)), None);
    (addresses, vec![on_link, via])
}

/// Adds them to `port`, and tells of it as the kernel does.
fn add(world: &mut ModelHost, port: IfIndex, arrivals: &mut Arrivals) {
    let (addresses, routes) = newcomers(port);
    let mut tell = |what| arrivals.tell(ChangeEvent::Added { what, instead: false, by: ChangeAuthor::Others }, false);
    for address in addresses {
        world.add_address(port, &address);
        tell(What::Address(Address { link: port, ..address }));
    }
    for route in routes {
        world.add_route(&route, false);
        tell(What::Route(route));
    }
}

/// Looks again until nothing is left; the steps are journalled.
fn gather(world: &mut ModelHost, record: &mut Record, arrivals: &mut Arrivals) {
    for _ in 0..3 {
        let mut host = world.host.clone();
        arrivals.complete(&mut host);
        let steps = plan::gather(&host, record);
        if steps.is_empty() {
            return;
        }
        plan::note_origins(record, &steps);
        steps.iter().for_each(|step| world.apply(step));
        record.journal.extend(steps.into_iter().map(|step| JournalEntry { step, begun: true }));
        let taken = arrivals.clone();
        record.ports.iter().filter_map(|port| port.index).for_each(|link| arrivals.forget(&taken, link));
    }
    panic!("there is no end to it");
}

fn holds(world: &ModelHost, link: IfIndex) {
    let (addresses, routes) = newcomers(link);
    for address in addresses {
        assert!(world.host.addresses.iter().any(|a| a.link == link && a.local == address.local), "{}", address.local);
    }
    for route in routes {
        let same = |r: &Route| r.links == [link] && r.destination == route.destination;
        assert!(world.host.routes.iter().any(same), "{route:?}");
    }
}

#[test]
fn what_comes_before_any_step_of_an_attach_is_moved_and_given_back() {
    let (before, config) = hosts::plain();
    let (record, _) = plan::attach(&before.host, &config, &OtherAggregates::default()).unwrap();
    let eth0 = before.index("eth0");
    let mut expected = before.clone();
    add(&mut expected, eth0, &mut Arrivals::default());
    for at in 0..=record.journal.len() {
        let (mut world, mut record, mut arrivals) = (before.clone(), record.clone(), Arrivals::default());
        run(&mut world, &mut record, at);
        add(&mut world, eth0, &mut arrivals);
        for entry in &mut record.journal[at..] {
            entry.begun = true;
            world.apply(&entry.step);
        }
        gather(&mut world, &mut record, &mut arrivals);
        let aggregate = world.aggregate().unwrap().index;
        holds(&world, aggregate);
        assert!(!world.host.addresses.iter().any(|a| a.link == eth0), "before step {at}");
        assert!(!world.host.routes.iter().any(|r| r.links.contains(&eth0)), "before step {at}");

        let mut undone = world.clone();
        plan::rollback(&record).for_each(|step| undone.undo(step));
        holds(&undone, eth0);

        record.index = aggregate;
        record.phase = Phase::Attached;
        plan::detach(&world.host, &record, true).unwrap().iter().for_each(|step| world.apply(step));
        holds(&world, eth0);
        assert!(world.is_bare());
    }
}

#[test]
fn nothing_is_moved_where_nothing_came() {
    let (mut world, config) = hosts::plain();
    let (mut record, _) = plan::attach(&world.host, &config, &OtherAggregates::default()).unwrap();
    let end = record.journal.len();
    run(&mut world, &mut record, end);
    assert_eq!(plan::gather(&world.host, &record), []);
}

#[test]
fn what_comes_to_the_aggregate_is_handed_back_when_the_attach_is_undone() {
    let (before, config) = hosts::plain();
    let (mut record, _) = plan::attach(&before.host, &config, &OtherAggregates::default()).unwrap();
    let mut world = before.clone();
    let end = record.journal.len();
    run(&mut world, &mut record, end);
    let aggregate = world.aggregate().unwrap().index;
    let mut arrivals = Arrivals::default();
    let mut tell = |what| arrivals.tell(ChangeEvent::Added { what, instead: false, by: ChangeAuthor::Others }, false);
    let address = Address { link: aggregate, label: Some("agg0".to_owned()), ..wire::address(v4(10, 77, 0, 1), 24) };
    world.add_address(aggregate, &address);
    tell(What::Address(address.clone()));
    let route = wire::route(aggregate, Some((v4(10, 78, 0, 0), 24)), false, Some(v4(10, 77, 0, 9)), None);
    world.add_route(&route, false);
    tell(What::Route(route));
    record.index = IfIndex::NONE;
    for step in plan::rollback(&record) {
        if matches!(step, Step::Link(LinkStep::Pair { .. })) {
            // It is down by now, and has lost its routes.
            let mut host = world.host.clone();
            arrivals.complete(&mut host);
            for step in plan::hand_back(&host, &record, aggregate, &Layer3::of(&host, aggregate)) {
                world.apply(&step);
            }
        }
        world.undo(step);
    }
    let eth0 = world.index("eth0");
    assert!(world.host.addresses.iter().any(|a| a.link == eth0 && a.local == address.local));
    assert!(world.host.routes.iter().any(|r| r.links == [eth0] && r.destination == Some(v4(10, 78, 0, 0))));
    world.host.addresses.retain(|a| a.local != address.local);
    world.host.routes.retain(|r| r.destination != Some(v4(10, 78, 0, 0)) && r.destination != Some(v4(10, 77, 0, 0)));
    assert_eq!(world.differences(&before), NONE);
}
