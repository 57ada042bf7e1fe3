//! Ports that drop early.

use aggctl_common::PortId;
use aggctl_engine::{
    config::{PortConfig, Xdp, XdpMode},
    host::{Link, XdpProgram, XdpState},
    plan::{self, Change, OtherAggregates, ProgramStep, Step, Warning},
    record::{Phase, Record},
};

use crate::{hosts, model::ModelHost, promises::run};

const CARD: XdpState = XdpState { program: None, native: Some(true), joins: false };

/// The plain host, whose aggregate drops early.
fn attached() -> (ModelHost, Record) {
    let (mut world, mut config) = hosts::plain();
    config.xdp = Xdp::Generic;
    let (mut record, _) = plan::attach(&world.host, &config, &OtherAggregates::default()).unwrap();
    let end = record.journal.len();
    run(&mut world, &mut record, end);
    record.phase = Phase::Attached;
    (world, record)
}

fn link(kind: &str, xdp: XdpState) -> Link {
    Link { name: "eth0".into(), kind: kind.into(), xdp, ..Link::default() }
}

#[test]
fn the_driver_is_taken_where_it_can_and_nothing_is_lost() {
    let silent = XdpState { native: None, ..CARD };
    let old = XdpState { native: Some(false), ..CARD };
    let joins = XdpState { joins: true, ..CARD };
    let (native, generic) = (Some(XdpMode::Native), Some(XdpMode::Generic));
    for (kind, xdp, auto, wished) in [
        ("", CARD, native, Ok(native)),
        ("", joins, None, Ok(native)),
        ("", silent, None, Ok(native)),
        ("", old, None, Err(())),
        ("veth", CARD, None, Ok(native)),
        ("tun", CARD, None, Ok(native)),
    ] {
        let link = link(kind, xdp);
        let mode = |wish| plan::early_mode(wish, &link, false);
        assert_eq!(mode(Xdp::Auto), Ok(auto), "{link:?}");
        assert_eq!(mode(Xdp::Native).map_err(drop), wished, "{link:?}");
        assert_eq!((mode(Xdp::Off), mode(Xdp::Generic)), (Ok(None), Ok(generic)), "{link:?}");
    }
}

#[test]
fn a_program_of_somebody_else_stays_and_ours_is_no_hindrance() {
    let program = Some(XdpProgram { id: 7, name: "stranger".into() });
    let link = link("", XdpState { program, ..CARD });
    for wish in [Xdp::Native, Xdp::Generic, Xdp::Auto] {
        assert!(plan::early_mode(wish, &link, false).is_err(), "{wish:?}");
        assert!(plan::early_mode(wish, &link, true).is_ok(), "{wish:?}: it is ours");
    }
    assert_eq!(plan::early_mode(Xdp::Off, &link, false), Ok(None));
}

#[test]
fn a_veth_that_runs_the_program_itself_is_warned_of() {
    let veth = link("veth", CARD);
    let warning = Warning::NativeOnVeth { port: "eth0".into() };
    assert_eq!(plan::early_warning(Some(XdpMode::Native), &veth), Some(warning));
    assert_eq!(plan::early_warning(Some(XdpMode::Generic), &veth), None);
    assert_eq!(plan::early_warning(Some(XdpMode::Native), &link("", CARD)), None);
}

#[test]
fn all_ports_drop_early_from_attach_to_detach() {
    let (mut world, mut record) = attached();
    let ports = ["eth0", "eth1"].map(|name| world.index(name));
    assert!(world.xdp == ports.into() && record.ports.iter().all(|port| port.xdp == Some(XdpMode::Generic)));
    record.phase = Phase::Detaching;
    plan::detach(&world.host, &record, true).unwrap().iter().for_each(|step| world.apply(step));
    assert!(world.is_bare());
}

#[test]
fn a_port_that_is_added_drops_early_until_it_is_removed() {
    let (mut world, mut record) = attached();
    let index = hosts::add_link(&mut world, 60, "eth5");
    let (port, steps, _) =
        plan::add_port(&world.host, &record, &PortConfig::new("eth5"), &OtherAggregates::default()).unwrap();
    steps.iter().for_each(|step| world.apply(step));
    assert!(world.xdp.contains(&index) && port.xdp.is_some());
    record.config.ports.push(port.config.clone());
    record.ports.push(port);
    let (steps, _) = plan::remove_port(&world.host, &record, PortId(2)).unwrap();
    steps.iter().for_each(|step| world.apply(step));
    assert!(!world.xdp.contains(&index) && !world.rx.contains(&index));
}

#[test]
fn a_port_that_returns_is_a_port_first_and_drops_early_then() {
    let (mut world, mut record) = attached();
    let gone = world.index("eth1");
    world.delete_link(gone);
    let index = hosts::add_link(&mut world, 70, "eth1");
    record.ports[1].index = None;
    assert_eq!(plan::early(&record.ports[1]), None, "nowhere");
    plan::repair(&world.host, &record).iter().for_each(|step| world.apply(step));
    assert!(world.rx.contains(&index) && !world.xdp.contains(&index));
    record.ports[1].index = Some(index);
    world.apply(&plan::early(&record.ports[1]).unwrap());
    assert!(world.xdp.contains(&index));
    record.ports[1].xdp = None;
    let off = plan::early(&record.ports[1]).unwrap();
    assert!(matches!(&off, Step::Program(ProgramStep::Xdp { attached: Change::OFF, .. })), "{off:?}");
    world.apply(&off);
    assert!(!world.xdp.contains(&index));
}
