//! The tools that building, tests and demo use, and the Debian packages that hold them.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Result, bail};

use crate::process;

/// A tool that must be there.
pub struct Tool {
    /// The program.
    pub program: &'static str,
    /// The Debian package that holds it.
    pub package: &'static str,
    /// What it is needed for.
    pub reason: &'static str,
}

/// Every tool that builds, the tests, the demo and the benchmark call. The product itself calls none of them.
pub const TOOLS: &[Tool] = &[
    tool("ip", "iproute2", "makes the namespaces and links of tests and demo, and checks what the host looks like"),
    tool("tc", "iproute2", "puts foreign filters on ports in tests"),
    tool("ping", "iputils-ping", "counts lost packets in tests"),
    tool("tcpdump", "tcpdump", "shows tests what is on the wire"),
    tool("iperf3", "iperf3", "keeps TCP busy during a failover in tests"),
    tool("ethtool", "ethtool", "compares offloads before and after in tests"),
    tool("nft", "nftables", "puts firewall rules on ports in tests"),
    tool("iptables-legacy", "iptables", "puts rules of the older kind on ports in tests"),
    tool("sysctl", "procps", "sets and compares sysctls of ports in tests"),
    tool("teamd", "libteam-utils", "puts a team device at the other end of the wire in tests"),
    tool("teamnl", "libteam-utils", "sets a team device up without its daemon in tests"),
    tool("objcopy", "binutils", "puts the debug information of a release beside the binary"),
    tool("busybox", "busybox", "serves and asks for addresses in the DHCP test (udhcpd, udhcpc)"),
];

const fn tool(program: &'static str, package: &'static str, reason: &'static str) -> Tool {
    Tool { program, package, reason }
}

/// The tools of [`TOOLS`] that are not there.
pub fn missing() -> Vec<&'static Tool> {
    TOOLS.iter().filter(|tool| process::find(tool.program).is_none()).collect()
}

/// Whether packages can be installed here: root on Debian or a system made from it.
pub fn can_install() -> bool {
    process::is_root() && is_debian()
}

/// Whether this is Debian or a system made from it.
pub fn is_debian() -> bool {
    Path::new("/etc/debian_version").exists() && process::find("apt-get").is_some()
}

/// The command that a person would run to install `packages`.
pub fn install_line(packages: &[&str]) -> String {
    format!("apt-get update && apt-get install --no-install-recommends {}", packages.join(" "))
}

/// Installs packages with one call of apt; the lists are fetched anew only when that is what is lacking.
///
/// # Errors
///
/// When apt fails, with the end of what it said.
pub fn install(packages: &[&str]) -> Result<()> {
    eprintln!("setup: installing {}", packages.join(" "));
    let first = apt("install", packages)?;
    if first.status.success() {
        return Ok(());
    }
    // The lists may be absent or too old: fetch them, and believe the second answer.
    let update = apt("update", &[])?;
    let second = apt("install", packages)?;
    if second.status.success() {
        return Ok(());
    }
    let said = [update.stderr, second.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    bail!("apt-get cannot install {}:\n{}", packages.join(" "), said.trim())
}

fn apt(verb: &str, packages: &[&str]) -> Result<std::process::Output> {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
    // Another apt (unattended upgrades) may hold the lock for a while.
    command.args(["-qq", "--yes", "-o", "DPkg::Lock::Timeout=300", verb]);
    if verb == "install" {
        command.arg("--no-install-recommends").args(packages);
    }
    Ok(command.output()?)
}
