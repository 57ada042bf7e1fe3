//! Which flow takes which port, and which flows move when a port leaves and returns.

use std::{collections::BTreeMap, path::Path, thread, time::Duration};

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use super::{
    capture::Capture,
    contender::{self, Extra, Raised, Raising},
    message::Message,
    pktgen,
    question::{Contender, Setup, Traffic},
    schedule::SMALL_V4,
    site::Site,
};

/// A MAC that nobody has.
const NOBODY: &str = "02:00:00:00:ff:ff";
/// How long everybody gets to notice a change of a carrier.
const SETTLE: Duration = Duration::from_secs(3);

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

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spread {
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

type Map = BTreeMap<(u16, u16), usize>;

/// Finds out, and tells.
///
/// # Errors
///
/// When the setup fails, or frames are missing.
pub fn measure(job: &SpreadJob, binary: &Path) -> Result<()> {
    let extra = Extra { like_bonding: job.parity, ..Extra::default() };
    let site = Site::new(job.setup.ports)?;
    let raised = match contender::raise(&job.setup, &extra, &site, binary)? {
        Raising::Done(raised) => raised,
        Raising::Refused(reason) => return Message::LeftOut { setup: job.setup, reason }.say(),
    };
    thread::sleep(SETTLE);
    let before = map(&site, &raised, job.flows)?;
    let shares = (0..site.ports.len()).map(|port| count(before.values(), |other| **other == port)).collect();
    let moves = if job.leave { Some(leave(&site, &raised, &before, job.flows)?) } else { None };
    drop(raised);
    drop(site);
    let same_as_bonding = if job.parity { Some(same_as_bonding(job, &before, binary)?) } else { None };
    Message::Spread(Spread { job: job.clone(), shares, moves, same_as_bonding }).say()
}

/// How many flows take the same port with bonding.
fn same_as_bonding(job: &SpreadJob, ours: &Map, binary: &Path) -> Result<u64> {
    let site = Site::new(job.setup.ports)?;
    let setup = Setup { contender: Contender::Bonding, ..job.setup };
    let Raising::Done(raised) = contender::raise(&setup, &Extra::default(), &site, binary)? else { return Ok(0) };
    thread::sleep(SETTLE);
    let theirs = map(&site, &raised, job.flows)?;
    Ok(count(ours.iter(), |(flow, port)| theirs.get(flow) == Some(port)))
}

/// The last port leaves and returns.
fn leave(site: &Site, raised: &Raised<'_>, before: &Map, flows: u32) -> Result<Moves> {
    let last = site.ports.len() - 1;
    let name = &site.ports[last];
    site.far.ip(&format!("link set {name} down"))?;
    thread::sleep(SETTLE);
    let without = map(site, raised, flows)?;
    site.far.ip(&format!("link set {name} up"))?;
    thread::sleep(SETTLE);
    let after = map(site, raised, flows)?;
    Ok(Moves {
        own: count(before.values(), |port| **port == last),
        others: count(before.iter(), |(flow, port)| **port != last && without.get(flow) != Some(port)),
        not_back: count(before.iter(), |(flow, port)| after.get(flow) != Some(port)),
    })
}

/// The port of each flow: one frame of each is sent.
fn map(site: &Site, raised: &Raised<'_>, flows: u32) -> Result<Map> {
    let capture = Capture::start(site)?;
    let traffic = Traffic { flows, ..SMALL_V4 };
    pktgen::send(&site.host, &raised.interface, &traffic, NOBODY, flows)?;
    let map: Map = capture.stop()?.into_iter().map(|frame| (frame.flow, frame.port)).collect();
    ensure!(map.len() == flows as usize, "of {flows} flows {} came out", map.len());
    Ok(map)
}

fn count<T>(all: impl Iterator<Item = T>, one: impl Fn(&T) -> bool) -> u64 {
    all.filter(one).map(|_| 1).sum()
}
