//! The kernel's own drivers for aggregates, bonding and team, as far as wiring `over` depends on them: the driver's
//! device is the aggregate then, and its members are the ports.

use aggctl_common::IfIndex;
use serde::{Deserialize, Serialize};

use crate::config::Mode;

/// The ethtool features by which cards encrypt for TLS and for IPsec: bonding sends each of these flows by the card
/// that has its keys.
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
        /// The driver's mode, as the driver calls it.
        mode: &'static str,
        /// Why not.
        why: &'static str,
    },
    /// Others can.
    #[error(
        "mode {mode} does not go with {name}, whose driver's mode is {driver}; choose {fit}, or give the driver \
         another mode"
    )]
    OtherModes {
        /// The device.
        name: String,
        /// The driver's mode, as the driver calls it.
        driver: &'static str,
        /// What was wished.
        mode: &'static str,
        /// Those that can.
        fit: &'static str,
    },
}

/// Whose device it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DriverKind {
    /// Bonding's.
    Bonding,
    /// Team's.
    Team,
}

/// How a driver chooses the port itself, where we do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DriverMode {
    /// One port carries everything, and the others' frames are not received.
    ActiveBackup,
    /// In turn.
    RoundRobin,
    /// At random (team).
    Random,
    /// By a hash.
    Hash,
    /// By a hash, over the ports that LACP agreed on with the partner (bonding; with team that is the daemon's work).
    Lacp,
    /// By load, received on one port (balance-tlb).
    Tlb,
    /// By load, in both directions (balance-alb).
    Alb,
    /// Each frame by all ports.
    Broadcast,
    /// Not at all: it was given no mode yet (team).
    Unset,
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

    /// From team's name (`struct team_mode` in drivers/net/team/team_mode_*.c).
    #[must_use]
    pub fn of_team(mode: &str) -> Self {
        match mode {
            "roundrobin" => Self::RoundRobin,
            "activebackup" => Self::ActiveBackup,
            "loadbalance" => Self::Hash,
            "random" => Self::Random,
            "broadcast" => Self::Broadcast,
            "*NOMODE*" => Self::Unset,
            _ => Self::Unknown,
        }
    }

    /// Why no mode of ours goes with it.
    const fn why_not(self) -> &'static str {
        match self {
            Self::Tlb => "it moves flows by the load that it measured itself, which our choice would falsify",
            Self::Alb => "it tells each neighbour another MAC, so the port of a flow is not ours to choose",
            Self::Broadcast => "it sends each frame by all ports: there is nothing to choose",
            Self::Unset => "it drops all frames until teamd or teamnl gives it a mode",
            _ => "this version does not know it",
        }
    }
}

/// What a driver says of the device that it made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriverState {
    /// Whose device it is.
    pub kind: DriverKind,
    /// How it chooses the port.
    pub mode: DriverMode,
    /// The active port, where one carries everything and there is one.
    pub active: Option<IfIndex>,
}

impl DriverState {
    /// The mode of ours for who did not choose one.
    ///
    /// # Errors
    ///
    /// If we cannot choose the port in the place of this one.
    pub fn default_mode(self, name: &str) -> Result<Mode, UnfitDriver> {
        match self.mode {
            DriverMode::ActiveBackup => Ok(Mode::ActiveBackup),
            DriverMode::RoundRobin => Ok(Mode::RoundRobin),
            DriverMode::Random => Ok(Mode::Random),
            DriverMode::Hash | DriverMode::Lacp => Ok(Mode::Hash),
            DriverMode::Tlb | DriverMode::Alb | DriverMode::Broadcast | DriverMode::Unset | DriverMode::Unknown => {
                Err(UnfitDriver::Mode { name: name.to_owned(), mode: self.mode_name(), why: self.mode.why_not() })
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
        Err(UnfitDriver::OtherModes { name: name.to_owned(), driver: self.mode_name(), mode, fit })
    }

    /// Its mode, as the driver calls it.
    #[must_use]
    pub const fn mode_name(self) -> &'static str {
        let team = matches!(self.kind, DriverKind::Team);
        match self.mode {
            DriverMode::ActiveBackup if team => "activebackup",
            DriverMode::ActiveBackup => "active-backup",
            DriverMode::RoundRobin if team => "roundrobin",
            DriverMode::RoundRobin => "balance-rr",
            DriverMode::Random => "random",
            DriverMode::Hash if team => "loadbalance",
            DriverMode::Hash => "balance-xor",
            DriverMode::Lacp => "802.3ad",
            DriverMode::Tlb => "balance-tlb",
            DriverMode::Alb => "balance-alb",
            DriverMode::Broadcast => "broadcast",
            DriverMode::Unset => "none",
            DriverMode::Unknown => "unknown",
        }
    }
}

/// What a driver says of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriverMembership {
    /// Its link is up, by the driver's own watch and delays (bonding), or by what the driver or its daemon found
    /// (team).
    pub link: bool,
    /// The driver sends and receives by it: it is the active one, or one of several; with LACP, it is in the active
    /// aggregator and the partner agreed; with team, it is enabled. (teamd also disables the standby ports of
    /// activebackup.)
    pub in_use: bool,
}

