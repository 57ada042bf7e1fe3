//! Wiring `over` without a device of the driver's: a bonding device is made, as a transaction.

use std::net::IpAddr;

use aggctl_common::IfIndex;
use aggctl_engine::{
    bond::NoBond,
    config::{AggregateConfig, LacpConfig, LacpRate, Mode, Wiring, Xdp},
    driver::{DriverMode, TLS_OFFLOAD},
    host::{Address, EthtoolFeature, Route},
    plan::{
        self, Awaited, Change, LinkStep, OneWayStep, OtherAggregates, ProgramStep, Refusal, Setting, Step, Subject,
    },
    record::{Layer3, Phase, Record},
};
use proptest::prelude::*;

use crate::{
    hosts::{self, HostSpec},
    model::ModelHost,
    promises::{self, NONE, run},
};

/// A random host of which a bond is made: the first port carries nothing and has a link.
fn spec() -> impl Strategy<Value = HostSpec> {
    hosts::host().prop_map(|mut spec| {
        let first = &mut spec.ports[0];
        (first.admin_up, first.carrier, first.ipv4, first.ipv6, first.routes) = (true, true, 0, 0, 0);
        spec
    })
}

fn over(config: AggregateConfig) -> AggregateConfig {
    AggregateConfig { wiring: Wiring::Over, xdp: Xdp::Off, ..config }
}

fn planned(before: &ModelHost, spec: &HostSpec) -> Record {
    let mut config = over(hosts::config(spec));
    plan::complete(&before.host, &mut config, false).unwrap();
    plan::attach(&before.host, &config, &OtherAggregates::default()).unwrap().0
}

/// The host before, and with the bond.
fn made(spec: &HostSpec) -> (ModelHost, ModelHost, Record) {
    let before = hosts::build(spec);
    let mut record = planned(&before, spec);
    let (mut world, end) = (before.clone(), record.journal.len());
    run(&mut world, &mut record, end);
    record.phase = Phase::Attached;
    (before, world, record)
}

/// The plain host, and its wish with the port first that carries nothing.
fn plain() -> (ModelHost, AggregateConfig) {
    let (world, config) = hosts::plain();
    (world, over(config))
}

fn steps(record: &Record) -> Vec<&Step> {
    record.journal.iter().map(|entry| &entry.step).collect()
}

/// Where in the journal the first step is of which this is true.
fn place(record: &Record, is_it: impl Fn(&Step) -> bool) -> usize {
    steps(record).into_iter().position(is_it).unwrap()
}

/// Whether the step makes a member of this port.
fn enters(step: &Step, port: &str) -> bool {
    let Step::Link(LinkStep::Member { link: Subject::Port { name, .. }, member }) = step else { return false };
    name == port && *member == Change::ON
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
    fn making_a_bond_is_undone_from_every_prefix(spec in spec()) {
        let before = hosts::build(&spec);
        let record = planned(&before, &spec);
        promises::is_undone_from_every_prefix(&before, &record)?;
    }

    /// A step that was journalled as begun but had no effect is undone without harm.
    #[test]
    fn a_step_that_failed_is_undone_too(spec in spec()) {
        let before = hosts::build(&spec);
        let record = planned(&before, &spec);
        promises::is_undone_after_a_step_failed(&before, &record)?;
    }

    /// What the ports carried is on the bond, whose members they are.
    #[test]
    fn everything_moves_onto_the_bond(spec in spec()) {
        let (before, world, record) = made(&spec);
        let bond = world.aggregate().unwrap();
        prop_assert!(bond.admin_up && bond.carrier && world.tx && record.made);
        for port in &record.ports {
            let (index, link) = (port.before.index, &world.host.links[&port.before.index]);
            prop_assert_eq!((link.master, link.mac, link.mtu), (Some(bond.index), bond.mac, bond.mtu));
            prop_assert!(link.admin_up);
            prop_assert!(!world.host.addresses.iter().any(|a| a.link == index));
            prop_assert!(!world.host.routes.iter().any(|r| r.links.contains(&index)));
        }
        let given = |world: &ModelHost, on: &dyn Fn(IfIndex) -> bool| {
            let given = |a: &&Address| on(a.link) && a.protocol != Some(3);
            let mut all: Vec<IpAddr> = world.host.addresses.iter().filter(given).map(|a| a.local).collect();
            all.sort();
            all.dedup();
            all
        };
        let was_port = |link| record.ports.iter().any(|port| port.before.index == link);
        prop_assert_eq!(given(&world, &|link| link == bond.index), given(&before, &was_port));
    }

    /// Made and detached: the host is as before, and nothing is lost on the way.
    #[test]
    fn a_detach_gives_everything_back(spec in spec()) {
        let (before, world, record) = made(&spec);
        promises::gives_everything_back(&before, &world, &record)?;
    }

    /// A detach that died is completed by planning again.
    #[test]
    fn a_detach_is_completed_from_every_prefix(spec in spec()) {
        let (before, attached, record) = made(&spec);
        promises::is_completed_from_every_prefix(&before, &attached, &record)?;
    }

    /// Undoing an undoing is doing.
    #[test]
    fn the_inverse_of_the_inverse_is_the_step(spec in spec()) {
        let (_, world, record) = made(&spec);
        promises::inverses_are_inverse(&world, &record)?;
    }
}

