//! What goes through: one TCP connection with as much as goes, and as many UDP datagrams as go.

use std::{net::Ipv4Addr, path::Path, process::Command, thread, time::Duration};

use anyhow::Result;

use super::{
    contender::{self, Extra, Raising},
    iproute,
    job::Means,
    job::ThroughputJob,
    message::Message,
    outcome::Throughput,
    question::{Clock, Direction, TransferKind},
    site::Site,
};
use aggctl_testbed::{netns::NetworkNamespace, traffic::bulk};
use aggctl_tools::process;

/// The host's address, and that of the bridge into which its cables go.
const HOST: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
const PEER: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);
const BRIDGE: &str = "br0";
/// How long it runs, after a time of the same length that warms up.
const LENGTH: Duration = Duration::from_millis(400);
/// The same on the wall's clock, where a moment's disturbance must not decide.
const LONG: Duration = Duration::from_secs(1);
/// What is switched off: what `ethtool` calls it, and the short names by which it is told.
const OFFLOADS: [(&str, &str); 3] = [
    ("tcp-segmentation-offload: on", "tso"),
    ("generic-segmentation-offload: on", "gso"),
    ("generic-receive-offload: on", "gro"),
];

/// Measures, and tells.
///
/// # Errors
///
/// When the setup fails, or the connection breaks.
pub fn measure(job: &ThroughputJob, means: &Means) -> Result<()> {
    let site = Site::of(job.cable, job.setup.ports, &means.borrowed)?;
    let raised = match contender::raise(&job.setup, &Extra::default(), &site, &means.binary)? {
        Raising::Done(raised) => raised,
        Raising::Refused(reason) => return Message::LeftOut { setup: job.setup, reason }.say(),
    };
    let mut lines =
        format!("link add {BRIDGE} type bridge\nlink set {BRIDGE} up\naddress add {PEER}/24 dev {BRIDGE}\n");
    for port in &site.ports {
        lines += &format!("link set {port} master {BRIDGE}\n");
    }
    iproute::batch(&site.far, &lines)?;
    site.host.ip(&format!("address add {HOST}/24 dev {}", raised.interface))?;
    let _switched = if job.offloads { None } else { Some(Switched::off(&site, &raised.interface)?) };
    thread::sleep(Duration::from_secs(3));
    let length = if job.clock == Clock::Wall { LONG } else { LENGTH };
    for direction in [Direction::Tx, Direction::Rx] {
        let run = || -> Result<f64> {
            let to_host = direction == Direction::Rx;
            Ok(match job.transport {
                TransferKind::Tcp => bulk::tcp(&site.host, &site.far, HOST, to_host, length)? / 1e6,
                TransferKind::Udp => bulk::datagrams(&site.host, &site.far, HOST, to_host, length)? / 1e3,
            })
        };
        run()?;
        Message::Throughput(Throughput { job: *job, direction, rate: run()? }).say()?;
    }
    Ok(())
}

/// Offloads that are off. Dropping this switches them on again: interfaces that are borrowed outlive the measurement.
struct Switched<'a>(Vec<(&'a NetworkNamespace, String, Vec<&'static str>)>);

impl<'a> Switched<'a> {
    /// Switches those off that are on, of the aggregate and of both ends of its cables.
    fn off(site: &'a Site, interface: &str) -> Result<Self> {
        let mut switched = Self(Vec::new());
        let near = site.ports.iter().map(String::as_str).chain([interface]).map(|name| (&site.host, name));
        for (namespace, name) in near.chain(site.ports.iter().map(|name| (&site.far, name.as_str()))) {
            let features = process::read(ethtool(namespace).args(["-k", name]))?;
            let on = OFFLOADS.into_iter().filter(|(long, _)| features.contains(long)).map(|(_, short)| short).collect();
            switch(namespace, name, &on, "off")?;
            switched.0.push((namespace, name.to_owned(), on));
        }
        Ok(switched)
    }
}

impl Drop for Switched<'_> {
    fn drop(&mut self) {
        for (namespace, name, offloads) in &self.0 {
            if let Err(error) = switch(namespace, name, offloads, "on") {
                eprintln!("lab: {error:#}");
            }
        }
    }
}

fn switch(namespace: &NetworkNamespace, name: &str, offloads: &Vec<&str>, state: &str) -> Result<()> {
    if offloads.is_empty() {
        return Ok(());
    }
    process::read(ethtool(namespace).args(["-K", name]).args(offloads.iter().flat_map(|offload| [*offload, state])))
        .map(drop)
}

fn ethtool(namespace: &NetworkNamespace) -> Command {
    namespace.command(&process::find("ethtool").unwrap_or_else(|| Path::new("ethtool").to_path_buf()))
}

/// One for each that was measured several times: the middle one.
pub fn medians(all: &[Throughput]) -> Vec<Throughput> {
    let mut medians: Vec<Throughput> = Vec::new();
    for one in all {
        let same = |other: &&Throughput| other.job == one.job && other.direction == one.direction;
        if medians.iter().any(|other| same(&other)) {
            continue;
        }
        let mut rounds: Vec<Throughput> = all.iter().filter(same).copied().collect();
        rounds.sort_by(|a, b| a.rate.total_cmp(&b.rate));
        medians.extend(rounds.get(rounds.len() / 2));
    }
    medians
}

#[cfg(test)]
mod tests {
    use super::{Throughput, ThroughputJob, medians};
    use crate::{
        figures::tests::setup,
        question::{Cable, Clock, Contender, Direction, TransferKind},
    };

    #[test]
    fn rounds_become_their_median() {
        let setup = setup(Contender::Bare);
        let job = ThroughputJob {
            setup,
            cable: Cable::Veth,
            transport: TransferKind::Tcp,
            offloads: true,
            clock: Clock::Wall,
        };
        let one = |direction, rate| Throughput { job, direction, rate };
        let all = [5.0, 1.0, 3.0].map(|rate| one(Direction::Tx, rate));
        assert_eq!(medians(&[&all[..], &[one(Direction::Rx, 7.0)]].concat()), [all[2], one(Direction::Rx, 7.0)]);
    }
}
