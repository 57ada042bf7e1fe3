//! The kernel's bonding driver.

use anyhow::Result;

use super::Extra;
use crate::lab::{
    question::Mode,
    site::{self, AGGREGATE, Site},
};

/// How often distributions let it look at carriers, milliseconds.
const USUAL_POLL: u32 = 100;

/// Makes a bond of all ports, with the usual monitoring of carriers.
///
/// # Errors
///
/// When the kernel has no bonding.
pub fn raise(mode: Mode, extra: &Extra, site: &Site) -> Result<()> {
    let mode = match mode {
        Mode::ActiveBackup => "active-backup",
        Mode::Hash => "balance-xor xmit_hash_policy layer3+4",
        Mode::RoundRobin => "balance-rr",
    };
    let poll = extra.poll.unwrap_or(USUAL_POLL);
    let mut lines = format!("link add {AGGREGATE} type bond mode {mode} miimon {poll}\n");
    for port in &site.ports {
        lines += &format!("link set {port} down\nlink set {port} master {AGGREGATE}\n");
    }
    lines += &format!("link set {AGGREGATE} up\n");
    site::batch(&site.host, &lines)
}
