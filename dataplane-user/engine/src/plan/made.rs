//! Wiring `over` without a device of the driver's: a bonding device is made, and the host moves onto it.
//!
//! A port must go down to become the device's. So one that carries nothing does first, and only when the driver sends
//! and receives by it everything moves from the others to the device.

use aggctl_common::PortId;

use crate::{
    bond::{BondSettings, NoBond, driver_mode},
    config::{Addresses, AggregateConfig, Device, Hook},
    driver::{DriverKind, DriverState, TLS_OFFLOAD},
    host::{Host, Link},
    plan::{
        Awaited, Change, LinkStep, OneWayStep, OtherAggregates, ProgramStep, Refusal, Setting, Step, Subject, Warning,
        candidate,
        join::Joining,
        port::PlannedPort,
        port_settings,
        shares::Recipient,
        source::{generate_addresses, inherit, moves_link_local, source},
        wiring,
    },
    record::{JournalEntry, Record},
};

/// Plans an attach.
pub(super) fn attach(
    host: &Host,
    config: &AggregateConfig,
    hook: Hook,
    taken: &OtherAggregates,
) -> Result<(Record, Vec<Warning>), Refusal> {
    let name = || config.name.clone();
    taken.check_free(&config.name)?;
    if !host.capabilities.bonding {
        return Err(NoBond::NoDriver { name: name() }.into());
    }
    let driver = DriverState { kind: DriverKind::Bonding, mode: driver_mode(config), active: None };
    driver.check(&config.name, config.mode)?;
    let mut ports = Vec::new();
    for (slot, wish) in (0..).zip(&config.ports) {
        let link = host.link(&wish.name).ok_or_else(|| Refusal::PortMissing { port: wish.name.clone() })?;
        candidate::check(host, link, taken)?;
        // bonding takes no other keys to cards in modes in which several ports carry traffic.
        if link.features.get(TLS_OFFLOAD).is_some_and(|feature| feature.on) {
            let port = wish.name.clone();
            return Err(NoBond::KeysOnCard { name: name(), port, feature: TLS_OFFLOAD }.into());
        }
        let port = PlannedPort::new(host, PortId(slot), link);
        if config.addresses == Addresses::None {
            candidate::check_bare(&port)?;
        }
        ports.push(port);
    }
    candidate::check_multipath(&ports)?;
    let source = source(&ports)?;
    ports.iter().try_for_each(|port| candidate::check_mtu(port.link, source.link))?;
    let plan = MakingPlan { host, config, hook, ports: &ports, source };
    plan.check_reachable()?;
    let warnings = ports.iter().flat_map(|port| plan.joining().warnings(port)).collect();
    let record = Record {
        made: true,
        ports: ports.iter().zip(&config.ports).map(|(port, wish)| port.record(wish)).collect(),
        journal: plan.steps().into_iter().map(JournalEntry::planned).collect(),
        ..Record::begin(config.clone(), hook, source.link.mac)
    };
    Ok((record, warnings))
}

/// The bonding device of this aggregate, which is `link`.
pub(super) fn device(record: &Record, link: &Link, present: Change<bool>) -> Step {
    LinkStep::Bond { bond: BondSettings::new(&record.config, link.mac, link.mtu), present }.into()
}

/// Makes a member a port of none again, which is as it was before but for what is above the link. It is waited for
/// until it has a link again.
pub(super) fn leave(share: &Recipient<'_>) -> Vec<Step> {
    let (link, up) = (share.subject(), share.port.before.admin_up);
    let mut steps = vec![LinkStep::Member { link: link.clone(), member: Change::OFF }.into()];
    steps.extend(up.then(|| Setting::Admin(Change::ON).of(link.clone())));
    let waits = up && share.link.has_link() && share.is_target();
    steps.extend(waits.then_some(OneWayStep::Await { link, what: Awaited::Link }.into()));
    steps
}

/// An attach that was found possible.
struct MakingPlan<'a> {
    host: &'a Host,
    config: &'a AggregateConfig,
    hook: Hook,
    ports: &'a [PlannedPort<'a>],
    source: &'a PlannedPort<'a>,
}

