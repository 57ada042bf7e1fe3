//! The port whose place the aggregate takes, and what it takes over from it.

use std::net::{IpAddr, Ipv6Addr};

use crate::{
    host::{Address, GEN_NONE, Link},
    plan::{Change, OneWayStep, Refusal, Setting, Step, Subject, port::PlannedPort},
};

/// The port whose MAC, MTU and settings the aggregate gets: the first that has addresses, else the first that has
/// routes, else the first.
pub(super) fn source<'p, 'h>(ports: &'p [PlannedPort<'h>]) -> Result<&'p PlannedPort<'h>, Refusal> {
    let addressed = ports.iter().find(|port| port.has_addresses());
    addressed
        .or_else(|| ports.iter().find(|port| port.carries()))
        .or_else(|| ports.first())
        .ok_or_else(|| Refusal::NoPort { name: String::new() })
}

/// Gives a new device the settings of the port whose place it takes.
pub(super) fn inherit(source: &Link) -> impl Iterator<Item = Step> {
    // What a new interface had does not matter: undoing the attach removes it.
    let values = Some(source.sysctls.clone()).filter(|values| !values.is_empty());
    let sysctls = values.map(|values| OneWayStep::Sysctls { link: Subject::Aggregate, values }.into());
    // The kernel takes one only where router advertisements are received, which the sysctls say.
    let token = source.token.map(|token| Setting::Token(Change { from: Ipv6Addr::UNSPECIFIED, to: token }));
    sysctls.into_iter().chain(token.map(|token| token.of(Subject::Aggregate)))
}

/// Lets the aggregate make its own IPv6 addresses as the port did; not before link-local ones that move are there.
pub(super) fn generate_addresses(source: &Link) -> Option<Step> {
    let mode = Change::between(GEN_NONE, source.addr_gen_mode?)?;
    Some(Setting::AddrGenMode(mode).of(Subject::Aggregate))
}

/// Whether link-local addresses are among what moves.
pub(super) fn moves_link_local(ports: &[PlannedPort<'_>]) -> bool {
    ports.iter().any(|port| port.carries() && port.layer3.addresses.iter().any(is_link_local))
}

/// Whether the address is an IPv6 link-local one.
fn is_link_local(address: &Address) -> bool {
    matches!(address.local, IpAddr::V6(v6) if v6.is_unicast_link_local())
}
