//! Adding a port to a running aggregate, and removing one.

use aggctl_common::{PortId, ports::slots};

use crate::{
    config::{Addresses, PortConfig},
    host::{Address, DISABLE_IPV6, Host, Link, RP_FILTER},
    plan::{
        Change, Layer3Step, LinkStep, OtherAggregates, ProgramStep, Refusal, Setting, Step, Subject, Warning,
        candidate, early,
        join::Joining,
        layer3,
        port::{self, PlannedPort},
        port_settings,
        validate::check_port,
    },
    record::{PortRecord, Record},
};

/// Plans to add a port. Its addresses and routes move to the aggregate, as on attach.
///
/// # Errors
///
/// If the interface cannot be a port, or the host would be cut off.
pub fn add_port(
    host: &Host,
    record: &Record,
    wish: &PortConfig,
    taken: &OtherAggregates,
) -> Result<(PortRecord, Vec<Step>, Vec<Warning>), Refusal> {
    let config = &record.config;
    check_port(wish)?;
    if !config.wiring.has_pair() {
        return Err(Refusal::PortsOfDriver { name: config.name.clone(), port: wish.name.clone() });
    }
    let aggregate = record.aggregate_of(host).ok_or_else(|| Refusal::AggregateMissing { name: config.name.clone() })?;
    if wish.name == aggregate.name || wish.name == record.peer {
        return Err(Refusal::PortIsAggregate { port: wish.name.clone() });
    }
    let link = host.link(&wish.name).ok_or_else(|| Refusal::PortMissing { port: wish.name.clone() })?;
    if record.ports.iter().any(|port| {
        port.config.name == wish.name || record.interface_of(host, port).is_some_and(|known| known.index == link.index)
    }) {
        return Err(Refusal::PortTwice { port: wish.name.clone() });
    }
    candidate::check(host, link, taken)?;
    candidate::check_ingress(link)?;
    candidate::check_mtu(link, aggregate)?;
    let port = PlannedPort::new(host, free_slot(record)?, link).dropping(config.xdp)?;
    let joining = Joining { host, config, hook: record.hook, aggregate };
    let mut steps = vec![LinkStep::Managed { link: port.subject(), managed: Change::OFF }.into()];
    steps.extend(if port.carries() {
        if config.addresses == Addresses::None {
            candidate::check_bare(&port)?;
        }
        if link.has_link() {
            let others = record.ports.iter().filter_map(|port| record.interface_of(host, port));
            candidate::check_reachable(config, &port, others.filter(|link| link.has_link()).count() + 1)?;
        }
        let present = host.addresses.iter().filter(|address| address.link == aggregate.index);
        let mut given = present.cloned().collect::<Vec<Address>>();
        let mut steps = joining.with_addresses(&port, &mut given);
        steps.extend(port_settings::tighten(aggregate).map(|setting| setting.of(Subject::Aggregate)));
        steps
    } else {
        joining.bare(&port)
    });
    Ok((port.record(wish), steps, joining.warnings(&port)))
}

/// Plans to remove a port, which must not carry traffic any more. It becomes what it was, but the addresses that it
/// brought stay on the aggregate. If the aggregate has this port's MAC it keeps it: two interfaces then have the
/// same one, as with bonding. A primary stays the primary by its name, should it be added again.
///
/// # Errors
///
/// If it is no port, the last one, or `min_ports` needs it.
pub fn remove_port(host: &Host, record: &Record, id: PortId) -> Result<(Vec<Step>, Vec<Warning>), Refusal> {
    let name = record.config.name.clone();
    let Some(leaving) = record.ports.iter().find(|port| port.id == id) else {
        return Err(Refusal::NotAPort { name, port: id.to_string() });
    };
    let port = leaving.config.name.clone();
    if !record.config.wiring.has_pair() {
        return Err(Refusal::PortsOfDriver { name, port });
    }
    if record.ports.len() == 1 {
        return Err(Refusal::LastPort { name, port });
    }
    if record.ports.len() <= usize::from(record.config.min_ports) {
        return Err(Refusal::TooFewLeft { name, port, min_ports: record.config.min_ports });
    }
    let mut steps = record.interface_of(host, leaving).map(|link| restore(leaving, link, record)).unwrap_or_default();
    steps.push(port::manage(leaving));
    // As bonding does (drivers/net/bonding/bond_main.c, __bond_release_one).
    let mac = leaving.before.mac;
    let is_shared = record.aggregate_of(host).is_some_and(|aggregate| aggregate.mac == mac);
    let warning = is_shared.then_some(Warning::SharedMac { port, aggregate: name, mac });
    Ok((steps, warning.into_iter().collect()))
}

/// Makes the interface what it was, but for the addresses that moved.
fn restore(leaving: &PortRecord, link: &Link, record: &Record) -> Vec<Step> {
    let (subject, before) = (port::subject(leaving.id, &leaving.identity, link), &leaving.before);
    let set = |setting: Setting| setting.of(subject.clone());
    let down = port_settings::take_down(link, before).into_iter();
    let mut steps = down.chain(port_settings::restore_link(link, before)).map(set).collect::<Vec<_>>();
    let sysctls = [DISABLE_IPV6, RP_FILTER]
        .into_iter()
        .filter_map(|key| port_settings::sysctl(link, key, before.sysctls.get(key)?));
    steps.extend(sysctls.map(set));
    let own = leaving.addresses.iter().filter(|a| !layer3::is_given(a, before));
    steps.extend(own.map(|a| Layer3Step::add_address(&subject, a)));
    steps.extend(port_settings::restore_rest(link, before).map(set));
    steps.extend(early::off(record, leaving.id, &subject));
    steps.push(ProgramStep::Rx { link: subject, hook: record.hook, attached: Change::OFF }.into());
    steps
}

/// The lowest slot that is free.
fn free_slot(record: &Record) -> Result<PortId, Refusal> {
    slots()
        .find(|slot| record.ports.iter().all(|port| port.id != *slot))
        .ok_or(Refusal::TooManyPorts { count: record.ports.len() + 1 })
}
