//! Attach: from ports with addresses of their own to an aggregate that has them.

use aggctl_common::PortId;

use crate::{
    bond::NoBond,
    config::{Addresses, AggregateConfig, Device, Hook, Wiring},
    host::{DISABLE_IPV6, Host, Link},
    names,
    plan::{
        Change, LinkStep, OneWayStep, OtherAggregates, PairSettings, ProgramStep, Refusal, Setting, Step, Subject,
        Warning, candidate,
        join::Joining,
        made, over,
        port::PlannedPort,
        port_settings,
        source::{generate_addresses, inherit, moves_link_local, source},
        validate, wiring,
    },
    record::{JournalEntry, Record},
};

/// Plans an attach. The record is that of an [attach that begins](Record::begin): nothing of its journal has begun.
///
/// # Errors
///
/// If the wish is not valid, the ports cannot be used, or the host would be cut off.
pub fn attach(
    host: &Host,
    config: &AggregateConfig,
    taken: &OtherAggregates,
) -> Result<(Record, Vec<Warning>), Refusal> {
    validate(config)?;
    let (record, mut warnings) = planned(host, config, taken)?;
    warnings.extend(Warning::of_primary(config));
    Ok((record, warnings))
}

/// Plans to attach what is valid in itself.
fn planned(host: &Host, config: &AggregateConfig, taken: &OtherAggregates) -> Result<(Record, Vec<Warning>), Refusal> {
    if config.wiring == Wiring::Over {
        let (hook, is_there) = (resolve(host, config.hook)?, host.link(&config.name).is_some());
        let plan = if is_there { over::attach } else { made::attach };
        return plan(host, config, hook, taken);
    }
    if config.lacp.on {
        return Err(NoBond::LacpElsewhere { name: config.name.clone() }.into());
    }
    let peer = free_names(host, config, taken)?;
    let device = resolve_device(host, config.device)?;
    let hook = resolve(host, config.hook)?;
    let mut ports = Vec::new();
    for (slot, wish) in (0..).zip(&config.ports) {
        let link = host.link(&wish.name).ok_or_else(|| Refusal::PortMissing { port: wish.name.clone() })?;
        candidate::check(host, link, taken)?;
        candidate::check_ingress(link)?;
        let port = PlannedPort::new(host, PortId(slot), link).dropping(config.xdp)?;
        if config.addresses == Addresses::None {
            candidate::check_bare(&port)?;
        }
        ports.push(port);
    }
    candidate::check_multipath(&ports)?;
    if let Some(port) = ports.iter().find(|port| port.carries() && port.link.has_link()) {
        let links = ports.iter().filter(|port| port.link.has_link()).count();
        candidate::check_reachable(config, port, links)?;
    }
    let source = source(&ports)?;
    ports.iter().try_for_each(|port| candidate::check_mtu(port.link, source.link))?;
    let plan = AttachPlan { host, config, device, hook, ports: &ports, source };
    let record = Record {
        device,
        ports: ports.iter().zip(&config.ports).map(|(port, wish)| port.record(wish)).collect(),
        journal: plan.steps(&peer).into_iter().map(JournalEntry::planned).collect(),
        peer,
        ..Record::begin(config.clone(), hook, source.link.mac)
    };
    Ok((record, plan.warnings()))
}

/// The steps to undo, in this order, when an attach did not come to its end: what was begun, backwards, but for what
/// nothing takes back.
pub fn rollback(record: &Record) -> impl Iterator<Item = &Step> {
    let begun = record.journal.iter().rev().filter(|entry| entry.begun).map(|entry| &entry.step);
    begun.filter(|step| !matches!(step, Step::OneWay(_)))
}

/// The name of the peer, if both names are free.
fn free_names(host: &Host, config: &AggregateConfig, taken: &OtherAggregates) -> Result<String, Refusal> {
    taken.check_free(&config.name)?;
    let name = config.name.clone();
    if host.link(&name).is_some() {
        return Err(Refusal::NameTaken { name, by: "an interface" });
    }
    let peer = names::peer_name(&name);
    if host.link(&peer).is_some() || taken.names.contains(&peer) {
        return Err(Refusal::PeerNameTaken { name, peer });
    }
    Ok(peer)
}

/// The device that is meant on this kernel.
fn resolve_device(host: &Host, device: Device) -> Result<Device, Refusal> {
    match (device, host.capabilities.netkit) {
        (Device::Auto | Device::Netkit, true) => Ok(Device::Netkit),
        (Device::Netkit, false) => Err(Refusal::NoNetkit),
        (Device::Auto, false) | (Device::Veth, _) => Ok(Device::Veth),
    }
}

/// The hook that is meant on this kernel.
fn resolve(host: &Host, hook: Hook) -> Result<Hook, Refusal> {
    match (hook, host.capabilities.tcx) {
        (Hook::Auto | Hook::Tcx, true) => Ok(Hook::Tcx),
        (Hook::Tcx, false) => Err(Refusal::NoTcx),
        (Hook::Auto, false) | (Hook::Clsact, _) => Ok(Hook::Clsact),
    }
}

