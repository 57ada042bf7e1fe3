//! Wiring `over`: the sending program on the device of a kernel driver. Nothing else about the host changes, so plans
//! are short: maps and a program.

use std::collections::BTreeMap;

use aggctl_common::{IfIndex, PortId, ports::slots};

use crate::{
    bond::NoBond,
    config::{AggregateConfig, Device, Hook, Mode, PortConfig, Wiring},
    driver::{CRYPTO_FEATURES, DriverMode, TLS_OFFLOAD},
    host::{Host, Link},
    plan::{Change, OtherAggregates, ProgramStep, Refusal, Step, Warning, port::PlannedPort},
    record::{JournalEntry, PortRecord, Record},
};

/// What is wished for, with what the driver's device says where nothing was: `auto` is resolved, the device's members
/// are the ports, and unless a mode was chosen (`mode_is_chosen`) it is the one that the driver's is most like.
/// Settings of ports that are members stay.
///
/// # Errors
///
/// If `over` was asked for and the device is none of a driver's, or there is none and no port is named; or if we cannot
/// choose the port in its place.
pub fn complete(host: &Host, config: &mut AggregateConfig, mode_is_chosen: bool) -> Result<(), Refusal> {
    let device = host.link(&config.name);
    let driver = device.and_then(|device| device.driver);
    config.wiring = match (config.wiring, driver) {
        (Wiring::Auto, Some(_)) => Wiring::Over,
        (Wiring::Auto, None) => Wiring::Shared,
        (wiring, _) => wiring,
    };
    if config.wiring != Wiring::Over {
        return Ok(());
    }
    let name = || config.name.clone();
    let (device, driver) = match (device, driver) {
        (Some(device), Some(driver)) => (device, driver),
        // It is to be made of the ports.
        (None, _) if !config.ports.is_empty() => return Ok(()),
        _ => return Err(Refusal::NoDriver { name: name() }),
    };
    let members = members(host, device.index);
    if let Some(port) = config.ports.iter().find(|port| members.iter().all(|member| member.name != port.name)) {
        return Err(Refusal::NoMember { name: name(), port: port.name.clone() });
    }
    let setting = |member: &&Link| config.ports.iter().find(|port| port.name == member.name).cloned();
    config.ports =
        members.iter().map(|member| setting(member).unwrap_or_else(|| PortConfig::new(&member.name))).collect();
    if !mode_is_chosen {
        config.mode = driver.default_mode(&config.name)?;
    }
    Ok(())
}

/// Whether what runs is what is asked for, completed. The ports of a driver's device come and go without us, so in
/// wiring `over` only what was set for them counts.
#[must_use]
pub fn is_as_asked(runs: &AggregateConfig, asked: &AggregateConfig) -> bool {
    let settings = |config: &AggregateConfig| {
        let set = config.ports.iter().filter(|port| **port != PortConfig::new(&port.name)).cloned();
        let set = set.map(|port| (port.name.clone(), port)).collect::<BTreeMap<_, _>>();
        (AggregateConfig { ports: Vec::new(), ..config.clone() }, set)
    };
    runs == asked || runs.wiring == Wiring::Over && settings(runs) == settings(asked)
}

/// The members of a driver's device, in the order of their numbers.
#[must_use]
pub fn members(host: &Host, device: IfIndex) -> Vec<&Link> {
    host.links.values().filter(|link| link.master == Some(device)).collect()
}

