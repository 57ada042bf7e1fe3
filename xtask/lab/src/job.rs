//! What the agent is asked to measure.

use std::{fmt, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::{
    borrowed_nics::NicPair,
    question::{Cable, Clock, Setup, Traffic, TransferKind},
};

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LabOrders {
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
    pub borrowed: Vec<NicPair>,
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

/// What is to be measured of one setup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CostJob {
    /// The setup.
    pub setup: Setup,
    /// The traffic, one after the other; what is received after what is sent, since what drops it would cost the latter
    /// something.
    pub traffic: Vec<Traffic>,
    /// Frames for each figure.
    pub packets: u32,
}

/// What is to be found out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpreadJob {
    /// The setup.
    pub setup: Setup,
    /// How many flows, a power of ten.
    pub flows: u32,
    /// Whether the last port leaves and returns.
    pub leave: bool,
    /// Whether the same is asked of bonding, flow by flow; ours then chooses as bonding does.
    pub parity: bool,
}

/// What is to be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailoverJob {
    /// The setup.
    pub setup: Setup,
    /// What its ports are.
    pub cable: Cable,
    /// How often it looks at its ports, in milliseconds, if not as usual.
    pub poll: Option<u32>,
    /// Frames in a second.
    pub rate: u32,
    /// How often a cable is cut.
    pub trials: u32,
    /// Whether controller and guardian were killed before.
    #[serde(default)]
    pub orphaned: bool,
}

/// What is to be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThroughputJob {
    /// The setup.
    pub setup: Setup,
    /// What its ports are.
    pub cable: Cable,
    /// What carries the data.
    pub transport: TransferKind,
    /// Whether segments are joined and cut as late as can be.
    pub offloads: bool,
    /// What time is measured by.
    pub clock: Clock,
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
            Self::Failover(FailoverJob { cable, rate, orphaned: true, .. }) => {
                write!(f, "failover ({cable}) at {rate} frames/s, without controller")?;
            }
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
