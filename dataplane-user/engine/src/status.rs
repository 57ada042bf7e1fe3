//! What the engine knows, for `show`.

use std::{fmt, net::IpAddr, time::Duration};

use aggctl_common::{Mac, PortId};
use serde::{Deserialize, Serialize};

/// The state of the aggregate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AggregateStatus {
    /// Whether at least `min_ports` ports are usable.
    pub carrier: bool,
    /// The port that carries the traffic, where one does.
    pub active: Option<PortId>,
    /// The port on which broadcast and multicast are accepted, where several receive the same.
    #[serde(default)]
    pub designated: Option<PortId>,
    /// Each port, in slot order.
    pub ports: Vec<PortStatus>,
    /// What is known to be wrong.
    #[serde(default)]
    pub defects: Vec<DefectStatus>,
    /// What was found wrong lately and repaired, the latest last.
    #[serde(default)]
    pub repairs: Vec<RepairStatus>,
    /// When carrier or the active port changed last: milliseconds since the Unix epoch.
    #[serde(default)]
    pub changed_ms: Option<u64>,
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefectStatus {
    /// A word for programs.
    pub kind: String,
    /// What is wrong, in words.
    pub what: String,
    /// Since when: milliseconds since the Unix epoch.
    pub since_ms: Option<u64>,
    /// What was done about it, or will be, in words.
    pub done: String,
}

/// Something that was repaired.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepairStatus {
    /// What was wrong, in words.
    pub what: String,
    /// When it was repaired last: milliseconds since the Unix epoch.
    pub at_ms: u64,
    /// How many times.
    pub times: u32,
}

/// The state of a port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortStatus {
    /// Its slot.
    pub id: PortId,
    /// Its name.
    pub name: String,
    /// Whether its link is up (raw, before any delay).
    pub link: bool,
    /// Whether it may carry traffic.
    pub usable: bool,
    /// Its part in the aggregate.
    pub state: PortState,
    /// How many times its link went from up to down since attach.
    pub link_failures: u64,
    /// Why it is, or is not, in use: a phrase for people.
    pub why: String,
    /// That it is held down, if it is.
    #[serde(default)]
    pub held: Option<HeldStatus>,
    /// When its link or its part in the aggregate changed last: milliseconds since the Unix epoch.
    #[serde(default)]
    pub changed_ms: Option<u64>,
    /// What each of its watches says.
    #[serde(default)]
    pub watches: Vec<WatchStatus>,
}

/// That a port is held down. Displayed as the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldStatus {
    /// Until when, by the engine's clock.
    pub until: Duration,
    /// The same in milliseconds since the Unix epoch. The controller writes it: there is no such clock here.
    pub until_ms: Option<u64>,
    /// How many times its link, or the verdict of its watches, changed.
    pub changes: u8,
    /// In which time, seconds.
    pub window_s: u32,
}

impl fmt::Display for HeldStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} changes in {} s", self.changes, self.window_s)
    }
}

/// What a watch of a port says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchStatus {
    /// The watch, as it is written on the command line.
    pub watch: String,
    /// Whether it finds the port well.
    pub up: bool,
    /// Why, in words.
    pub why: String,
    /// What it saw of each target, where it asks any.
    pub targets: Vec<TargetStatus>,
}

/// What a watch saw of a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetStatus {
    /// Who is asked.
    pub target: IpAddr,
    /// Whether it counts as in reach.
    pub reached: bool,
    /// How many questions in a row it has not answered.
    pub missed: u8,
    /// How many are too many.
    pub missed_max: u8,
    /// How many it was asked since the link came up.
    pub asked: u64,
    /// How many answers came.
    pub answers: u64,
    /// When the last one came: milliseconds since the Unix epoch.
    pub last_answer_ms: Option<u64>,
    /// Which MAC it came from.
    pub mac: Option<Mac>,
}

/// A port's part in the aggregate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PortState {
    /// It carries the traffic.
    Active,
    /// It carries its share of the traffic.
    Sharing,
    /// It is usable and waits.
    Standby,
    /// It is not usable: its link is down, in a delay, or it is gone.
    Down,
    /// It is administratively down, or disabled by hand.
    Disabled,
}
