//! Adding a port to a running aggregate, and removing one.

use aggctl_common::{MAX_PORTS, PortId};

use crate::{
    config::{Addresses, PortConfig},
    host::{Address, Host, Link},
    plan::{
        Change, Layer3Step, LinkStep, ProgramStep, Refusal, Setting, Step, Warning,
        attach::{self, Taken, has_link},
        detach, layer3,
        port::{self, DISABLE_IPV6, Port, RP_FILTER},
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
    taken: &Taken,
) -> Result<(PortRecord, Vec<Step>, Vec<Warning>), Refusal> {
    let config = &record.config;
    check_port(wish)?;
    let aggregate =
        detach::find_aggregate(host, record).ok_or_else(|| Refusal::AggregateMissing { name: config.name.clone() })?;
    if wish.name == aggregate.name || wish.name == record.hidden {
        return Err(Refusal::PortIsAggregate { port: wish.name.clone() });
    }
    let link = host.link(&wish.name).ok_or_else(|| Refusal::PortMissing { port: wish.name.clone() })?;
    if record.ports.iter().any(|port| {
        port.config.name == wish.name || record.interface_of(host, port).is_some_and(|known| known.index == link.index)
    }) {
        return Err(Refusal::PortTwice { port: wish.name.clone() });
    }
    port::check(host, link, taken)?;
    port::check_mtu(link, aggregate)?;
    let port = Port::new(host, free_slot(record)?, link);
    let hook = record.hook;
    let mut steps = vec![LinkStep::Managed { link: port.subject(), managed: Change::OFF }.into()];
    steps.extend(if port.carries() {
        if config.addresses == Addresses::None {
            attach::check_bare(&port)?;
        }
        check_reachable(host, record, &port)?;
        let present = host.addresses.iter().filter(|address| address.link == aggregate.index);
        let mut given = present.cloned().collect::<Vec<Address>>();
        let mut steps = attach::move_in(host, config, hook, &port, aggregate, &mut given);
        let value = aggregate.sysctls.get(RP_FILTER).filter(|value| *value != "2");
        steps.extend(value.map(|value| attach::aggregate_sysctl(RP_FILTER, "2", value)));
        steps
    } else {
        attach::join_bare(host, config, hook, &port, aggregate)
    });
    let warnings = attach::warnings_of(&port, config, aggregate);
    Ok((attach::record_of(&port, wish), steps, warnings))
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
    let is_shared = detach::find_aggregate(host, record).is_some_and(|aggregate| aggregate.mac == mac);
    let warning = is_shared.then_some(Warning::SharedMac { port, aggregate: name, mac });
    Ok((steps, warning.into_iter().collect()))
}

/// Makes the interface what it was, but for the addresses that moved.
fn restore(leaving: &PortRecord, link: &Link, record: &Record) -> Vec<Step> {
    let (subject, before) = (port::subject(leaving.id, &leaving.identity, link), &leaving.before);
    let set = |setting: Setting| setting.of(subject.clone());
    let down = (!before.admin_up && link.admin_up).then_some(Setting::Admin(Change::OFF));
    let mut steps = down.into_iter().chain(port::restore_link(link, before)).map(set).collect::<Vec<_>>();
    let sysctls =
        [DISABLE_IPV6, RP_FILTER].into_iter().filter_map(|key| port::sysctl(link, key, before.sysctls.get(key)?));
    steps.extend(sysctls.map(set));
    let own = leaving.addresses.iter().filter(|a| !layer3::is_given(a, before));
    steps.extend(own.map(|a| Layer3Step::add_address(&subject, a)));
    steps.extend(port::restore_rest(link, before).map(set));
    steps.push(ProgramStep::Rx { link: subject, hook: record.hook, attached: Change::OFF }.into());
    steps
}

/// The lowest slot that is free.
fn free_slot(record: &Record) -> Result<PortId, Refusal> {
    let mut slots = (0..=u8::MAX).take(MAX_PORTS).map(PortId);
    slots
        .find(|slot| record.ports.iter().all(|port| port.id != *slot))
        .ok_or(Refusal::TooManyPorts { count: record.ports.len() + 1 })
}

/// A host that can be reached through the new port stays so.
fn check_reachable(host: &Host, record: &Record, port: &Port<'_>) -> Result<(), Refusal> {
    let others = record.ports.iter().filter_map(|port| record.interface_of(host, port));
    let links = others.filter(|link| has_link(link)).count() + 1;
    if has_link(port.link) && links < usize::from(record.config.min_ports) {
        return Err(Refusal::WouldStrand {
            name: record.config.name.clone(),
            port: port.link.name.clone(),
            links,
            min_ports: record.config.min_ports,
        });
    }
    Ok(())
}
