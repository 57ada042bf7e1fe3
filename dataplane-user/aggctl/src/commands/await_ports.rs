//! Waiting for ports that are not there yet: drivers may be slow, and udev renames.

use std::{
    io::Write as _,
    time::{Duration, Instant},
};

use aggctl_engine::{
    config::{AggregateConfig, Wiring},
    host::Link,
};
use aggctl_kernel::{error::KernelError, netlink::Netlink, watch::Watcher};
use sd_notify::NotifyState;

use crate::{cli::Limit, controller::sleep_until, failure::Failure, service};

/// How often the service manager is told that this is still going on.
const REMINDER: Duration = Duration::from_secs(30);
/// How long it takes that for granted, microseconds: longer than a reminder needs, and an attach after it.
const EXTENSION: u32 = 120_000_000;

/// Waits until there is an interface of each port's name; if none is named, until there is a driver's device of the
/// aggregate's name. If there is such a device, until the named ports are its members. Events wake it; nothing is
/// changed. To be called in a runtime.
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

/// The ports that have no interface, or are no members yet, and the driver's device, in words; empty if all are there.
fn missing(netlink: &mut Netlink, config: &AggregateConfig) -> Result<String, KernelError> {
    let may_be_over = matches!(config.wiring, Wiring::Over | Wiring::Auto);
    let device = if may_be_over { netlink.link_named(&config.name)? } else { None };
    let mut names = Vec::new();
    if may_be_over && config.ports.is_empty() && device.is_none() {
        names.push(config.name.as_str());
    }
    for port in &config.ports {
        let link = netlink.link_named(&port.name)?;
        let is_member = |link: &Link| device.as_ref().is_none_or(|device| link.master == Some(device.index));
        if !link.is_some_and(|link| is_member(&link)) {
            names.push(port.name.as_str());
        }
    }
    Ok(names.join(", "))
}
