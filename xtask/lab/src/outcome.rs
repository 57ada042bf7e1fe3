//! What the agent measured.

use serde::{Deserialize, Serialize};

use super::{
    job::{FailoverJob, SpreadJob, ThroughputJob},
    question::{Direction, Setup, Traffic},
};

/// A figure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// Of this setup.
    pub setup: Setup,
    /// Under this traffic.
    pub traffic: Traffic,
    /// Instructions for each frame, from the generator to the drop, with all that the machine did meanwhile.
    pub instructions: f64,
    /// The same without the time of other threads (a controller's, for example).
    pub busy: f64,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FlowSpread {
    /// What was asked.
    #[serde(flatten)]
    pub job: SpreadJob,
    /// Flows on each port.
    pub shares: Vec<u64>,
    /// When the last port left and returned.
    pub moves: Option<Moves>,
    /// How many flows took the same port as with bonding.
    pub same_as_bonding: Option<u64>,
}

/// What a port that leaves and returns does to flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moves {
    /// Flows that were on the port: they must move.
    pub own: u64,
    /// Flows that moved though they were on another port.
    pub others: u64,
    /// Flows that take another port after its return than before it left.
    pub not_back: u64,
}

/// What was measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Failover {
    /// What was asked.
    #[serde(flatten)]
    pub job: FailoverJob,
    /// From the last frame on the port that was cut to the first one on another, milliseconds, for each trial.
    pub gap_ms: Vec<f64>,
    /// Frames that did not arrive, for each trial.
    pub lost: Vec<u32>,
}

/// What was measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Throughput {
    /// What was asked.
    #[serde(flatten)]
    pub job: ThroughputJob,
    /// Which way, seen from the aggregate.
    pub direction: Direction,
    /// Megabits (TCP) or thousands of datagrams (UDP) a second, counted by the receiver. On the clock that counts
    /// instructions these are bits for every thousand instructions, and datagrams for every million, of the one
    /// processor, which does the work of both ends.
    pub rate: f64,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// Of which setup.
    pub setup: Setup,
    /// Which way.
    pub direction: Direction,
    /// Runs of our programs for each frame.
    pub runs: f64,
    /// Instructions inside our programs for each frame, with one reading of the clock for each run.
    pub inside: f64,
    /// What the account itself costs for each frame: nearly two readings of the clock for each run.
    pub account: f64,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Load {
    /// Of which setup.
    pub setup: Setup,
    /// Until `attach` returned, milliseconds at a thousand million instructions a second.
    pub attach_ms: f64,
    /// Resident memory of controller and guardian, KiB.
    pub resident_kib: [u64; 2],
    /// Work while nothing happens, millions of instructions a second.
    pub idle: f64,
    /// Work while all ports lose and get back their carriers once a second.
    pub flapping: f64,
}
