//! The part of `cargo xtask lab` that runs where it is measured.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::{
    borrowed_nics::Pair,
    controller,
    cost::{self, CostJob},
    failover::{self, FailoverJob},
    message::Message,
    profile,
    question::{Clock, Setup},
    spread::{self, SpreadJob},
    throughput::{self, ThroughputJob},
};
use aggctl_tools::{environment, interrupt::Interrupt, process};

/// The kernel modules of the contenders and the generator.
const MODULES: [&str; 7] =
    ["pktgen", "bonding", "team", "team_mode_activebackup", "team_mode_loadbalance", "team_mode_roundrobin", "8021q"];

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Orders {
    /// With what.
    pub means: Means,
    /// One after the other.
    pub jobs: Vec<Job>,
}

/// What it is done with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Means {
    /// The product.
    pub binary: PathBuf,
    /// Cables between real cards, if the user named some.
    pub borrowed: Vec<Pair>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Job {
    /// Instructions for each frame.
    Cost(CostJob),
    /// Which flow takes which port.
    Spread(SpreadJob),
    /// What a cut cable costs.
    Failover(FailoverJob),
    /// What goes through a connection.
    Throughput(ThroughputJob),
    /// What our programs take.
    Profile(Setup),
    /// What the controller takes.
    Load(Setup),
}

impl Job {
    const fn setup(&self) -> &Setup {
        match self {
            Self::Cost(CostJob { setup, .. })
            | Self::Spread(SpreadJob { setup, .. })
            | Self::Failover(FailoverJob { setup, .. })
            | Self::Throughput(ThroughputJob { setup, .. })
            | Self::Profile(setup)
            | Self::Load(setup) => setup,
        }
    }
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Setup { contender, mode, ports } = self.setup();
        match self {
            Self::Cost(_) => write!(f, "cost")?,
            Self::Spread(job) => write!(f, "{} flows{}", job.flows, if job.parity { " as bonding" } else { "" })?,
            Self::Failover(FailoverJob { cable, rate, poll: Some(poll), .. }) => {
                write!(f, "failover ({cable}) at {rate} frames/s, polling every {poll} ms")?;
            }
            Self::Failover(FailoverJob { cable, rate, .. }) => write!(f, "failover ({cable}) at {rate} frames/s")?,
            Self::Throughput(ThroughputJob { transport, offloads, clock, .. }) => {
                let offloads = if *offloads { "on" } else { "off" };
                let clock = if *clock == Clock::Wall { " on the wall's clock" } else { "" };
                write!(f, "{transport}{clock}, offloads {offloads},")?;
            }
            Self::Profile(_) => write!(f, "programs")?,
            Self::Load(_) => write!(f, "controller")?,
        }
        write!(f, " of {contender}, {mode}, {ports} ports")
    }
}

/// Carries out the orders in a file.
///
/// # Errors
///
/// When the file is not there, or we are asked to leave: then what was made is taken away first. What fails of the
/// orders is told, and no error of ours.
pub fn run(orders: &Path) -> Result<()> {
    let text = fs::read(orders).with_context(|| format!("cannot read {}", orders.display()))?;
    let orders: Orders = serde_json::from_slice(&text).context("these are no orders")?;
    Message::Kernel(rustix::system::uname().release().to_string_lossy().into_owned()).say()?;
    // All at once and before anything is measured: a module that is loaded later moves what is measured. Elsewhere than
    // in a machine some may not be there, which shows where they are used.
    let loaded = process::read(Command::new("modprobe").arg("--all").args(MODULES));
    if environment::in_virtual_machine() {
        loaded?;
    }
    let Orders { means, jobs } = orders;
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
