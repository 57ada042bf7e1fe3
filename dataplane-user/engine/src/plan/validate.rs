//! What can be said about a wish without looking at the host.

use std::collections::BTreeSet;

use aggctl_common::MAX_PORTS;

use crate::{
    bond::NoBond,
    config::{AggregateConfig, PortConfig, TableKind, Wiring, Xdp},
    names, options,
    plan::Refusal,
    vlan::VlanConfig,
};

/// Checks each option by its row, and what they say together: names, number of ports, `min_ports`, ports named twice,
/// table and seed. The primary may be no port yet.
///
/// # Errors
///
/// The first thing that is wrong.
pub fn validate(config: &AggregateConfig) -> Result<(), Refusal> {
    names::check(&config.name)?;
    options::check(config)?;
    // The ports of a driver's device are its members, if it has any.
    let names_ports = !matches!(config.wiring, Wiring::Auto | Wiring::Over);
    if names_ports && config.ports.is_empty() {
        return Err(Refusal::NoPort { name: config.name.clone() });
    }
    if config.ports.len() > MAX_PORTS {
        return Err(Refusal::TooManyPorts { count: config.ports.len() });
    }
    let mut seen = BTreeSet::new();
    for port in &config.ports {
        check_port(port)?;
        if port.name == config.name {
            return Err(Refusal::PortIsAggregate { port: port.name.clone() });
        }
        if !seen.insert(port.name.as_str()) {
            return Err(Refusal::PortTwice { port: port.name.clone() });
        }
    }
    let ports = config.ports.len();
    if config.min_ports == 0 || usize::from(config.min_ports) > ports && (names_ports || ports > 0) {
        return Err(Refusal::MinPorts { min_ports: config.min_ports, ports: config.ports.len() });
    }
    if config.wiring == Wiring::Over {
        check_over(config)?;
    }
    if config.mac_policy.needs_all_frames() && config.mode.shares() {
        return Err(Refusal::MacPolicyOfMode);
    }
    if let Some(option) = config.lacp.special().filter(|_| !config.lacp.on) {
        return Err(NoBond::NoLacp { option }.into());
    }
    if config.hash.table == TableKind::KernelCompat && config.hash.seed != 0 {
        return Err(Refusal::SeedOfKernel);
    }
    Ok(())
}

/// Checks what does not go with wiring `over`.
fn check_over(config: &AggregateConfig) -> Result<(), Refusal> {
    if config.min_ports != 1 {
        return Err(Refusal::NotOver {
            option: "min-ports",
            instead: "the carrier is the driver's (bonding: min_links, teamd: min_ports)",
        });
    }
    if config.vlan != VlanConfig::Off {
        return Err(Refusal::NotOver {
            option: "vlan",
            instead: "that is not built; use VLAN devices on the aggregate",
        });
    }
    if config.xdp != Xdp::Off {
        return Err(Refusal::NotOver { option: "xdp", instead: "what a port receives is the driver's; leave it off" });
    }
    if config.mac_policy.needs_all_frames() {
        return Err(Refusal::NotOver {
            option: "mac-policy",
            instead: "the MACs are the driver's (bonding: fail_over_mac, teamd: hwaddr_policy)",
        });
    }
    Ok(())
}

/// Checks what is wished of one port.
pub(super) fn check_port(config: &PortConfig) -> Result<(), Refusal> {
    names::check(&config.name)?;
    Ok(options::check(config)?)
}
