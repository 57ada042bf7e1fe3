//! Live changes of the options.

use std::collections::BTreeMap;

use aggctl_common::hash::Policy;
use serde::{Deserialize, Serialize};

use crate::{
    config::{AggregateConfig, Mode, Partner, Reselect, TableKind, Toggle},
    plan::{Refusal, validate},
    record::Record,
    vlan::VlanConfig,
};

/// What shall change. `None` leaves an option as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Change {
    /// The preferred port.
    pub primary: Option<Primary>,
    /// How a port is chosen.
    pub mode: Option<Mode>,
    /// Which fields of a frame make its hash.
    pub policy: Option<Policy>,
    /// What the hash is mixed with.
    pub seed: Option<u32>,
    /// How many buckets the table has.
    pub buckets: Option<u32>,
    /// How a hash leads to a port.
    pub table: Option<TableKind>,
    /// How many packets a port gets in turn.
    pub stride: Option<u16>,
    /// What the ports are connected to.
    pub partner: Option<Partner>,
    /// Which VLANs pass, and how.
    pub vlan: Option<VlanConfig>,
    /// When a better port takes over.
    pub reselect: Option<Reselect>,
    /// How many ports must be usable.
    pub min_ports: Option<u8>,
    /// Promiscuous mode of the ports.
    pub promisc: Option<Toggle>,
    /// All-multicast mode of the ports.
    pub allmulti: Option<Toggle>,
    /// How long a link must be up, milliseconds.
    pub up_delay_ms: Option<u32>,
    /// How long a link must be down, milliseconds.
    pub down_delay_ms: Option<u32>,
    /// How often the links are asked for, milliseconds.
    pub poll_ms: Option<u32>,
    /// How many times each address is announced.
    pub announce_count: Option<u8>,
    /// Pause between two rounds of announcements, milliseconds.
    pub announce_interval_ms: Option<u32>,
    /// Changes of ports, by name.
    pub ports: BTreeMap<String, PortChange>,
}

/// The preferred port, or that there shall be none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Primary {
    /// No port is preferred.
    Nobody,
    /// This port, by name.
    Port(String),
}

/// What shall change about a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PortChange {
    /// Its preference.
    pub priority: Option<i32>,
    /// Whether it stays active once it is.
    pub sticky: Option<bool>,
    /// Its share in proportion to the others' weights.
    pub weight: Option<u8>,
}

/// The configuration after `change`: all of it or nothing.
///
/// # Errors
///
/// If the result would not be valid, or a port is named that the aggregate does not have.
pub fn set(record: &Record, change: &Change) -> Result<AggregateConfig, Refusal> {
    let mut config = record.config.clone();
    if let Some(primary) = &change.primary {
        config.primary = match primary {
            Primary::Nobody => None,
            Primary::Port(name) => Some(name.clone()),
        };
    }
    replace(&mut config.mode, change.mode);
    replace(&mut config.hash.policy, change.policy);
    replace(&mut config.hash.seed, change.seed);
    replace(&mut config.hash.buckets, change.buckets);
    replace(&mut config.hash.table, change.table);
    replace(&mut config.stride, change.stride);
    if change.partner.is_some() {
        config.partner = change.partner;
    }
    replace(&mut config.vlan, change.vlan.clone());
    replace(&mut config.reselect, change.reselect);
    replace(&mut config.min_ports, change.min_ports);
    replace(&mut config.promisc, change.promisc);
    replace(&mut config.allmulti, change.allmulti);
    replace(&mut config.link_watch.up_delay_ms, change.up_delay_ms);
    replace(&mut config.link_watch.down_delay_ms, change.down_delay_ms);
    replace(&mut config.link_watch.poll_ms, change.poll_ms);
    replace(&mut config.announce.count, change.announce_count);
    replace(&mut config.announce.interval_ms, change.announce_interval_ms);
    for (name, wish) in &change.ports {
        let Some(port) = config.ports.iter_mut().find(|port| port.name == *name) else {
            return Err(Refusal::NotAPort { name: config.name, port: name.clone() });
        };
        replace(&mut port.priority, wish.priority);
        replace(&mut port.sticky, wish.sticky);
        replace(&mut port.weight, wish.weight);
    }
    validate(&config)?;
    Ok(config)
}

/// Puts `new` in the place, if there is one.
fn replace<T>(place: &mut T, new: Option<T>) {
    if let Some(new) = new {
        *place = new;
    }
}
