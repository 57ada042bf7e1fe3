//! What every plan of an attach and of a detach promises, whatever the wiring: nothing is lost on the way, and from
//! every prefix there is a way back or on.

use std::net::IpAddr;

use aggctl_common::IfIndex;
use aggctl_engine::{
    host::{Address, Route},
    plan::{self, Step},
    record::{Phase, Record},
};
use proptest::prelude::*;

use crate::model::ModelHost;

/// What a property comes to.
type Held = Result<(), TestCaseError>;

/// No differences.
pub const NONE: Vec<String> = Vec::new();

/// What must stay reachable: what the ports had.
pub struct Promise {
    addresses: Vec<(IpAddr, IfIndex)>,
    routes: Vec<Route>,
}

impl Promise {
    /// Everything that the ports have which was not made by the kernel.
    pub fn of(world: &ModelHost, record: &Record) -> Self {
        let ports = record.ports.iter().map(|port| port.before.index).collect::<Vec<_>>();
        let is_given = |a: &&Address| ports.contains(&a.link) && a.protocol != Some(3);
        let by_port = |r: &&Route| r.gateway && r.links.iter().any(|link| ports.contains(link)) && r.protocol != 9;
        Self {
            addresses: world.host.addresses.iter().filter(is_given).map(|a| (a.local, a.link)).collect(),
            routes: world.host.routes.iter().filter(by_port).cloned().collect(),
        }
    }

    /// Panics if the host lost an address or a way out, or receives nothing for an address that is only on a port.
    pub fn check(&self, world: &ModelHost, after: &Step) {
        let aggregate = world.aggregate().map(|link| link.index);
        for (address, port) in &self.addresses {
            let on = |link: IfIndex| world.host.addresses.iter().any(|a| a.link == link && a.local == *address);
            let there = on(*port) || aggregate.is_some_and(on);
            assert!(there, "{address} is nowhere after {after:?}");
            if world.rx.contains(port) {
                assert!(aggregate.is_some_and(on), "{address}: frames go to the aggregate too early, {after:?}");
            }
        }
        for route in &self.routes {
            let same = |r: &Route| {
                let key = |r: &Route| (r.v6, r.table, r.destination, r.prefix_len, r.metric, r.nexthop);
                key(r) == key(route) && r.wire == route.wire
            };
            assert!(world.host.routes.iter().any(same), "{route:?} is nowhere after {after:?}");
        }
    }
}

/// Carries out the journal up to `end` and remembers how far it got, as an executor does.
pub fn run(world: &mut ModelHost, record: &mut Record, end: usize) {
    for entry in &mut record.journal[..end] {
        entry.begun = true;
        world.apply(&entry.step);
    }
    record.index = world.aggregate().map_or(IfIndex::NONE, |link| link.index);
}

/// From every prefix of the attach the way back ends where it began, and nothing is lost on the way.
pub fn is_undone_from_every_prefix(before: &ModelHost, planned: &Record) -> Held {
    let promise = Promise::of(before, planned);
    for end in 0..=planned.journal.len() {
        let (mut world, mut record) = (before.clone(), planned.clone());
        run(&mut world, &mut record, end);
        if let Some(last) = end.checked_sub(1) {
            promise.check(&world, &record.journal[last].step);
        }
        for step in plan::rollback(&record).map(|step| step.inverse().unwrap()) {
            world.apply(&step);
            promise.check(&world, &step);
        }
        prop_assert_eq!(world.differences(before), NONE, "after {} steps", end);
        prop_assert!(world.is_bare());
    }
    Ok(())
}

/// A step of the attach that was journalled as begun but had no effect is undone without harm.
pub fn is_undone_after_a_step_failed(before: &ModelHost, planned: &Record) -> Held {
    for end in 0..planned.journal.len() {
        let (mut world, mut record) = (before.clone(), planned.clone());
        run(&mut world, &mut record, end);
        record.journal[end].begun = true;
        plan::rollback(&record).for_each(|step| world.undo(step));
        prop_assert_eq!(world.differences(before), NONE, "step {} failed", end);
    }
    Ok(())
}

/// After a detach the host is as before the attach, and nothing is lost on the way.
pub fn gives_everything_back(before: &ModelHost, attached: &ModelHost, record: &Record) -> Held {
    let (promise, mut world) = (Promise::of(before, record), attached.clone());
    for step in plan::detach(&world.host, record, true).unwrap() {
        world.apply(&step);
        promise.check(&world, &step);
    }
    prop_assert_eq!(world.differences(before), NONE);
    prop_assert!(world.is_bare());
    Ok(())
}

/// A detach that died is completed by planning again.
pub fn is_completed_from_every_prefix(before: &ModelHost, attached: &ModelHost, record: &Record) -> Held {
    let promise = Promise::of(before, record);
    let record = Record { phase: Phase::Detaching, ..record.clone() };
    let steps = plan::detach(&attached.host, &record, false).unwrap();
    for end in 0..=steps.len() {
        let mut world = attached.clone();
        steps[..end].iter().for_each(|step| world.apply(step));
        for step in plan::detach(&world.host, &record, false).unwrap() {
            world.apply(&step);
            promise.check(&world, &step);
        }
        prop_assert_eq!(world.differences(before), NONE, "died after {} steps", end);
    }
    Ok(())
}

/// Undoing an undoing is doing, for each step of the attach and of a detach.
pub fn inverses_are_inverse(attached: &ModelHost, record: &Record) -> Held {
    let detach = plan::detach(&attached.host, record, true).unwrap();
    for step in record.journal.iter().map(|entry| &entry.step).chain(&detach) {
        match step.inverse() {
            Some(inverse) => prop_assert_eq!(inverse.inverse(), Some(step.clone())),
            None => prop_assert!(matches!(step, Step::OneWay(_))),
        }
    }
    Ok(())
}