/// Plans an attach, and says what the owner should know.
pub(super) fn attach(
    host: &Host,
    config: &AggregateConfig,
    hook: Hook,
    taken: &OtherAggregates,
) -> Result<(Record, Vec<Warning>), Refusal> {
    let name = || config.name.clone();
    taken.check_free(&config.name)?;
    let device = host.link(&config.name);
    let (Some(device), Some(driver)) = (device, device.and_then(|device| device.driver)) else {
        return Err(Refusal::NoDriver { name: name() });
    };
    driver.check(&config.name, config.mode)?;
    if config.lacp.on && driver.mode != DriverMode::Lacp {
        return Err(NoBond::LacpElsewhere { name: name() }.into());
    }
    if let Some(option) = config.lacp.special() {
        return Err(NoBond::NotOurs { name: name(), option }.into());
    }
    let mut ports = Vec::new();
    for (slot, wish) in (0..).zip(&config.ports) {
        let link = host.link(&wish.name).filter(|link| link.master == Some(device.index));
        let link = link.ok_or_else(|| Refusal::NoMember { name: name(), port: wish.name.clone() })?;
        if let Some(feature) = keys_on_cards(config.mode, device, link) {
            return Err(Refusal::KeysOnCards { name: name(), port: wish.name.clone(), feature });
        }
        ports.push(PlannedPort::new(host, PortId(slot), link).record(wish));
    }
    let steps = [ProgramStep::Maps { present: Change::ON }, program(hook, Change::ON)];
    let is_bypassed = !matches!(&*device.qdisc, "" | "noqueue" | "noop");
    let bypassed = Warning::QdiscBypassed { aggregate: name(), qdisc: device.qdisc.clone() };
    let record = Record {
        index: device.index,
        ports,
        journal: steps.into_iter().map(|step| JournalEntry::planned(step.into())).collect(),
        ..Record::begin(config.clone(), hook, device.mac)
    };
    Ok((record, is_bypassed.then_some(bypassed).into_iter().collect()))
}

/// The feature by which cards encrypt flows that this device and this member have switched on, if it does not go with
/// our choice of the port by this mode.
fn keys_on_cards(mode: Mode, device: &Link, member: &Link) -> Option<&'static str> {
    let is_on = |link: &Link, name| link.features.get(name).is_some_and(|feature| feature.on);
    let matters = |name: &&str| mode.shares() || *name == TLS_OFFLOAD;
    CRYPTO_FEATURES.into_iter().filter(matters).find(|name| is_on(device, *name) && is_on(member, *name))
}

/// Plans a detach: the driver goes on by itself.
pub(super) fn detach(record: &Record) -> Vec<Step> {
    vec![program(record.hook, Change::OFF).into(), ProgramStep::Maps { present: Change::OFF }.into()]
}

fn program(hook: Hook, attached: Change<bool>) -> ProgramStep {
    ProgramStep::Tx { device: Device::Auto, hook, attached }
}

/// What became of the members since the record was written: those that are ports by now, with slots of their own, and
/// the slots of those that are none any more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberChanges {
    /// New ports.
    pub joined: Vec<PortRecord>,
    /// Slots of former ones.
    pub left: Vec<PortId>,
}

/// Compares the members with the ports of the record. Members beyond the most ports that an aggregate can have are left
/// to the driver. Nothing changes if the device is gone.
#[must_use]
pub fn follow(host: &Host, record: &Record) -> MemberChanges {
    if !host.links.contains_key(&record.index) {
        return MemberChanges::default(); // all of it ends, and members of a device that we made are to be given back
    }
    let members = members(host, record.index);
    let port_of = |member: &Link| record.ports.iter().find(|port| port.index == Some(member.index));
    let is_member = |port: &&PortRecord| members.iter().any(|member| port.index == Some(member.index));
    let left: Vec<_> = record.ports.iter().filter(|port| !is_member(port)).map(|port| port.id).collect();
    let taken = |slot: &PortId| record.ports.iter().any(|port| port.id == *slot && !left.contains(slot));
    let mut free = slots().filter(|slot| !taken(slot));
    let new = members.iter().filter(|member| port_of(member).is_none());
    let joined = new
        .map_while(|member| Some(PlannedPort::new(host, free.next()?, member).record(&PortConfig::new(&member.name))));
    let joined = joined.collect();
    MemberChanges { joined, left }
}
