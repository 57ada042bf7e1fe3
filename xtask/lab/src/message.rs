//! What the agent in the machine says to the host: lines on its standard output.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::{
    outcome::{Cost, Failover, FlowSpread, Load, Profile, Throughput},
    question::{Setup, Traffic, TransferKind},
};

/// What lines that are ours begin with.
const MARK: &str = "aggctl-lab-in-machine: ";

/// A word.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Message {
    /// The kernel is this.
    Kernel(String),
    /// This begins.
    Begin(String),
    /// Instructions for each frame.
    Cost(Cost),
    /// Which flows took which port.
    Spread(FlowSpread),
    /// What it meant that a cable was cut.
    Failover(Failover),
    /// What went through a connection.
    Throughput(Throughput),
    /// What our programs took.
    Profile(Profile),
    /// What the controller took.
    Load(Load),
    /// This contender does not have what was asked of it.
    LeftOut {
        /// What was asked.
        setup: Setup,
        /// In its own words.
        reason: String,
    },
    /// What began failed, and what comes next is tried all the same.
    Failed(String),
    /// There is nothing more to come.
    Done,
}

impl Message {
    /// Reads a line, if it is one of the agent's.
    pub fn read(line: &str) -> Option<Self> {
        serde_json::from_str(line.strip_prefix(MARK)?).ok()
    }

    /// Says it.
    ///
    /// # Errors
    ///
    /// When it cannot be written as JSON.
    pub fn say(&self) -> Result<()> {
        println!("{MARK}{}", serde_json::to_string(self)?);
        Ok(())
    }

    /// Shows it to people.
    pub fn show(&self) {
        match self {
            Self::Kernel(release) => println!("Linux {release}"),
            Self::Begin(what) => println!("{what}"),
            Self::Cost(Cost { traffic, instructions, busy, .. }) => {
                let Traffic { direction, protocol, size, flows, held } = traffic;
                let held = if *held { ", held" } else { "" };
                println!(
                    "    {direction} {size} bytes, {protocol}, {flows} flows{held}: {instructions:.1} (busy {busy:.1})"
                );
            }
            Self::Spread(FlowSpread { shares, moves, same_as_bonding, .. }) => {
                println!("    flows on each port: {shares:?}; {moves:?}; as bonding: {same_as_bonding:?}");
            }
            Self::Failover(Failover { gap_ms, lost, .. }) => println!("    gaps {gap_ms:.2?} ms, lost {lost:?}"),
            Self::Throughput(Throughput { job, direction, rate }) => {
                let unit = match job.transport {
                    TransferKind::Tcp => "Mbit/s",
                    TransferKind::Udp => "thousand datagrams a second",
                };
                println!("    {direction}: {rate:.1} {unit}");
            }
            Self::Profile(profile) => println!("    {profile:?}"),
            Self::Load(load) => println!("    {load:?}"),
            Self::LeftOut { reason, .. } => println!("    left out: {reason}"),
            Self::Failed(what) => println!("    FAILED: {what}"),
            Self::Done => {}
        }
    }
}
