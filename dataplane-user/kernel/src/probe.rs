//! Whether this process may, and this kernel can, do what an aggregate needs; before anything is touched.

use std::fs;

use crate::{error::KernelError, netns};

/// Numbers of capabilities (`CAP_*`).
const NET_ADMIN: u32 = 12;
/// `CAP_NET_RAW`.
const NET_RAW: u32 = 13;
/// `CAP_SYS_ADMIN`.
const SYS_ADMIN: u32 = 21;
/// `CAP_BPF` (Linux 5.8).
const BPF: u32 = 39;

/// What is missing.
#[derive(Debug, thiserror::Error)]
pub enum Missing {
    /// Privilege.
    #[error("not permitted: {} missing; run as root", .0.join(" and "))]
    Privilege(Vec<&'static str>),
    /// Something of the kernel.
    #[error("this kernel has no {what}, which is there since Linux {since}")]
    Kernel {
        /// What.
        what: &'static str,
        /// Since which version.
        since: &'static str,
    },
    /// It cannot be found out.
    #[error(transparent)]
    Unknown(#[from] KernelError),
}

/// Checks that this process may change interfaces, load programs and send frames.
///
/// # Errors
///
/// [`Missing::Privilege`], which names the capabilities that are missing.
pub fn privilege() -> Result<(), Missing> {
    const STATUS: &str = "/proc/thread-self/status";
    let status = fs::read_to_string(STATUS).map_err(|error| KernelError::refused(STATUS, "read", error))?;
    let missing = missing(effective(&status));
    if missing.is_empty() { Ok(()) } else { Err(Missing::Privilege(missing)) }
}

/// Checks that the kernel has what every wiring needs, as far as that can be known without making anything.
///
/// # Errors
///
/// [`Missing::Kernel`], which names what is missing and since which version it is there.
pub fn kernel() -> Result<(), Missing> {
    match netns::cookie() {
        Ok(_) => Ok(()),
        Err(error) if error.errno() == Some(rustix::io::Errno::NOPROTOOPT) => {
            Err(Missing::Kernel { what: "network namespace cookies", since: "5.14" })
        }
        Err(error) => Err(error.into()),
    }
}

/// The effective capabilities, one bit each.
fn effective(status: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    line.and_then(|hexadecimal| u64::from_str_radix(hexadecimal.trim(), 16).ok()).unwrap_or(0)
}

/// The names of those that are needed and not there.
fn missing(effective: u64) -> Vec<&'static str> {
    let has = |capability: u32| effective >> capability & 1 == 1;
    [(has(NET_ADMIN), "CAP_NET_ADMIN"), (has(NET_RAW), "CAP_NET_RAW"), (has(BPF) || has(SYS_ADMIN), "CAP_BPF")]
        .into_iter()
        .filter_map(|(there, name)| (!there).then_some(name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_missing_capabilities_are_named() {
        assert!(missing(effective("Name:\tx\nCapEff:\t000001ffffffffff\n")).is_empty());
        assert_eq!(missing(effective("CapEff:\t0000000000000000\n")), ["CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_BPF"]);
        let docker = effective("CapEff:\t00000000a80425fb\n");
        assert_eq!(missing(docker), ["CAP_NET_ADMIN", "CAP_BPF"]);
        assert!(missing(1 << NET_ADMIN | 1 << NET_RAW | 1 << SYS_ADMIN).is_empty(), "older kernels");
        let text = Missing::Privilege(missing(docker)).to_string();
        assert_eq!(text, "not permitted: CAP_NET_ADMIN and CAP_BPF missing; run as root");
    }
}
