//! The part of `cargo xtask lab` that runs where it is measured.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result};

use super::{
    controller, cost, failover,
    job::{Job, LabOrders},
    message::Message,
    profile, spread, throughput,
};
use aggctl_tools::{environment, interrupt::Interrupt, process};

/// The kernel modules of the contenders and the generator.
const MODULES: [&str; 7] =
    ["pktgen", "bonding", "team", "team_mode_activebackup", "team_mode_loadbalance", "team_mode_roundrobin", "8021q"];

/// Carries out the orders in a file.
///
/// # Errors
///
/// When the file is not there, or we are asked to leave: then what was made is taken away first. What fails of the
/// orders is told, and no error of ours.
pub fn run(orders: &Path) -> Result<()> {
    let text = fs::read(orders).with_context(|| format!("cannot read {}", orders.display()))?;
    let orders: LabOrders = serde_json::from_slice(&text).context("these are no orders")?;
    Message::Kernel(rustix::system::uname().release().to_string_lossy().into_owned()).say()?;
    // All at once and before anything is measured: a module that is loaded later moves what is measured. Elsewhere than
    // in a machine some may not be there, which shows where they are used.
    let loaded = process::read(Command::new("modprobe").arg("--all").args(MODULES));
    if environment::in_virtual_machine() {
        loaded?;
    }
    let LabOrders { means, jobs } = orders;
    let interrupt = Interrupt::catch()?;
    for job in &jobs {
        interrupt.check()?;
        Message::Begin(job.to_string()).say()?;
        let done = match job {
            Job::Cost(job) => cost::measure(job, &means.binary),
            Job::Spread(job) => spread::measure(job, &means.binary),
            Job::Failover(job) => failover::measure(job, &means),
            Job::Throughput(job) => throughput::measure(job, &means),
            Job::Profile(setup) => profile::measure(setup, &means.binary),
            Job::Load(setup) => controller::measure(setup, &means.binary),
        };
        if let Err(error) = done {
            Message::Failed(format!("{error:#}")).say()?;
        }
    }
    Message::Done.say()
}