/// An attach that was found possible.
struct AttachPlan<'a> {
    host: &'a Host,
    config: &'a AggregateConfig,
    device: Device,
    hook: Hook,
    ports: &'a [PlannedPort<'a>],
    source: &'a PlannedPort<'a>,
}

impl AttachPlan<'_> {
    /// All steps, in the order that loses nothing (order G of the measurements).
    fn steps(&self, peer: &str) -> Vec<Step> {
        let (mut steps, joining) = (self.device(peer), self.joining());
        // A host answers questions for an IPv4 address on every interface that receives them (arp_ignore 0), so
        // neighbours may know the addresses by the MAC of a port that is about to lose it.
        let known = self.ports.iter().filter(|port| port.has_addresses() && port.link.has_link());
        steps.extend(known.map(|port| OneWayStep::Announce { link: port.subject() }.into()));
        for port in self.ports.iter().filter(|port| !port.carries()) {
            steps.extend(joining.bare(port));
        }
        steps.extend(self.start());
        let moved = self.ports.iter().filter(|port| port.carries()).collect::<Vec<_>>();
        let mut given = Vec::new();
        for port in &moved {
            steps.extend(joining.with_addresses(port, &mut given));
        }
        steps.extend(generate_addresses(self.source.link).filter(|_| moves_link_local(self.ports)));
        let strict = port_settings::tighten(self.source.link).filter(|_| !moved.is_empty());
        steps.extend(strict.map(|setting| setting.of(Subject::Aggregate)));
        // Once more, from the aggregate: whoever asked meanwhile may have been answered by two ports.
        let announced = self.first_active().is_some_and(PlannedPort::has_addresses) && self.has_carrier();
        steps.extend(announced.then(|| OneWayStep::Announce { link: Subject::Aggregate }.into()));
        steps
    }

    fn joining(&self) -> Joining<'_> {
        Joining { host: self.host, config: self.config, hook: self.hook, aggregate: self.source.link }
    }

    /// Whether the aggregate has carrier from the start.
    fn has_carrier(&self) -> bool {
        self.ports.iter().filter(|port| port.link.has_link()).count() >= usize::from(self.config.min_ports)
    }

    /// The pair and its maps, after network managers were told to leave ports and peer alone. The aggregate
    /// inherits the settings of the port whose place it takes.
    fn device(&self, peer: &str) -> Vec<Step> {
        let link = self.source.link;
        let least = |limit: fn(&Link) -> u32| self.ports.iter().map(|port| limit(port.link)).min().unwrap_or_default();
        let ours = self.ports.iter().map(PlannedPort::subject).chain([Subject::Peer]);
        let mut steps = ours.map(|link| LinkStep::Managed { link, managed: Change::OFF }.into()).collect::<Vec<Step>>();
        steps.extend(wiring::namespace(self.config.wiring));
        let pair = PairSettings {
            device: self.device,
            name: self.config.name.clone(),
            peer: peer.to_owned(),
            mac: link.mac,
            mtu: link.mtu,
            gso_max_size: least(|link| link.gso_max_size),
            gso_max_segs: least(|link| link.gso_max_segs),
        };
        steps.push(LinkStep::Pair { pair, present: Change::ON }.into());
        if self.host.links.values().any(|link| link.sysctls.contains_key(DISABLE_IPV6)) {
            steps.push(port_settings::sysctl_change(DISABLE_IPV6, "0", "1").of(Subject::Peer));
        }
        steps.extend(inherit(link));
        steps.extend(generate_addresses(link).filter(|_| !moves_link_local(self.ports)));
        steps.push(ProgramStep::Maps { present: Change::ON }.into());
        steps
    }

    /// The sending side, with the port that carries the addresses as the active one.
    fn start(&self) -> Vec<Step> {
        let mut steps = wiring::programs(self.config.wiring, self.device, self.hook);
        steps.extend(self.first_active().map(|port| OneWayStep::Select { link: port.subject() }.into()));
        steps.push(Setting::Admin(Change::ON).of(Subject::Aggregate));
        if self.has_carrier() {
            steps.push(Setting::Admin(Change::ON).of(Subject::Peer));
        }
        steps
    }

    /// The port that carried the addresses, if it has a link; else the best that has one. A preferred one takes over
    /// later, when everything has moved.
    fn first_active(&self) -> Option<&PlannedPort<'_>> {
        let enabled = |port: &PlannedPort<'_>| self.config.ports[port.id.index()].enabled;
        let linked = || self.ports.iter().filter(|port| port.link.has_link() && enabled(port));
        let addressed = linked().find(|port| port.has_addresses()).or_else(|| linked().find(|port| port.carries()));
        let rank = |port: &&PlannedPort<'_>| {
            let wish = &self.config.ports[port.id.index()];
            (self.config.primary.as_ref() == Some(&wish.name), wish.priority, std::cmp::Reverse(port.id))
        };
        addressed.or_else(|| linked().max_by_key(rank))
    }

    fn warnings(&self) -> Vec<Warning> {
        let mut warnings = Vec::new();
        if self.source.link.sysctls.get(DISABLE_IPV6).is_some_and(|value| value == "1") {
            warnings.push(Warning::NoIpv6 { port: self.source.link.name.clone() });
        }
        for port in self.ports {
            warnings.extend(self.joining().warnings(port));
        }
        warnings
    }
}
