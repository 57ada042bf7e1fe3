//! The kernel's own driver for aggregates, bonding, as far as wiring `over` depends on it: its device is the aggregate
//! then, and its members are the ports.

use std::fmt;

use aggctl_common::IfIndex;
use serde::{Deserialize, Serialize};

use crate::config::Mode;

/// The ethtool features by which cards encrypt for TLS and for IPsec: bonding sends each of these flows by the card that
/// has its keys.
pub const CRYPTO_FEATURES: [&str; 3] = [TLS_OFFLOAD, "esp-hw-offload", "esp-tx-csum-hw-offload"];
/// The one for TLS. In mode active-backup bonding has the keys of IPsec, unlike those of TLS, follow the active port.
pub const TLS_OFFLOAD: &str = "tls-hw-tx-offload";

/// Why a mode of ours cannot choose the port in a driver's place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnfitDriver {
    /// No mode can.
    #[error("the driver's mode of {name} is {mode}: {why}; leave it to the driver, or give it another mode")]
    Mode {
        /// The device.
        name: String,
        /// The driver's mode.
        mode: DriverMode,
        /// Why not.
        why: &'static str,
    },
    /// Others can.
    #[error(
        "mode {mode} does not go with {name}, whose driver's mode is {driver}; choose {fit}, or give the driver another \
         mode"
    )]
    OtherModes {
        /// The device.
        name: String,
        /// The driver's mode.
        driver: DriverMode,
        /// What was wished.
        mode: &'static str,
        /// Those that can.
        fit: &'static str,
    },
}

/// How a driver chooses the port itself, where we do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DriverMode {
    /// One port carries everything, and the others' frames are not received.
    ActiveBackup,
    /// In turn.
    RoundRobin,
    /// By a hash.
    Hash,
    /// By a hash, over the ports that LACP agreed on with the partner.
    Lacp,
    /// By load, received on one port (balance-tlb).
    Tlb,
    /// By load, in both directions (balance-alb).
    Alb,
    /// Each frame by all ports.
    Broadcast,
    /// Not known to this version.
    Unknown,
}

impl DriverMode {
    /// From bonding's number (`BOND_MODE_*` in linux/if_bonding.h).
    #[must_use]
    pub const fn of_bonding(mode: u8) -> Self {
        match mode {
            0 => Self::RoundRobin,
            1 => Self::ActiveBackup,
            2 => Self::Hash,
            3 => Self::Broadcast,
            4 => Self::Lacp,
            5 => Self::Tlb,
            6 => Self::Alb,
            _ => Self::Unknown,
        }
    }

    /// The mode of ours for who did not choose one.
    ///
    /// # Errors
    ///
    /// If we cannot choose the port in the place of this one.
    pub fn default_mode(self, name: &str) -> Result<Mode, UnfitDriver> {
        match self {
            Self::ActiveBackup => Ok(Mode::ActiveBackup),
            Self::RoundRobin => Ok(Mode::RoundRobin),
            Self::Hash | Self::Lacp => Ok(Mode::Hash),
            Self::Tlb | Self::Alb | Self::Broadcast | Self::Unknown => {
                Err(UnfitDriver::Mode { name: name.to_owned(), mode: self, why: self.why_not() })
            }
        }
    }

    /// Whether we can choose the port by this mode in the driver's place.
    ///
    /// # Errors
    ///
    /// If not.
    pub fn check(self, name: &str, mode: Mode) -> Result<(), UnfitDriver> {
        let fits = self.default_mode(name)?;
        if fits.shares() == mode.shares() {
            return Ok(());
        }
        let fit = if fits.shares() { "hash, round-robin or random" } else { "active-backup" };
        let mode = if mode.shares() { "in which several ports carry traffic" } else { "active-backup" };
        Err(UnfitDriver::OtherModes { name: name.to_owned(), driver: self, mode, fit })
    }

    /// Why no mode of ours goes with it.
    const fn why_not(self) -> &'static str {
        match self {
            Self::Tlb => "it moves flows by the load that it measured itself, which our choice would falsify",
            Self::Alb => "it tells each neighbour another MAC, so the port of a flow is not ours to choose",
            Self::Broadcast => "it sends each frame by all ports: there is nothing to choose",
            _ => "this version does not know it",
        }
    }
}

impl fmt::Display for DriverMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ActiveBackup => "active-backup",
            Self::RoundRobin => "balance-rr",
            Self::Hash => "balance-xor",
            Self::Lacp => "802.3ad",
            Self::Tlb => "balance-tlb",
            Self::Alb => "balance-alb",
            Self::Broadcast => "broadcast",
            Self::Unknown => "unknown",
        })
    }
}

/// What a driver says of the device that it made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriverState {
    /// How it chooses the port.
    pub mode: DriverMode,
    /// The active port, where one carries everything and there is one.
    pub active: Option<IfIndex>,
}

/// What a driver says of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// Its link is up, by the driver's own watch and delays.
    pub link: bool,
    /// The driver sends and receives by it: it is the active one, or one of several; with LACP, it is in the active
    /// aggregator and the partner agreed.
    pub in_use: bool,
}

impl Membership {
    /// Whether we may send by it in this mode.
    #[must_use]
    pub const fn is_usable(self, mode: Mode) -> bool {
        self.link && (self.in_use || !mode.shares())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_of_ours_goes_with_drivers_that_send_and_receive_likewise() {
        for mode in [Mode::Hash, Mode::RoundRobin, Mode::Random] {
            for driver in [DriverMode::Hash, DriverMode::RoundRobin, DriverMode::Lacp] {
                assert_eq!(driver.check("bond0", mode), Ok(()));
            }
            let refused = DriverMode::ActiveBackup.check("bond0", mode).unwrap_err().to_string();
            assert!(refused.contains("bond0") && refused.contains("active-backup"), "{refused}");
        }
        assert_eq!(DriverMode::ActiveBackup.check("bond0", Mode::ActiveBackup), Ok(()));
        assert!(DriverMode::Lacp.check("bond0", Mode::ActiveBackup).is_err());
    }

    #[test]
    fn drivers_whose_choice_is_more_than_a_port_are_refused() {
        for number in [3, 5, 6, 7] {
            let mode = DriverMode::of_bonding(number);
            let refused = mode.default_mode("bond0").unwrap_err().to_string();
            assert!(refused.contains(&mode.to_string()), "{refused}");
            assert!(mode.check("bond0", Mode::Hash).is_err());
        }
    }

    #[test]
    fn a_standby_member_is_usable_only_where_one_carries_everything() {
        let standby = Membership { link: true, in_use: false };
        assert!(standby.is_usable(Mode::ActiveBackup) && !standby.is_usable(Mode::Hash));
        let down = Membership { link: false, in_use: true };
        assert!(!down.is_usable(Mode::ActiveBackup) && !down.is_usable(Mode::Hash));
    }
}
