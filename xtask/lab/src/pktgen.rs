//! The kernel's packet generator.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail, ensure};

use super::question::{Encapsulation, Traffic};
use aggctl_testbed::netns::NetworkNamespace;

/// Its directory in the namespace of the thread that looks.
const DIRECTORY: &str = "/proc/thread-self/net/pktgen";
/// The generator's thread of the first processor.
const THREAD: &str = "kpktgend_0";
/// The first UDP port at either end.
const FIRST_PORT: u32 = 1000;

/// What a run took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PktgenRun {
    /// Frames that were sent.
    pub packets: u32,
    /// From the first to the last.
    pub total: Duration,
    /// Of these, while the generator's thread did not wait for others.
    pub busy: Duration,
}

/// Sends frames through an interface as the host would (`queue_xmit`), as fast as goes.
///
/// # Errors
///
/// When there is no generator (the module is `pktgen`), or it could not send them all.
pub fn send(
    namespace: &NetworkNamespace,
    interface: &str,
    traffic: &Traffic,
    to: &str,
    packets: u32,
) -> Result<PktgenRun> {
    let settings = settings(traffic, to, packets);
    namespace.enter(|| {
        let file = |name: &str| PathBuf::from(DIRECTORY).join(name);
        let write = |name: &str, text: &str| {
            // The last byte is taken for the end of a line.
            fs::write(file(name), format!("{text}\n")).with_context(|| format!("pktgen refused `{text}` for {name}"))
        };
        write(THREAD, "rem_device_all")?;
        write(THREAD, &format!("add_device {interface}"))?;
        for setting in &settings {
            write(interface, setting)?;
        }
        if !traffic.held {
            // A flag that it does not know is no error for it.
            write(interface, "flag !SHARED")?;
            let text = fs::read_to_string(file(interface)).with_context(|| format!("pktgen lost {interface}"))?;
            ensure!(text.contains("Result: OK"), "this kernel's pktgen holds on to its frames (before Linux 6.7)");
        }
        write("pgctrl", "start")?;
        let text = fs::read_to_string(file(interface)).with_context(|| format!("pktgen lost {interface}"))?;
        let run = read(&text).with_context(|| format!("pktgen on {interface} says: {text}"))?;
        ensure!(run.packets == packets, "pktgen sent {} of {packets} frames through {interface}", run.packets);
        write(THREAD, "rem_device_all")?;
        Ok(run)
    })
}

/// The numbers of source and destination ports that make so many flows: powers of 5 and of 2 have no common divisor, so
/// when both ports go up by one from frame to frame every pair comes up before one comes again.
fn spread(flows: u32) -> (u32, u32) {
    let mut ports = (1, 1);
    let mut left = flows;
    while left > 1 {
        ports = (ports.0 * 5, ports.1 * 2);
        left /= 10;
    }
    ports
}

fn settings(traffic: &Traffic, to: &str, packets: u32) -> Vec<String> {
    let (sources, destinations) = spread(traffic.flows);
    // The upper bounds of ports are not part of the range.
    let mut settings = vec![
        format!("count {packets}"),
        "clone_skb 0".to_owned(),
        "delay 0".to_owned(),
        "xmit_mode queue_xmit".to_owned(),
        format!("pkt_size {}", traffic.size.bytes(traffic.protocol)),
        format!("dst_mac {to}"),
        format!("udp_src_min {FIRST_PORT}"),
        format!("udp_src_max {}", FIRST_PORT.saturating_add(sources)),
        format!("udp_dst_min {FIRST_PORT}"),
        format!("udp_dst_max {}", FIRST_PORT.saturating_add(destinations)),
    ];
    let addresses: &[&str] = match traffic.protocol {
        Encapsulation::V4 => &["src_min 198.18.0.1", "dst_min 198.18.0.2"],
        Encapsulation::V6 => &["src6 2001:db8::1", "dst6 2001:db8::2"],
        Encapsulation::Vlan => &["src_min 198.18.0.1", "dst_min 198.18.0.2", "vlan_id 10"],
    };
    settings.extend(addresses.iter().map(ToString::to_string));
    settings
}

/// Reads `Result: OK: 300555(c300443+d111) usec, 100000 (60byte,0frags)`.
fn read(text: &str) -> Result<PktgenRun> {
    let line = text.lines().find_map(|line| line.strip_prefix("Result: OK: ")).context("no result")?;
    let mut numbers = line.split(|character: char| !character.is_ascii_digit()).filter(|word| !word.is_empty());
    let mut number = || numbers.next().context("too few numbers").and_then(|word| Ok(word.parse::<u64>()?));
    let (total, busy, _idle, packets) = (number()?, number()?, number()?, number()?);
    if packets == 0 {
        bail!("nothing was sent");
    }
    Ok(PktgenRun {
        packets: u32::try_from(packets)?,
        total: Duration::from_micros(total),
        busy: Duration::from_micros(busy),
    })
}

impl PktgenRun {
    /// Nanoseconds for each frame; on the deterministic clock, instructions.
    pub fn each(&self) -> f64 {
        nanoseconds(self.total) / f64::from(self.packets)
    }

    /// The same without the time when other threads ran.
    pub fn each_busy(&self) -> f64 {
        nanoseconds(self.busy) / f64::from(self.packets)
    }
}

fn nanoseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e9
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, time::Duration};

    use super::{read, spread};

    #[test]
    fn a_result_is_read() {
        let text = "Params: count 100000\nResult: OK: 300555(c300443+d111) usec, 100000 (60byte,0frags)\n  332717pps";
        let run = read(text).unwrap();
        assert_eq!((run.packets, run.total), (100_000, Duration::from_micros(300_555)));
        assert_eq!(run.busy, Duration::from_micros(300_443));
        assert!((run.each() - 3005.55).abs() < 1e-6);
    }

    #[test]
    fn a_run_that_failed_is_no_result() {
        assert!(read("Result: Idle").is_err());
    }

    #[test]
    fn as_many_flows_take_turns_as_were_asked_for() {
        for flows in [1, 10, 1000, 100_000] {
            let (sources, destinations) = spread(flows);
            let pairs: BTreeSet<_> = (0..flows).map(|frame| (frame % sources, frame % destinations)).collect();
            assert_eq!(pairs.len(), flows as usize);
        }
    }
}