impl<'a> MakingPlan<'a> {
    fn joining(&self) -> Joining<'_> {
        Joining { host: self.host, config: self.config, hook: self.hook, aggregate: self.source.link }
    }

    /// Those that carry what moves, or the others.
    fn ports(&self, carries: bool) -> impl Iterator<Item = &'a PlannedPort<'a>> {
        self.ports.iter().filter(move |port| port.carries() == carries)
    }

    /// The port that the host may be reached by now, if there is one.
    fn carrier(&self) -> Option<&'a PlannedPort<'a>> {
        self.ports(true).find(|port| port.link.has_link())
    }

    /// While a port that carries addresses is down, another one has a link.
    fn check_reachable(&self) -> Result<(), NoBond> {
        match self.carrier() {
            Some(port) if !self.ports(false).any(|port| port.link.has_link()) => {
                Err(NoBond::NoOtherLink { name: self.config.name.clone(), port: port.link.name.clone() })
            }
            _ => Ok(()),
        }
    }

    /// All steps, in the order that loses nothing: what can fail comes before anything is moved.
    fn steps(&self) -> Vec<Step> {
        let managed = self.ports.iter().map(PlannedPort::subject);
        let mut steps =
            managed.map(|link| LinkStep::Managed { link, managed: Change::OFF }.into()).collect::<Vec<Step>>();
        let link = self.source.link;
        let bond = BondSettings::new(self.config, link.mac, link.mtu);
        steps.push(LinkStep::Bond { bond, present: Change::ON }.into());
        steps.extend(inherit(link));
        let moves_link_local = moves_link_local(self.ports);
        steps.extend(generate_addresses(link).filter(|_| !moves_link_local));
        steps.push(ProgramStep::Maps { present: Change::ON }.into());
        // Until a controller is at work it leaves the choice to the driver.
        steps.extend(wiring::programs(self.config.wiring, Device::Auto, self.hook));
        let known = self.ports.iter().filter(|port| port.has_addresses() && port.link.has_link());
        steps.extend(known.map(|port| OneWayStep::Announce { link: port.subject() }.into()));
        for port in self.ports(false) {
            steps.extend(port.strip(self.host));
            steps.extend(enter(port));
        }
        let speaks = self.carrier().filter(|_| self.config.lacp.on).map(PlannedPort::subject);
        let (mac, system_priority) = (link.mac, self.config.lacp.system_priority);
        steps.extend(speaks.clone().map(|link| OneWayStep::SpeakLacp { link, mac, system_priority }.into()));
        // Not before it has a member: the driver would wait for 8 s until it agrees with a partner.
        steps.push(Setting::Admin(Change::ON).of(Subject::Aggregate));
        let what = if self.config.lacp.on { Awaited::Partner } else { Awaited::Member };
        steps.extend(self.carrier().map(|_| OneWayStep::Await { link: Subject::Aggregate, what }.into()));
        let mut given = Vec::new();
        for port in self.ports(true) {
            steps.extend(self.joining().move_layer3(port, &mut given, Vec::new()));
            // The neighbours and the switch look for it there before the way by which it came is closed.
            let announced = port.has_addresses() && self.carrier().is_some();
            steps.extend(announced.then(|| OneWayStep::Announce { link: Subject::Aggregate }.into()));
            let leaves = speaks.clone().filter(|link| *link == port.subject());
            steps.extend(leaves.map(|link| OneWayStep::LeaveLacp { link }.into()));
            steps.extend(enter(port));
            steps.extend(port_settings::tighten(port.link).map(|setting| setting.of(port.subject())));
            let waits = port.link.has_link();
            steps.extend(waits.then(|| OneWayStep::Await { link: port.subject(), what: Awaited::Link }.into()));
        }
        steps.extend(generate_addresses(link).filter(|_| moves_link_local));
        let moved = self.ports(true).next().is_some();
        let strict = port_settings::tighten(link).filter(|_| moved);
        steps.extend(strict.map(|setting| setting.of(Subject::Aggregate)));
        steps
    }
}

/// Makes a member of a port that has nothing above the link any more.
fn enter(port: &PlannedPort<'_>) -> Vec<Step> {
    let down = Change::between(port.link.admin_up, false).map(|change| Setting::Admin(change).of(port.subject()));
    let member = LinkStep::Member { link: port.subject(), member: Change::ON }.into();
    down.into_iter().chain([member]).collect()
}
