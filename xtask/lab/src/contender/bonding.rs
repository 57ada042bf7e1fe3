//! The kernel's bonding driver.

use anyhow::Result;

use super::Extra;
use crate::{
    iproute,
    question::Mode,
    site::{AGGREGATE, Site},
};

/// How often distributions let it look at carriers, milliseconds.
const USUAL_POLL: u32 = 100;

/// Makes a bond of all ports, with the usual monitoring of carriers. That the kernel has no bonding comes back as a
/// reason.
///
/// # Errors
///
/// When a port cannot be joined.
pub fn raise(mode: Mode, extra: &Extra, site: &Site) -> Result<Result<(), String>> {
    let mode = match mode {
        Mode::ActiveBackup => "active-backup",
        Mode::Hash => "balance-xor xmit_hash_policy layer3+4",
        Mode::RoundRobin => "balance-rr",
    };
    let poll = extra.poll.unwrap_or(USUAL_POLL);
    if let Err(error) = site.host.ip(&format!("link add {AGGREGATE} type bond mode {mode} miimon {poll}")) {
        return Ok(Err(format!("{error:#}")));
    }
    let mut lines = String::new();
    for port in &site.ports {
        lines += &format!("link set {port} down\nlink set {port} master {AGGREGATE}\n");
    }
    lines += &format!("link set {AGGREGATE} up\n");
    iproute::batch(&site.host, &lines).map(Ok)
}
