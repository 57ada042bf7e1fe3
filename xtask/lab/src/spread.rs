//! Which flow takes which port, and which flows move when a port leaves and returns.

use std::{collections::BTreeMap, path::Path, thread, time::Duration};

use anyhow::{Result, ensure};

use super::{
    capture::CableCapture,
    contender::{self, Extra, Raised, Raising},
    job::SpreadJob,
    message::Message,
    outcome::{FlowSpread, Moves},
    pktgen,
    question::{Contender, Setup, Traffic},
    schedule::SMALL_V4,
    site::Site,
};

/// A MAC that nobody has.
const NOBODY: &str = "02:00:00:00:ff:ff";
/// How long everybody gets to notice a change of a carrier.
const SETTLE: Duration = Duration::from_secs(3);

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
    Message::Spread(FlowSpread { job: job.clone(), shares, moves, same_as_bonding }).say()
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
    let capture = CableCapture::start(&site.far, &site.ports)?;
    let traffic = Traffic { flows, ..SMALL_V4 };
    pktgen::send(&site.host, &raised.interface, &traffic, NOBODY, flows)?;
    let map: Map = capture.stop()?.into_iter().map(|frame| (frame.flow, frame.port)).collect();
    ensure!(map.len() == flows as usize, "of {flows} flows {} came out", map.len());
    Ok(map)
}

fn count<T>(all: impl Iterator<Item = T>, one: impl Fn(&T) -> bool) -> u64 {
    all.filter(one).map(|_| 1).sum()
}
