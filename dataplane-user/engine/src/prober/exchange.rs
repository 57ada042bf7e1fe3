//! What the watches are told, and what they say.

use aggctl_common::{IfIndex, Mac, PortId};

use crate::{status::TargetStatus, vlan::VlanConfig, watches::WatchConfig};

/// All that shall be watched.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProbeWish {
    /// What becomes of tags on the wire.
    pub vlan: VlanConfig,
    /// The aggregate's MAC.
    pub mac: Mac,
    /// The ports.
    pub ports: Vec<ProbedPort>,
}

/// A port, as far as its watches depend on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbedPort {
    /// Its slot.
    pub id: PortId,
    /// Its interface.
    pub ifindex: IfIndex,
    /// The MAC from which it asks.
    pub mac: Mac,
    /// Whether its link is up now.
    pub up: bool,
    /// Whether it carries traffic, rather than wait.
    pub carries: bool,
    /// How often its link was lost for good.
    pub epoch: u64,
    /// Whether a watch that begins now is well until it has found otherwise.
    pub trusted: bool,
    /// Its watches beyond the link.
    pub watches: Vec<WatchConfig>,
}

/// What an interface has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// Frames received.
    pub received: u64,
    /// Errors, in both directions.
    pub errors: u64,
}

/// A frame to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToSend {
    /// By which port.
    pub port: PortId,
    /// The frame, as it is on the wire.
    pub frame: Vec<u8>,
}

/// What the watches of a port say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortFindings {
    /// The port.
    pub port: PortId,
    /// The epoch that this is about.
    pub epoch: u64,
    /// What each says.
    pub findings: Vec<WatchFinding>,
}

/// What a watch says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchFinding {
    /// The watch.
    pub watch: WatchConfig,
    /// Whether it finds the port well.
    pub up: bool,
    /// Why, in words.
    pub why: String,
}

/// What a watch has seen, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchReport {
    /// The watch.
    pub watch: WatchConfig,
    /// Why it says what it says, in words.
    pub why: String,
    /// What it saw of each target.
    pub targets: Vec<TargetStatus>,
}
