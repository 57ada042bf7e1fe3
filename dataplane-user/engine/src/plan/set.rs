//! Live changes of the options.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    bond::NoBond,
    config::AggregateConfig,
    options::{self, Assignment},
    plan::{Refusal, validate},
    record::Record,
};

/// What shall change, as it was typed. What is not named stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveChange {
    /// Options of the aggregate.
    pub options: Vec<Assignment>,
    /// Settings of ports, by name.
    pub ports: BTreeMap<String, Vec<Assignment>>,
}

/// The configuration after `change`: all of it or nothing.
///
/// # Errors
///
/// If the result would not be valid, or a port is named that the aggregate does not have.
pub fn set(record: &Record, change: &LiveChange) -> Result<AggregateConfig, Refusal> {
    let mut config = record.config.clone();
    options::apply(&mut config, &change.options)?;
    for (name, settings) in &change.ports {
        let Some(port) = config.ports.iter_mut().find(|port| port.name == *name) else {
            return Err(Refusal::NotAPort { name: config.name, port: name.clone() });
        };
        options::apply(port, settings)?;
    }
    validate(&config)?;
    if !config.wiring.has_pair() && config.mode.shares() != record.config.mode.shares() {
        let option = "a change between active-backup and modes in which several ports carry traffic";
        return Err(Refusal::NotOver { option, instead: "give the driver another mode, and attach again" });
    }
    if config.lacp.on != record.config.lacp.on {
        return Err(NoBond::LacpElsewhere { name: config.name }.into());
    }
    Ok(config)
}
