//! How long traffic is away when a cable is cut, and how much of it is lost.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, UdpSocket},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};

use super::{
    contender::{self, Extra, Raised, Raising},
    frame::NumberedFrame,
    iproute,
    job::FailoverJob,
    job::Means,
    message::Message,
    outcome::Failover,
    site::Site,
};

/// The sender and a receiver that nobody is.
const HOST: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
const NOBODY: (Ipv4Addr, &str) = (Ipv4Addr::new(198, 18, 0, 2), "02:00:00:00:ff:ff");
const UDP_PORT: u16 = 9;
/// How long frames are sent in a trial: some before the cut, and longer after it than the slowest contender needs.
const LENGTH: Duration = Duration::from_millis(900);
/// The cut comes after this, and a little more in each trial, so that it meets every phase of a regular poll.
const LEAD: Duration = Duration::from_millis(150);
const STEP: Duration = Duration::from_micros(13_700);
const STEPS: u32 = 10;
/// How long the ports get to recover between trials.
const RECOVER: Duration = Duration::from_secs(3);

/// Measures, and tells.
///
/// # Errors
///
/// When the setup fails, or traffic does not come back.
pub fn measure(job: &FailoverJob, means: &Means) -> Result<()> {
    let extra = Extra { poll: job.poll, ..Extra::default() };
    let site = Site::of(job.cable, job.setup.ports, &means.borrowed)?;
    let raised = match contender::raise(&job.setup, &extra, &site, &means.binary)? {
        Raising::Done(raised) => raised,
        Raising::Refused(reason) => return Message::LeftOut { setup: job.setup, reason }.say(),
    };
    address(&site, &raised)?;
    if job.orphaned {
        raised.orphan()?;
    }
    let socket = site.host.enter(|| Ok(UdpSocket::bind((HOST, 0))?))?;
    socket.connect((NOBODY.0, UDP_PORT))?;
    let mut result = Failover { job: *job, gap_ms: Vec::new(), lost: Vec::new() };
    for trial in 0..job.trials {
        site.wait_for_carriers()?;
        thread::sleep(RECOVER);
        let (gap, lost) = cut(&site, &socket, job.rate, trial)?;
        result.gap_ms.push(gap.as_secs_f64() * 1e3);
        result.lost.push(lost);
    }
    Message::Failover(result).say()
}

fn address(site: &Site, raised: &Raised<'_>) -> Result<()> {
    let interface = &raised.interface;
    let (nobody, mac) = NOBODY;
    iproute::batch(
        &site.host,
        &format!(
            "address add {HOST}/24 dev {interface}\nneighbour replace {nobody} lladdr {mac} dev {interface} nud \
             permanent\n"
        ),
    )
}

/// One trial: how long nothing came out, and how many frames never did.
fn cut(site: &Site, socket: &UdpSocket, rate: u32, trial: u32) -> Result<(Duration, u32)> {
    let sound = active(site, socket)?;
    let (sent, frames) = site.record(|| {
        thread::scope(|scope| {
            let sending = scope.spawn(|| send(socket, rate));
            thread::sleep(LEAD + STEP * (trial % STEPS));
            site.plug(sound, false)?;
            match sending.join() {
                Ok(sent) => Ok(sent),
                Err(_) => bail!("the thread that sends died"),
            }
        })
    })?;
    site.plug(sound, true)?;
    let numbers: BTreeSet<u32> = frames.iter().map(|frame| frame.number).collect();
    let arrived = u32::try_from(numbers.len())?;
    ensure!(arrived <= sent, "more frames arrived than were sent");
    Ok((gap(&frames)?, sent - arrived))
}

/// The place of the port that carries a frame.
fn active(site: &Site, socket: &UdpSocket) -> Result<usize> {
    let (_, frames) = site.record(|| socket.send(&[0; 4]).context("a frame before the cut"))?;
    Ok(frames.first().context("nothing comes out before the cut")?.port)
}

/// Sends numbered frames at a rate. What the system refuses to send counts as sent: it is lost for its sender.
fn send(socket: &UdpSocket, rate: u32) -> u32 {
    let begin = Instant::now();
    let mut number = 0_u32;
    while begin.elapsed() < LENGTH {
        let _ = socket.send(&number.to_be_bytes());
        number += 1;
        let next = Duration::from_secs(1) * number / rate;
        thread::sleep(next.saturating_sub(begin.elapsed()));
    }
    number
}

/// The time between the last frame on the first port and the next one on another.
fn gap(frames: &[NumberedFrame]) -> Result<Duration> {
    let first = frames.first().context("nothing came out")?.port;
    let last = frames.iter().rposition(|frame| frame.port == first).unwrap_or(0);
    let next = frames.get(last + 1).context("nothing came out of another port after the cut")?;
    Ok(next.at.saturating_sub(frames[last].at))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{NumberedFrame, gap};

    #[test]
    fn the_gap_is_between_the_ports() {
        let frame = |at, port| NumberedFrame { at: Duration::from_millis(at), port, flow: (1, 9), number: 0 };
        let frames = [frame(0, 1), frame(1, 1), frame(31, 0), frame(32, 0)];
        assert_eq!(gap(&frames).unwrap(), Duration::from_millis(30));
        assert!(gap(&frames[..2]).is_err());
    }
}
