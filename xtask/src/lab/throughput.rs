//! What goes through one TCP connection, on the clock that counts instructions.

use std::{net::Ipv4Addr, path::Path, process::Command, thread, time::Duration};

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::{
    contender::{self, Extra, Raising},
    question::{Direction, Setup},
    site::{self, Site},
    word::Word,
};
use crate::{process, traffic::bulk};

/// The host's address, and that of the bridge into which its cables go.
const HOST: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
const PEER: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);
const BRIDGE: &str = "br0";
/// How long the connection runs, after one of the same length that warms up.
const LENGTH: Duration = Duration::from_millis(400);
/// What is switched off.
const OFFLOADS: [&str; 3] = ["tso", "gso", "gro"];

/// What is to be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThroughputJob {
    /// The setup.
    pub setup: Setup,
    /// Whether segments are joined and cut as late as can be.
    pub offloads: bool,
}

/// What was measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Throughput {
    /// What was asked.
    #[serde(flatten)]
    pub job: ThroughputJob,
    /// Which way, seen from the aggregate.
    pub direction: Direction,
    /// Megabits a second, counted by the receiver. On the clock that counts instructions these are bits for every
    /// thousand instructions of the one processor, which does the work of both ends.
    pub megabits: f64,
}

/// Measures, and tells.
///
/// # Errors
///
/// When the setup fails, or the connection breaks.
pub fn measure(job: &ThroughputJob, binary: &Path) -> Result<()> {
    let site = Site::new(job.setup.ports)?;
    let raised = match contender::raise(&job.setup, &Extra::default(), &site, binary)? {
        Raising::Done(raised) => raised,
        Raising::Refused(reason) => return Word::LeftOut { setup: job.setup, reason }.say(),
    };
    let mut lines =
        format!("link add {BRIDGE} type bridge\nlink set {BRIDGE} up\naddress add {PEER}/24 dev {BRIDGE}\n");
    for port in &site.ports {
        lines += &format!("link set {port} master {BRIDGE}\n");
    }
    site::batch(&site.far, &lines)?;
    site.host.ip(&format!("address add {HOST}/24 dev {}", raised.interface))?;
    if !job.offloads {
        let near = site.ports.iter().chain(std::iter::once(&raised.interface));
        for (namespace, name) in
            near.map(|name| (&site.host, name)).chain(site.ports.iter().map(|name| (&site.far, name)))
        {
            let program = process::find("ethtool").unwrap_or_else(|| Path::new("ethtool").to_path_buf());
            let mut command: Command = namespace.command(&program);
            command.args(["-K", name]);
            process::read(command.args(OFFLOADS.iter().flat_map(|offload| [*offload, "off"])))?;
        }
    }
    thread::sleep(Duration::from_secs(3));
    for direction in [Direction::Tx, Direction::Rx] {
        let to_host = direction == Direction::Rx;
        bulk::tcp(&site.host, &site.far, HOST, to_host, LENGTH)?;
        let megabits = bulk::tcp(&site.host, &site.far, HOST, to_host, LENGTH)? / 1e6;
        Word::Throughput(Throughput { job: *job, direction, megabits }).say()?;
    }
    Ok(())
}
