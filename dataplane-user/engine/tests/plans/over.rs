//! Wiring `over`: plans about a bonding device that is there.

use aggctl_common::{IfIndex, PortId};
use aggctl_engine::{
    config::{AggregateConfig, Mode, PortConfig, Wiring, Xdp},
    driver::{DriverKind, DriverMembership, DriverMode, DriverState},
    host::{Address, Capabilities, EthtoolFeature, Host, Link},
    options::differences,
    plan::{self, Change, OtherAggregates, ProgramStep, Refusal, Step, Warning},
    record::{Layer3, Phase},
    vlan::VlanConfig,
};

use crate::wire::address;

const BOND: IfIndex = IfIndex(9);

/// A host with a bond of `eth1` to `eth3`, by their numbers, and `eth4`, which is in none.
fn host(mode: DriverMode) -> Host {
    let mut host = Host { capabilities: Capabilities { tcx: true, netkit: true, bonding: true }, ..Host::default() };
    for index in (1..=4).map(IfIndex) {
        let name = format!("eth{index}");
        let member = index.0 < 4;
        let membership = member.then_some(DriverMembership { link: true, in_use: true });
        let link = Link { index, name, ethernet: true, master: member.then_some(BOND), membership, ..Link::default() };
        host.links.insert(index, link);
    }
    let driver = Some(DriverState { kind: DriverKind::Bonding, mode, active: None });
    let bond =
        Link { index: BOND, name: "bond0".into(), ethernet: true, kind: "bond".into(), driver, ..Link::default() };
    host.links.insert(BOND, bond);
    host
}

fn wish(host: &Host, change: impl FnOnce(&mut AggregateConfig)) -> Result<AggregateConfig, Refusal> {
    let mut config = AggregateConfig::new("bond0", Vec::new());
    change(&mut config);
    plan::complete(host, &mut config, false).map(|()| config)
}

fn names(config: &AggregateConfig) -> Vec<&str> {
    config.ports.iter().map(|port| port.name.as_str()).collect()
}

#[test]
fn a_bond_says_its_ports_and_the_mode() {
    for (driver, mode) in [
        (DriverMode::Lacp, Mode::Hash),
        (DriverMode::Hash, Mode::Hash),
        (DriverMode::RoundRobin, Mode::RoundRobin),
        (DriverMode::ActiveBackup, Mode::ActiveBackup),
    ] {
        let config = wish(&host(driver), |_| ()).unwrap();
        assert_eq!((config.wiring, config.mode, names(&config)), (Wiring::Over, mode, vec!["eth1", "eth2", "eth3"]));
    }
    let weighted = PortConfig { weight: 3, ..PortConfig::new("eth2") };
    let config = wish(&host(DriverMode::Hash), |config| config.ports.push(weighted)).unwrap();
    assert_eq!(config.ports.iter().map(|port| port.weight).collect::<Vec<_>>(), [1, 3, 1]);
    let stranger = wish(&host(DriverMode::Hash), |config| config.ports.push(PortConfig::new("eth4")));
    assert!(matches!(stranger, Err(Refusal::NoMember { .. })), "{stranger:?}");
}

#[test]
fn ports_that_came_or_went_since_are_no_other_wish() {
    let mut host = host(DriverMode::Hash);
    let runs = wish(&host, |config| config.ports.push(PortConfig { weight: 3, ..PortConfig::new("eth2") })).unwrap();
    host.links.remove(&IfIndex(1));
    host.links.get_mut(&IfIndex(4)).unwrap().master = Some(BOND);
    let asked = |weight| wish(&host, |config| config.ports.push(PortConfig { weight, ..PortConfig::new("eth2") }));
    let same = asked(3).unwrap();
    assert!(plan::is_as_asked(&runs, &same));
    assert_eq!(differences(&runs, &same), []);
    let other = asked(2).unwrap();
    assert!(!plan::is_as_asked(&runs, &other));
    assert_eq!(differences(&runs, &other).len(), 1);
    assert!(!plan::is_as_asked(&runs, &AggregateConfig { mode: Mode::Random, ..same }));
}

#[test]
fn a_bond_without_ports_is_warned_of() {
    assert_eq!(plan::without_link("bond0", &[], &[]), [Warning::NoPort { aggregate: "bond0".into() }]);
}

#[test]
fn what_is_no_bond_is_a_device_of_our_own() {
    let host = host(DriverMode::Hash);
    let config = wish(&host, |config| config.name = "agg0".into()).unwrap();
    assert_eq!((config.wiring, config.mode), (Wiring::Shared, Mode::ActiveBackup));
    let asked = |wiring| wish(&host, |config| (config.name, config.wiring) = ("agg0".into(), wiring));
    assert_eq!(asked(Wiring::Direct).unwrap().wiring, Wiring::Direct);
    assert!(matches!(asked(Wiring::Over), Err(Refusal::NoDriver { .. })));
}

