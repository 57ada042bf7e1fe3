//! Why a program dropped a frame, and where it is counted.

use crate::{MAX_PORTS, PortId};

/// A reason to drop. Each has a counter for every port (map `DROPS`, a per-CPU array of `u64`).
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// Received on a port that is not the one that carries traffic.
    Standby = 0,
    /// Received on, or meant for, an aggregate none of whose ports is usable.
    NoPort = 1,
    /// Shorter than an Ethernet header.
    Malformed = 2,
}

impl DropReason {
    /// All reasons, in the order of their counters.
    pub const ALL: [Self; 3] = [Self::Standby, Self::NoPort, Self::Malformed];

    /// Entries of the map `DROPS`: a row for each port and one for frames that the host sent.
    pub const COUNTERS: u32 = ((MAX_PORTS + 1) * Self::ALL.len()) as u32;

    /// The counter of this reason for frames received on `port`.
    #[must_use]
    pub const fn received_on(self, port: PortId) -> u32 {
        port.0 as u32 * Self::ALL.len() as u32 + self as u32
    }

    /// The counter of this reason for frames that the host sent through the aggregate.
    #[must_use]
    pub const fn sent(self) -> u32 {
        (MAX_PORTS * Self::ALL.len()) as u32 + self as u32
    }

    /// The name used in output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Standby => "standby",
            Self::NoPort => "no_port",
            Self::Malformed => "malformed",
        }
    }
}
