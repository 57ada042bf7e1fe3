//! The bonding device that we make in wiring `over`, where there is none.

use aggctl_common::{Mac, hash::Policy};
use serde::{Deserialize, Serialize};

use crate::{
    config::{AggregateConfig, LacpConfig, Mode},
    driver::DriverMode,
};

/// Why no bonding device is made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoBond {
    /// The kernel has no such driver.
    #[error(
        "{name} is no interface, and this kernel has no bonding driver to make it (CONFIG_BONDING, module bonding); \
         use --wiring shared"
    )]
    NoDriver {
        /// The aggregate.
        name: String,
    },
    /// The host would be cut off while its port goes down.
    #[error(
        "{port} carries addresses and must go down to become a port of the bond {name}: connect another port that \
         carries none and set it up first (no other has a link now), or use --wiring shared"
    )]
    NoOtherLink {
        /// The aggregate.
        name: String,
        /// The port that carries the addresses.
        port: String,
    },
    /// A card encrypts flows, and the driver sends each of them by the card that has its keys.
    #[error(
        "{feature} is on on {port}: such a flow must leave by the card that has its keys, which the driver of {name} \
         would know; switch it off first: 'ethtool -K {port} {feature} off'"
    )]
    KeysOnCard {
        /// The aggregate.
        name: String,
        /// The port.
        port: String,
        /// The ethtool feature.
        feature: &'static str,
    },
    /// A setting of LACP, and no LACP.
    #[error("{option} is for --mode lacp; leave it out, or add that")]
    NoLacp {
        /// The setting.
        option: &'static str,
    },
    /// LACP, and a device without.
    #[error("mode lacp is for wiring over and a bond in mode 802.3ad, which is chosen when {name} is attached")]
    LacpElsewhere {
        /// The aggregate.
        name: String,
    },
    /// A setting of LACP, and a bond that is there.
    #[error("{option} of {name}, which is there, is its driver's: 'ip link set {name} type bond …'; leave it out")]
    NotOurs {
        /// The aggregate.
        name: String,
        /// The setting.
        option: &'static str,
    },
}

/// What a bonding device is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BondSettings {
    /// Its name.
    pub name: String,
    /// How it chooses the port where we do not.
    pub mode: DriverMode,
    /// Its MAC, which its ports get.
    pub mac: Mac,
    /// Its MTU, which its ports get, octets.
    pub mtu: u32,
    /// How often it looks at the links of its ports, in milliseconds.
    pub poll_ms: u32,
    /// What it hashes itself.
    pub policy: Policy,
    /// How it speaks LACP.
    pub lacp: LacpConfig,
}

impl BondSettings {
    /// The device for this aggregate, with a port's MAC and MTU.
    pub(crate) fn new(config: &AggregateConfig, mac: Mac, mtu: u32) -> Self {
        Self {
            name: config.name.clone(),
            mode: driver_mode(config),
            mac,
            mtu,
            poll_ms: config.link_watch.poll_ms,
            policy: config.hash.policy.nearest(),
            lacp: config.lacp,
        }
    }
}

/// The driver's mode that is like ours.
pub(crate) const fn driver_mode(config: &AggregateConfig) -> DriverMode {
    match config.mode {
        _ if config.lacp.on => DriverMode::Lacp,
        Mode::ActiveBackup => DriverMode::ActiveBackup,
        Mode::RoundRobin => DriverMode::RoundRobin,
        Mode::Hash | Mode::Random => DriverMode::Hash,
    }
}