#[test]
fn the_port_that_carries_goes_down_when_another_has_taken_over() {
    let (world, config) = plain();
    let (record, warnings) = plan::attach(&world.host, &config, &OtherAggregates::default()).unwrap();
    assert_eq!(warnings, []);
    assert_eq!(record.mac, world.host.link("eth0").unwrap().mac);
    let bare = place(&record, |step| enters(step, "eth1"));
    let met = |step: &Step| matches!(step, Step::OneWay(OneWayStep::Await { what: Awaited::Member, .. }));
    let waits = place(&record, met);
    let moves = place(&record, |step| matches!(step, Step::Layer3(step) if *step.subject() == Subject::Aggregate));
    let announced =
        place(&record, |step| matches!(step, Step::OneWay(OneWayStep::Announce { link: Subject::Aggregate })));
    let down = place(&record, |step| {
        matches!(step, Step::Link(LinkStep::Set { link: Subject::Port { name, .. }, setting: Setting::Admin(up) })
            if name == "eth0" && !up.to)
    });
    let last = place(&record, |step| enters(step, "eth0"));
    assert!([bare, waits, moves, announced, down, last].is_sorted(), "{:#?}", steps(&record));
    assert_eq!(last, down + 1, "it is down no longer than it must be");
    // What can fail comes before anything is moved.
    assert!(place(&record, |step| matches!(step, Step::Program(ProgramStep::Tx { .. }))) < bare);
}

#[test]
fn the_port_that_carries_speaks_lacp_from_before_the_others_do_until_it_goes_down() {
    let (world, config) = plain();
    let attach = |on| {
        let config = AggregateConfig { mode: Mode::Hash, lacp: LacpConfig { on, ..config.lacp }, ..config.clone() };
        plan::attach(&world.host, &config, &OtherAggregates::default()).unwrap().0
    };
    let record = attach(true);
    let port = |link: &Subject| matches!(link, Subject::Port { name, .. } if name == "eth0");
    let speaks = |step: &Step| {
        let Step::OneWay(OneWayStep::SpeakLacp { link, mac, .. }) = step else { return false };
        port(link) && *mac == record.mac
    };
    let leaves = |step: &Step| matches!(step, Step::OneWay(OneWayStep::LeaveLacp { link }) if port(link));
    let up = |step: &Step| *step == Setting::Admin(Change::ON).of(Subject::Aggregate);
    let agrees = |step: &Step| matches!(step, Step::OneWay(OneWayStep::Await { what: Awaited::Partner, .. }));
    let moved = |step: &Step| matches!(step, Step::OneWay(OneWayStep::Announce { link: Subject::Aggregate }));
    let places = [place(&record, speaks), place(&record, up), place(&record, agrees), place(&record, moved)];
    let end = place(&record, leaves);
    assert!(places.is_sorted() && places[3] < end && end < place(&record, |step| enters(step, "eth0")));
    assert!(!steps(&attach(false)).into_iter().any(|step| speaks(step) || leaves(step)));
}

