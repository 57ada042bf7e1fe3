//! What `doctor` looks at and nobody else: the kernel, and settings that drop packets.

use std::fs;

use aggctl_common::IfIndex;
use aggctl_engine::{
    doctor::{self, KernelFacts},
    host::{Link, RP_FILTER},
};

use rustix::io::Errno;

use crate::{
    dataplane,
    early::XdpDrivers,
    error::KernelError,
    ethtool,
    netlink::Netlink,
    nft::{self, IngressChain},
    snapshot, sysctl,
};

/// The counters of the present network namespace beyond those of SNMP: for each protocol a line of names and one of
/// values.
const NETSTAT: &str = "/proc/thread-self/net/netstat";
/// The counter of packets that `rp_filter` dropped.
const REVERSE_PATH_DROPS: &str = "IPReversePathFilter";

/// What the kernel can do, and what it counted in this network namespace.
#[must_use]
pub fn kernel() -> KernelFacts {
    KernelFacts {
        release: rustix::system::uname().release().to_string_lossy().into_owned(),
        links_unread: dataplane::unasked().map(str::to_owned),
        reverse_path_drops: fs::read_to_string(NETSTAT).ok().and_then(|text| counter(&text, REVERSE_PATH_DROPS)),
    }
}

/// The `rp_filter` that is in force on an interface: the larger of its own and that of all. `None`: it has no IPv4.
///
/// # Errors
///
/// If one that exists cannot be read.
pub fn rp_filter(link: &str) -> Result<Option<u8>, KernelError> {
    let value = |link| Ok::<_, KernelError>(sysctl::read(link, RP_FILTER)?.and_then(|text| text.parse().ok()));
    let own: Option<u8> = value(link)?;
    Ok(own.max(value("all")?).filter(|_| own.is_some()))
}

/// What is asked once for all ports.
#[derive(Debug)]
pub struct PortQuestions {
    chains: Vec<IngressChain>,
    drivers: XdpDrivers,
}

impl PortQuestions {
    /// Asks for what the kernel tells of all interfaces of this network namespace.
    ///
    /// # Errors
    ///
    /// If the kernel cannot be asked.
    pub fn ask() -> Result<Self, KernelError> {
        Ok(Self { chains: nft::ingress_chains()?, drivers: XdpDrivers::ask()? })
    }

    /// An interface, with the features that are compared among ports, and all that is attached to it; `None` if there
    /// is none of this number.
    ///
    /// # Errors
    ///
    /// If the kernel cannot be asked.
    pub fn link(&self, netlink: &mut Netlink, index: IfIndex) -> Result<Option<Link>, KernelError> {
        let Some(link) = netlink.link(index)? else { return Ok(None) };
        match self.complete(netlink, link) {
            Ok(link) => Ok(Some(link)),
            Err(error) if error.errno() == Some(Errno::NODEV) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn complete(&self, netlink: &mut Netlink, link: Link) -> Result<Link, KernelError> {
        let features = ethtool::features(&link.name, &doctor::features())?;
        let hooks = snapshot::hooks(netlink, &link, &self.chains)?;
        Ok(Link { features, hooks, xdp: self.drivers.look(&link)?, ..link })
    }
}

/// A counter of `/proc/net/netstat`.
fn counter(text: &str, name: &str) -> Option<u64> {
    let lines: Vec<_> = text.lines().collect();
    lines.chunks_exact(2).find_map(|pair| {
        let [names, values] = pair else { return None };
        let at = names.split_ascii_whitespace().position(|known| known == name)?;
        values.split_ascii_whitespace().nth(at)?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_found_below_its_name() {
        let text = "TcpExt: SyncookiesSent IPReversePathFilter\nTcpExt: 3 41\nIpExt: InOctets\nIpExt: 7\n";
        assert_eq!(counter(text, "IPReversePathFilter"), Some(41));
        assert_eq!(counter(text, "InOctets"), Some(7));
        assert_eq!(counter(text, "InMcastPkts"), None);
        assert_eq!(counter("TcpExt: SyncookiesSent", "SyncookiesSent"), None);
    }

    #[test]
    fn this_kernel_tells() {
        let facts = kernel();
        assert!(!facts.release.is_empty());
        assert!(facts.reverse_path_drops.is_some(), "{NETSTAT} is read");
        assert_eq!(rp_filter("no-such-link").unwrap(), None);
        assert!(rp_filter("lo").unwrap().is_some());
    }
}
