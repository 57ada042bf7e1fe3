//! Instructions for each frame.

use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::{
    contender::{self, Extra, Raised, Raising},
    iproute,
    job::CostJob,
    message::Message,
    outcome::Cost,
    pktgen::{self, PktgenRun},
    question::{Direction, Traffic},
    schedule::SMALL_V4,
    site::Site,
};

/// A MAC that nobody has: who receives such a frame drops it as soon as it has looked at it.
const NOBODY: &str = "02:00:00:00:ff:ff";
/// Frames that warm caches and show which port carries the traffic.
const WARM_UP: u32 = 1000;

/// Measures, and tells each figure as it comes.
///
/// # Errors
///
/// When the setup fails, or frames did not arrive.
pub fn measure(job: &CostJob, binary: &Path) -> Result<()> {
    let site = Site::new(job.setup.ports)?;
    let raised = match contender::raise(&job.setup, &Extra::default(), &site, binary)? {
        Raising::Done(raised) => raised,
        Raising::Refused(reason) => return Message::LeftOut { setup: job.setup, reason }.say(),
    };
    let port = busiest(&site, &raised)?;
    let mut dropping = false;
    for traffic in &job.traffic {
        if traffic.direction == Direction::Rx && !dropping {
            drop_received(&site, &raised)?;
            dropping = true;
        }
        let run = match run(&site, &raised, &port, traffic, job.packets) {
            Ok(run) => run,
            // An old kernel cannot; all else is measured.
            Err(error) if !traffic.held => {
                Message::Failed(format!("{error:#}")).say()?;
                continue;
            }
            Err(error) => return Err(error),
        };
        let (instructions, busy) = (run.each(), run.each_busy());
        Message::Cost(Cost { setup: job.setup, traffic: *traffic, instructions, busy }).say()?;
    }
    Ok(())
}

/// Sends or receives. What is received must be dropped: [`drop_received`].
///
/// # Errors
///
/// When frames did not arrive.
pub fn run(site: &Site, raised: &Raised<'_>, port: &str, traffic: &Traffic, packets: u32) -> Result<PktgenRun> {
    match traffic.direction {
        Direction::Tx => send(site, raised, traffic, packets),
        Direction::Rx => receive(site, raised, port, traffic, packets),
    }
}

/// The port through which the aggregate sends (most).
///
/// # Errors
///
/// When the generator fails.
pub fn busiest(site: &Site, raised: &Raised<'_>) -> Result<String> {
    let before = site.received()?;
    pktgen::send(&site.host, &raised.interface, &SMALL_V4, NOBODY, WARM_UP)?;
    let after = site.received()?;
    let sent = after.iter().zip(&before).map(|(after, before)| after - before);
    let most = sent.zip(&site.ports).rev().max_by_key(|(frames, _)| *frames);
    most.map(|(_, port)| port.clone()).context("there are no ports")
}

/// The generator sends through the aggregate; the other ends drop what is not for them.
fn send(site: &Site, raised: &Raised<'_>, traffic: &Traffic, packets: u32) -> Result<PktgenRun> {
    let before: u64 = site.received()?.iter().sum();
    let run = pktgen::send(&site.host, &raised.interface, traffic, NOBODY, packets)?;
    let after: u64 = site.received()?.iter().sum();
    ensure!(after - before >= u64::from(packets), "of {packets} frames only {} came out", after - before);
    Ok(run)
}

/// The generator sends into the far end of a port; the aggregate drops what it gets.
fn receive(site: &Site, raised: &Raised<'_>, port: &str, traffic: &Traffic, packets: u32) -> Result<PktgenRun> {
    let to = iproute::mac(&site.host, &raised.interface)?;
    let before = dropped(site, raised)?;
    let run = pktgen::send(&site.far, port, traffic, &to, packets)?;
    let after = dropped(site, raised)?;
    ensure!(after - before >= u64::from(packets), "of {packets} frames only {} came in", after - before);
    Ok(run)
}

/// Drops what the aggregate (or bare port) receives before any protocol sees it, the same for all contenders.
///
/// # Errors
///
/// When `tc` fails.
pub fn drop_received(site: &Site, raised: &Raised<'_>) -> Result<()> {
    let interface = &raised.interface;
    iproute::tc(&site.host, &format!("qdisc replace dev {interface} clsact"))?;
    iproute::tc(&site.host, &format!("filter add dev {interface} ingress matchall action drop"))?;
    Ok(())
}

/// How many frames that filter has dropped so far.
fn dropped(site: &Site, raised: &Raised<'_>) -> Result<u64> {
    let text = iproute::tc(&site.host, &format!("-json -statistics filter show dev {} ingress", raised.interface))?;
    let filters: serde_json::Value = serde_json::from_str(&text).context("tc printed no JSON")?;
    let mut all = filters.as_array().into_iter().flatten();
    let count = |filter: &serde_json::Value| filter["options"]["actions"][0]["stats"]["drops"].as_u64();
    all.find_map(count).with_context(|| format!("the filter of {} does not count", raised.interface))
}
