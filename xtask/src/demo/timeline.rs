//! The steps of the demo as they happen, with what they cost.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

use aggctl_testbed::traffic::{
    ping::{PingMark, PingStream, Stats},
    tcp::TcpTransfer,
};
use aggctl_tools::interrupt::Interrupt;

/// How long traffic is watched after a step.
const WATCH: Duration = Duration::from_millis(1_500);
/// Measures and prints.
pub struct Timeline<'a> {
    pings: &'a PingStream,
    stream: &'a TcpTransfer,
    interrupt: &'a Interrupt,
    begin: Instant,
    /// Up to when requests belong to steps that are over.
    counted: PingMark,
    bytes: u64,
    lost: BTreeMap<String, u64>,
    /// Answers that the kernel had no room to send, which are not lost.
    unsent: u64,
}

impl<'a> Timeline<'a> {
    /// Prints the heading.
    ///
    /// # Errors
    ///
    /// When the pings cannot be counted.
    pub fn begin(pings: &'a PingStream, stream: &'a TcpTransfer, interrupt: &'a Interrupt) -> Result<Self> {
        println!("{:>7}  {:<44} {:>8} {:>8} {:>12}  active port", "second", "step", "gap ms", "lost", "TCP MiB/s");
        let counted = pings.mark()?;
        Ok(Self {
            pings,
            stream,
            interrupt,
            begin: Instant::now(),
            counted,
            bytes: stream.checked(),
            lost: BTreeMap::new(),
            unsent: 0,
        })
    }

    /// Carries out a step, watches the traffic, and prints a line. `active` tells the active port afterwards.
    ///
    /// # Errors
    ///
    /// When the step fails, the TCP connection ended or moved no byte, or we are asked to leave.
    pub fn step(
        &mut self,
        what: &str,
        action: impl FnOnce() -> Result<()>,
        active: impl FnOnce() -> Result<Option<String>>,
    ) -> Result<()> {
        self.interrupt.check()?;
        let begin = Instant::now();
        action()?;
        self.interrupt.pause(WATCH)?;
        let active = active()?;

        let end = self.pings.mark()?;
        let bytes = self.stream.checked();
        let Stats { sent, lost, unsent, longest_gap, .. } = self.pings.between(self.counted, end)?;
        let moved = f64::from(u32::try_from(bytes - self.bytes)?) / (1024.0 * 1024.0);
        println!(
            "{:>7.2}  {what:<44} {:>8.1} {:>8} {:>12.1}  {}",
            (begin - self.begin).as_secs_f64(),
            longest_gap.as_secs_f64() * 1000.0,
            format!("{lost}/{sent}"),
            moved / (end.at - self.counted.at).as_secs_f64(),
            active.as_deref().unwrap_or("-"),
        );
        if let Some(failure) = self.stream.failure() {
            bail!("the TCP connection ended during \"{what}\": {failure}");
        }
        if bytes == self.bytes {
            bail!("the TCP connection moved no byte during \"{what}\"");
        }
        self.lost.insert(what.to_owned(), lost);
        self.unsent += unsent;
        (self.counted, self.bytes) = (end, bytes);
        Ok(())
    }

    /// Prints what it came to.
    pub fn finish(self) {
        let lost: u64 = self.lost.values().sum();
        let mib = f64::from(u32::try_from(self.stream.checked() / 1024).unwrap_or(u32::MAX)) / 1024.0;
        println!(
            "\nlost in all: {lost}; the TCP connection carried {mib:.0} MiB there and back, every byte as it was sent"
        );
        if self.unsent > 0 {
            println!("beside these, the kernel had no room to send {} answers that were asked for", self.unsent);
        }
    }
}
