//! What can be wrong with an aggregate.

use std::{fmt, net::IpAddr};

use aggctl_common::PortId;

use crate::dataplane::ProgramRole;

/// Something that is not as it should be, in words of the owner.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Defect {
    /// Pins are not there.
    Pins {
        /// Their names; empty: the whole directory is not there.
        lost: Vec<String>,
    },
    /// A map is missing, or another one than it should be.
    Map(String),
    /// The table of ports that programs read is not the one that was published.
    Table,
    /// A program is not attached on its hook.
    NotAttached {
        /// The program.
        role: ProgramRole,
        /// The interface.
        on: String,
    },
    /// Another program is attached in the place of one of ours, or one of ours that uses other maps.
    OtherProgram {
        /// The program.
        role: ProgramRole,
        /// The interface.
        on: String,
    },
    /// A program of others sees frames before ours does.
    Before {
        /// Ours.
        role: ProgramRole,
        /// The interface.
        on: String,
        /// The kernel's number of theirs.
        program: u32,
    },
    /// The peer is not there.
    PeerGone(String),
    /// The peer is administratively up or down, and should not be.
    PeerAdmin {
        /// Its name.
        peer: String,
        /// What it is.
        up: bool,
    },
    /// The peer has another MTU than the aggregate.
    PeerMtu {
        /// Its name.
        peer: String,
        /// What it is, octets.
        found: u32,
        /// What it should be.
        wanted: u32,
    },
    /// The peer has an address.
    PeerAddress {
        /// Its name.
        peer: String,
        /// The address.
        address: IpAddr,
    },
    /// The peer belongs to a bridge, bond or the like.
    PeerMaster {
        /// Its name.
        peer: String,
    },
    /// A feature of a port is on that must be off.
    Feature {
        /// The port.
        port: PortId,
        /// Its name.
        name: String,
        /// The feature.
        feature: String,
    },
    /// A setting of a port is not what the aggregate needs.
    Setting(String),
    /// Something could not be looked at.
    Unknown(String),
}

impl fmt::Display for Defect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pins { lost } if lost.is_empty() => f.write_str("the directory of its pins is not there"),
            Self::Pins { lost } => write!(f, "pins are lost: {}", lost.join(", ")),
            Self::Map(what) | Self::Setting(what) | Self::Unknown(what) => f.write_str(what),
            Self::Table => f.write_str("the table of ports in the map is not the one that was published"),
            Self::NotAttached { role, on } => write!(f, "program {role} is not attached to {on}"),
            Self::OtherProgram { role, on } => write!(f, "program {role} on {on} is not the one that should be there"),
            Self::Before { role, on, program } => write!(
                f,
                "program {program} of somebody else sees the frames of {on} before ours ({role}); what it does not \
                 pass on does not reach the aggregate"
            ),
            Self::PeerGone(peer) => write!(f, "the peer {peer} is gone"),
            Self::PeerAdmin { peer, up: true } => write!(f, "the peer {peer} is up without a usable port"),
            Self::PeerAdmin { peer, up: false } => write!(f, "the peer {peer} is administratively down"),
            Self::PeerMtu { peer, found, wanted } => write!(f, "the peer {peer} has MTU {found} instead of {wanted}"),
            Self::PeerAddress { peer, address } => {
                write!(f, "the peer {peer} has the address {address}; it must have none: remove it")
            }
            Self::PeerMaster { peer } => write!(f, "the peer {peer} was made a port of another device: release it"),
            Self::Feature { name, feature, .. } => write!(f, "{feature} of {name} is on"),
        }
    }
}

impl Defect {
    /// A word for programs.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Pins { .. } => "pins",
            Self::Map(_) => "map",
            Self::Table => "table",
            Self::NotAttached { .. } => "not_attached",
            Self::OtherProgram { .. } => "other_program",
            Self::Before { .. } => "program_before",
            Self::PeerGone(_) => "peer_gone",
            Self::PeerAdmin { .. } => "peer_admin",
            Self::PeerMtu { .. } => "peer_mtu",
            Self::PeerAddress { .. } => "peer_address",
            Self::PeerMaster { .. } => "peer_master",
            Self::Feature { .. } => "feature",
            Self::Setting(_) => "setting",
            Self::Unknown(_) => "unknown",
        }
    }

    /// Whether the controller may repair it: it is ours alone.
    #[must_use]
    pub const fn is_repairable(&self) -> bool {
        match self {
            Self::Pins { .. }
            | Self::Table
            | Self::NotAttached { .. }
            | Self::OtherProgram { .. }
            | Self::PeerAdmin { .. }
            | Self::PeerMtu { .. }
            | Self::Feature { .. } => true,
            Self::Map(_)
            | Self::Before { .. }
            | Self::PeerGone(_)
            | Self::PeerAddress { .. }
            | Self::PeerMaster { .. }
            | Self::Setting(_)
            | Self::Unknown(_) => false,
        }
    }
}
