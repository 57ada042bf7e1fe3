//! The agent: our own program as the first process of a machine, in the host's root under an overlay.

mod command;
mod control;
mod monitor;
mod output;
mod ports;
mod prepare;

use std::{fs, thread, time::Duration};

use anyhow::{Context, Result, ensure};

use self::{control::ControlChannel, ports::ChannelPorts};
use super::{
    message::FromGuest,
    plan::{self, Plan},
};

/// Prepares the machine, runs the command and reports how it ended. The host ends the machine then.
///
/// # Errors
///
/// When this is no machine of ours, or the host cannot be reached; the kernel panics then, as its first process ends.
pub fn run() -> Result<()> {
    ensure!(std::process::id() == 1, "--guest is for the first process of a machine");
    let ports = ChannelPorts::open()?;
    let control = ControlChannel::start(ports.control)?;
    let plan = fs::read(plan::FILE).with_context(|| format!("cannot read {}", plan::FILE))?;
    let plan: Plan = serde_json::from_slice(&plan).with_context(|| format!("{} is no plan", plan::FILE))?;
    let prepared = prepare::all(&plan).and_then(|()| monitor::start(&control));
    let end = match prepared {
        Ok(()) => {
            control.send(&FromGuest::Ready)?;
            command::run(&plan, ports.stdout, ports.stderr)?
        }
        Err(error) => FromGuest::Failed(format!("{error:#}")),
    };
    rustix::fs::sync();
    control.send(&end)?;
    loop {
        thread::sleep(Duration::from_secs(3600));
    }
}
