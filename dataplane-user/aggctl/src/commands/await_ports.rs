//! Waiting for ports that are not there yet: drivers may be slow, and udev renames.

use std::{
    io::Write as _,
    time::{Duration, Instant},
};

use aggctl_engine::config::AggregateConfig;
use aggctl_kernel::{error::KernelError, netlink::Netlink, watch::Watcher};
use sd_notify::NotifyState;

use crate::{cli::Limit, controller::sleep_until, failure::Failure, service};

/// How often the service manager is told that this is still going on.
const REMINDER: Duration = Duration::from_secs(30);
/// How long it takes that for granted, microseconds: longer than a reminder needs, and an attach after it.
const EXTENSION: u32 = 120_000_000;

/// Waits until there is an interface of each port's name. Events wake it; nothing is changed. To be called in a
/// runtime.
///
/// # Errors
/// If they are not there in time, or the kernel cannot be asked.
pub async fn await_ports(config: &AggregateConfig, limit: Limit) -> Result<(), Failure> {
    let until = limit.duration().map(|limit| Instant::now() + limit);
    // Before the first look: what comes after that is received.
    let mut watcher = Watcher::open()?;
    let mut netlink = Netlink::open()?;
    let mut reminder = tokio::time::interval(REMINDER);
    let mut told = String::new();
    loop {
        let missing = missing(&mut netlink, config)?;
        if missing.is_empty() {
            return Ok(());
        }
        if told.is_empty() {
            // That it cannot be written is no failure of the command.
            let _ = writeln!(std::io::stderr(), "aggctl: waiting {limit} for {missing} to appear");
        }
        if told != missing {
            service::tell(&[NotifyState::Status(&format!("waiting for {missing} to appear"))]);
            told = missing;
        }
        tokio::select! {
            batch = watcher.next() => drop(batch?),
            _ = reminder.tick() => service::tell(&[NotifyState::ExtendTimeoutUsec(EXTENSION)]),
            () = sleep_until(until) => return Err(Failure::Refused(format!(
                "there is still no interface {told}; see `ip link`, or let --wait be longer; nothing was changed"
            ))),
        }
    }
}

/// The ports that have no interface, in words; empty if all have one.
fn missing(netlink: &mut Netlink, config: &AggregateConfig) -> Result<String, KernelError> {
    let mut names = Vec::new();
    for port in &config.ports {
        if netlink.link_named(&port.name)?.is_none() {
            names.push(port.name.as_str());
        }
    }
    Ok(names.join(", "))
}