impl DriverMembership {
    /// Whether we may send by it in this mode.
    #[must_use]
    pub const fn is_usable(self, mode: Mode) -> bool {
        self.link && (self.in_use || !mode.shares())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn bonding(mode: DriverMode) -> DriverState {
        DriverState { kind: DriverKind::Bonding, mode, active: None }
    }

    fn team(mode: &str) -> DriverState {
        DriverState { kind: DriverKind::Team, mode: DriverMode::of_team(mode), active: None }
    }

    #[test]
    fn a_mode_of_ours_goes_with_drivers_that_send_and_receive_likewise() {
        let (hash, rotation, lacp) = (DriverMode::Hash, DriverMode::RoundRobin, DriverMode::Lacp);
        let mut sharing: Vec<_> = [hash, rotation, lacp].map(bonding).into();
        sharing.extend(["loadbalance", "roundrobin", "random"].map(team));
        for driver in &sharing {
            for mode in [Mode::Hash, Mode::RoundRobin, Mode::Random] {
                assert_eq!(driver.check("bond0", mode), Ok(()));
            }
            assert!(driver.check("bond0", Mode::ActiveBackup).is_err());
        }
        for (driver, name) in
            [(bonding(DriverMode::ActiveBackup), "active-backup"), (team("activebackup"), "activebackup")]
        {
            let refused = driver.check("bond0", Mode::Random).unwrap_err().to_string();
            assert!(refused.contains(&format!("bond0, whose driver's mode is {name};")), "{refused}");
            assert_eq!(driver.check("bond0", Mode::ActiveBackup), Ok(()));
        }
    }

    #[test]
    fn without_a_wish_ours_is_what_the_driver_does() {
        for (mode, ours) in [
            ("loadbalance", Mode::Hash),
            ("roundrobin", Mode::RoundRobin),
            ("random", Mode::Random),
            ("activebackup", Mode::ActiveBackup),
        ] {
            assert_eq!((team(mode).default_mode("team0"), team(mode).mode_name()), (Ok(ours), mode));
        }
    }

    #[test]
    fn drivers_whose_choice_is_more_than_a_port_are_refused() {
        let mut drivers: Vec<_> = [3, 5, 6, 7].map(|number| bonding(DriverMode::of_bonding(number))).into();
        drivers.extend(["broadcast", "*NOMODE*", "newer"].map(team));
        for driver in drivers {
            let refused = driver.default_mode("bond0").unwrap_err().to_string();
            assert!(refused.contains(&format!("bond0 is {}: ", driver.mode_name())), "{refused}");
            assert!(driver.check("bond0", Mode::Hash).is_err());
        }
    }

    #[test]
    fn a_standby_member_is_usable_only_where_one_carries_everything() {
        let standby = DriverMembership { link: true, in_use: false };
        assert!(standby.is_usable(Mode::ActiveBackup) && !standby.is_usable(Mode::Hash));
        let down = DriverMembership { link: false, in_use: true };
        assert!(!down.is_usable(Mode::ActiveBackup) && !down.is_usable(Mode::Hash));
    }
}