#[test]
fn the_device_is_of_the_mode_that_is_like_ours() {
    let (world, config) = plain();
    let device = |mode, lacp| {
        let lacp = LacpConfig { on: lacp, rate: LacpRate::Fast, ..LacpConfig::default() };
        let lacp = if lacp.on { lacp } else { LacpConfig::default() };
        let config = AggregateConfig { mode, lacp, ..config.clone() };
        let (record, _) = plan::attach(&world.host, &config, &OtherAggregates::default())?;
        let agrees = |step: &&Step| matches!(step, Step::OneWay(OneWayStep::Await { what: Awaited::Partner, .. }));
        let waits = steps(&record).into_iter().any(|step| agrees(&step));
        steps(&record)
            .into_iter()
            .find_map(|step| match step {
                Step::Link(LinkStep::Bond { bond, .. }) => Some(Ok((bond.mode, bond.lacp.rate, waits))),
                _ => None,
            })
            .unwrap()
    };
    for (mode, driver) in [
        (Mode::ActiveBackup, DriverMode::ActiveBackup),
        (Mode::Hash, DriverMode::Hash),
        (Mode::Random, DriverMode::Hash),
        (Mode::RoundRobin, DriverMode::RoundRobin),
    ] {
        assert_eq!(device(mode, false), Ok((driver, LacpRate::Slow, false)));
    }
    for mode in [Mode::Hash, Mode::Random] {
        assert_eq!(device(mode, true), Ok((DriverMode::Lacp, LacpRate::Fast, true)));
    }
    assert!(matches!(device(Mode::ActiveBackup, true), Err(Refusal::UnfitDriver(_))));
}

#[test]
fn a_host_that_would_be_cut_off_is_left_as_it_is() {
    let refused = |change: &dyn Fn(&mut ModelHost)| {
        let (mut world, config) = plain();
        change(&mut world);
        plan::attach(&world.host, &config, &OtherAggregates::default()).map(drop)
    };
    let link = |world: &mut ModelHost, carrier| {
        let index = world.index("eth1");
        world.host.links.get_mut(&index).unwrap().carrier = carrier;
    };
    assert_eq!(refused(&|world| link(world, true)), Ok(()));
    let no_other = NoBond::NoOtherLink { name: "agg0".into(), port: "eth0".into() };
    assert_eq!(refused(&|world| link(world, false)), Err(no_other.into()));
    let encrypts = |world: &mut ModelHost| {
        let index = world.index("eth1");
        let on = EthtoolFeature { on: true, fixed: false };
        world.host.links.get_mut(&index).unwrap().features.insert(TLS_OFFLOAD.to_owned(), on);
    };
    let keys = NoBond::KeysOnCard { name: "agg0".into(), port: "eth1".into(), feature: TLS_OFFLOAD };
    assert_eq!(refused(&encrypts), Err(keys.into()));
    let no_driver = NoBond::NoDriver { name: "agg0".into() };
    assert_eq!(refused(&|world| world.host.capabilities.bonding = false), Err(no_driver.into()));
}

#[test]
fn what_lacp_is_asked_for_without_it_is_refused() {
    let (world, config) = plain();
    let attach = |config: &AggregateConfig| plan::attach(&world.host, config, &OtherAggregates::default()).map(drop);
    let fast = LacpConfig { rate: LacpRate::Fast, ..LacpConfig::default() };
    let without = AggregateConfig { lacp: fast, ..config.clone() };
    assert_eq!(attach(&without), Err(NoBond::NoLacp { option: "lacp-rate" }.into()));
    let lacp = LacpConfig { on: true, ..LacpConfig::default() };
    let elsewhere = AggregateConfig { wiring: Wiring::Shared, mode: Mode::Hash, lacp, ..config };
    assert_eq!(attach(&elsewhere), Err(NoBond::LacpElsewhere { name: "agg0".into() }.into()));
}

#[test]
fn a_bond_that_others_delete_gives_back_what_was_last_seen() {
    let (before, config) = plain();
    let (mut record, _) = plan::attach(&before.host, &config, &OtherAggregates::default()).unwrap();
    let (mut world, end) = (before.clone(), record.journal.len());
    run(&mut world, &mut record, end);
    record.phase = Phase::Attached;
    record.last_seen = Layer3::of(&world.host, record.index);
    let lost = |route: &Route| route.links == [record.index];
    assert!(world.host.routes.iter().any(lost));
    world.release_all(record.index);
    world.delete_link(record.index);
    world.tx = false;
    plan::detach(&world.host, &record, false).unwrap().iter().for_each(|step| world.apply(step));
    assert_eq!(world.differences(&before), NONE);
    assert!(world.is_bare());
}
