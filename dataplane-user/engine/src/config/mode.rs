//! How ports share the traffic, and what is at their other ends.

use aggctl_common::spread::DEFAULT_BUCKETS;
use serde::{Deserialize, Serialize};

use super::HashPolicy;

/// How a port is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// One port carries everything, the others wait.
    #[default]
    ActiveBackup,
    /// All ports carry traffic; a hash of each frame's addresses chooses its port, so a flow stays on one. bonding:
    /// `balance-xor`, team: `loadbalance`.
    Hash,
    /// All ports carry traffic, packet by packet in turn. bonding: `balance-rr`, team: `roundrobin`.
    RoundRobin,
    /// All ports carry traffic, each packet on a port at random. team: `random`.
    Random,
}

impl Mode {
    /// Whether all usable ports carry traffic, rather than one.
    #[must_use]
    pub const fn shares(self) -> bool {
        !matches!(self, Self::ActiveBackup)
    }
}

/// How flows are told apart and spread over the ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HashConfig {
    /// Which fields of a frame make its hash.
    pub policy: HashPolicy,
    /// What the hash is mixed with, so that aggregates in a row do not all decide alike. 0: nothing.
    pub seed: u32,
    /// How many buckets the table has ([`aggctl_common::spread::is_table_size`]).
    pub buckets: u32,
    /// How a hash leads to a port.
    pub table: TableKind,
}

impl Default for HashConfig {
    fn default() -> Self {
        Self { policy: HashPolicy::default(), seed: 0, buckets: DEFAULT_BUCKETS, table: TableKind::Stable }
    }
}

/// How a hash leads to a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TableKind {
    /// Through buckets, of which a port that comes or goes moves no more than its share.
    #[default]
    Stable,
    /// Modulo the number of usable ports: the port that the kernel's bonding driver would choose.
    KernelCompat,
}

/// What the ports are connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Partner {
    /// One group of ports at the other end: it sends each frame to one of them.
    Lag,
    /// A switch that knows of no group: it floods to all of them, also what we sent.
    Plain,
}