#[test]
fn nothing_but_programs_and_maps_comes_and_goes() {
    let host = host(DriverMode::Lacp);
    let config = wish(&host, |_| ()).unwrap();
    let (mut record, warnings) = plan::attach(&host, &config, &OtherAggregates::default()).unwrap();
    assert_eq!((record.index, record.peer_index, warnings.len()), (BOND, IfIndex::NONE, 0));
    let steps: Vec<_> = record.journal.iter().map(|entry| entry.step.clone()).collect();
    assert!(matches!(
        steps[..],
        [
            Step::Program(ProgramStep::Maps { present: Change { to: true, .. } }),
            Step::Program(ProgramStep::Tx { attached: Change { to: true, .. }, .. })
        ]
    ));
    let undone: Vec<_> = steps.iter().rev().map(|step| step.inverse().unwrap()).collect();
    record.phase = Phase::Attached;
    assert_eq!(plan::detach(&host, &record, false).unwrap(), undone);
    assert_eq!(plan::gather(&host, &record), []);
    assert_eq!(plan::repair(&host, &record), [plan::sender(&record)]);
    assert!(record.ports.iter().all(|port| plan::receiver(&record, port).is_none()));
}

#[test]
fn a_bond_whose_cards_have_the_keys_of_flows_is_refused() {
    const ON: EthtoolFeature = EthtoolFeature { on: true, fixed: false };
    for (driver, feature, refused) in [
        (DriverMode::Lacp, "tls-hw-tx-offload", true),
        (DriverMode::ActiveBackup, "tls-hw-tx-offload", true),
        (DriverMode::Hash, "esp-hw-offload", true),
        (DriverMode::Hash, "esp-tx-csum-hw-offload", true),
        (DriverMode::ActiveBackup, "esp-hw-offload", false),
    ] {
        let mut host = host(driver);
        let config = wish(&host, |_| ()).unwrap();
        let attach = |host: &Host| plan::attach(host, &config, &OtherAggregates::default()).map(drop);
        host.links.get_mut(&BOND).unwrap().features.insert(feature.into(), ON);
        assert_eq!(attach(&host), Ok(()), "no card has {feature}");
        host.links.get_mut(&IfIndex(2)).unwrap().features.insert(feature.into(), ON);
        assert_eq!(matches!(attach(&host), Err(Refusal::KeysOnCards { .. })), refused, "{driver:?} {feature}");
    }
}

#[test]
fn a_queueing_discipline_that_is_bypassed_is_warned_of() {
    let mut host = host(DriverMode::Hash);
    let config = wish(&host, |_| ()).unwrap();
    for (qdisc, count) in [("noqueue", 0), ("tbf", 1)] {
        host.links.get_mut(&BOND).unwrap().qdisc = qdisc.into();
        let (_, warnings) = plan::attach(&host, &config, &OtherAggregates::default()).unwrap();
        assert_eq!(warnings.len(), count, "{warnings:?}");
    }
}

#[test]
fn an_attach_that_is_undone_takes_nothing_from_the_device() {
    let mut host = host(DriverMode::Lacp);
    host.addresses.push(Address { link: BOND, ..address([10, 0, 0, 1].into(), 24) });
    let config = wish(&host, |_| ()).unwrap();
    let (record, _) = plan::attach(&host, &config, &OtherAggregates::default()).unwrap();
    let what = Layer3::of(&host, BOND);
    assert_ne!(what, Layer3::default());
    assert_eq!(plan::hand_back(&host, &record, BOND, &what), []);
    assert_eq!(plan::restore_arrivals(&host, &record, &record.ports, |_| what.clone()), []);
}

#[test]
fn members_that_come_and_go_are_seen_and_slots_are_used_again() {
    let mut host = host(DriverMode::Hash);
    let config = wish(&host, |_| ()).unwrap();
    let (record, _) = plan::attach(&host, &config, &OtherAggregates::default()).unwrap();
    assert_eq!(plan::follow(&host, &record), plan::MemberChanges::default());
    host.links.remove(&IfIndex(2));
    host.links.get_mut(&IfIndex(4)).unwrap().master = Some(BOND);
    let changes = plan::follow(&host, &record);
    assert_eq!(changes.left, [PortId(1)]);
    let joined: Vec<_> = changes.joined.iter().map(|port| (port.id, port.config.name.as_str(), port.index)).collect();
    assert_eq!(joined, [(PortId(1), "eth4", Some(IfIndex(4)))]);
    host.links.remove(&BOND);
    host.links.values_mut().for_each(|link| link.master = None);
    assert_eq!(plan::follow(&host, &record), plan::MemberChanges::default());
}

#[test]
fn what_is_the_drivers_is_refused() {
    let host = host(DriverMode::Hash);
    let config = wish(&host, |_| ()).unwrap();
    let attach = |change: &dyn Fn(&mut AggregateConfig)| {
        let mut config = config.clone();
        change(&mut config);
        plan::attach(&host, &config, &OtherAggregates::default()).map(drop)
    };
    assert_eq!(attach(&|_| ()), Ok(()));
    assert!(matches!(attach(&|config| config.min_ports = 2), Err(Refusal::NotOver { .. })));
    let vlan: VlanConfig = "access=5".parse().unwrap();
    assert!(matches!(attach(&|config| config.vlan = vlan.clone()), Err(Refusal::NotOver { .. })));
    assert!(matches!(attach(&|config| config.xdp = Xdp::Generic), Err(Refusal::NotOver { .. })));
    assert!(matches!(attach(&|config| config.mode = Mode::ActiveBackup), Err(Refusal::UnfitDriver(_))));
    let (record, _) = plan::attach(&host, &config, &OtherAggregates::default()).unwrap();
    let added = plan::add_port(&host, &record, &PortConfig::new("eth4"), &OtherAggregates::default());
    assert!(matches!(added, Err(Refusal::PortsOfDriver { .. })));
    assert!(matches!(plan::remove_port(&host, &record, PortId(0)), Err(Refusal::PortsOfDriver { .. })));
}
