//! Others who work on the ports and do not know about the aggregate. They are not stopped, only named.

use std::{collections::BTreeMap, fmt, fs, os::unix::fs::MetadataExt};

use aggctl_common::IfIndex;

use crate::{error::KernelError, netlink::Netlink, netns, nft};

/// Sockets that receive raw frames, of the present network namespace.
const PACKET_SOCKETS: &str = "/proc/thread-self/net/packet";

/// Programs that configure interfaces on their own (names as the kernel cuts them, to 15 octets).
const MANAGERS: [&str; 9] = [
    "NetworkManager",
    "systemd-network",
    "dhclient",
    "dhcpcd",
    "udhcpc",
    "connmand",
    "wickedd",
    "wickedd-dhcp4",
    "wickedd-dhcp6",
];

/// Somebody to know about. Displayed as one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bystander {
    /// A policy routing rule that names a port.
    Rule {
        /// The port.
        port: String,
        /// Its place in the order of rules.
        priority: u32,
        /// IPv6, else IPv4.
        v6: bool,
    },
    /// A firewall chain with a rule that names a port.
    Firewall {
        /// The port.
        port: String,
        /// Family, table and chain.
        chain: String,
    },
    /// A process that listens to raw frames of a port, as DHCP clients do.
    Listener {
        /// The port.
        port: String,
        /// Its name.
        process: String,
        /// Its number.
        pid: u32,
    },
    /// A process that configures interfaces on its own.
    Manager {
        /// Its name.
        process: String,
        /// Its number.
        pid: u32,
    },
}

impl fmt::Display for Bystander {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule { port, priority, v6 } => {
                let option = if *v6 { " -6" } else { "" };
                write!(f, "rule {priority} of `ip{option} rule` names {port}: it does not apply to the aggregate")
            }
            Self::Firewall { port, chain } => {
                write!(f, "a rule in the nftables chain {chain} names {port}: it does not apply to the aggregate")
            }
            Self::Listener { port, process, pid } => {
                write!(f, "{process} (process {pid}) still listens on {port}: let it work on the aggregate instead")
            }
            Self::Manager { process, pid } => {
                write!(f, "{process} (process {pid}) configures interfaces here: see that it leaves the ports alone")
            }
        }
    }
}

/// Who else works on these ports.
///
/// # Errors
///
/// If the kernel cannot be asked for rules.
pub fn warnings(netlink: &mut Netlink, ports: &[(IfIndex, String)]) -> Result<Vec<Bystander>, KernelError> {
    let mut found = Vec::new();
    let rules = netlink.rules()?;
    let listeners = listeners();
    for (index, port) in ports {
        let names_it = |name: &Option<String>| name.as_ref() == Some(port);
        found.extend(
            rules.iter().filter(|rule| names_it(&rule.iif) || names_it(&rule.oif)).map(|rule| Bystander::Rule {
                port: port.clone(),
                priority: rule.priority,
                v6: rule.v6,
            }),
        );
        let chains = nft::chains_naming(port)?;
        found.extend(chains.into_iter().map(|chain| Bystander::Firewall { port: port.clone(), chain }));
        for (pid, process) in listeners.get(index).into_iter().flatten() {
            found.push(Bystander::Listener { port: port.clone(), process: process.clone(), pid: *pid });
        }
    }
    for pid in netns::processes()? {
        if let Some(process) = name_of(pid).filter(|name| MANAGERS.contains(&name.as_str())) {
            found.push(Bystander::Manager { process, pid });
        }
    }
    Ok(found)
}

/// The processes with a packet socket that is bound to an interface, by interface.
fn listeners() -> BTreeMap<IfIndex, Vec<(u32, String)>> {
    let table = fs::read_to_string(PACKET_SOCKETS).unwrap_or_default();
    let sockets: BTreeMap<u64, IfIndex> = table.lines().skip(1).filter_map(bound_socket).collect();
    let mut listeners: BTreeMap<_, Vec<_>> = BTreeMap::new();
    if sockets.is_empty() {
        return listeners;
    }
    // A process may hold a socket of another namespace than its own, so all are looked at.
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    for pid in processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()) {
        let mut indexes: Vec<_> = open_inodes(pid).filter_map(|inode| sockets.get(&inode)).copied().collect();
        indexes.sort();
        indexes.dedup();
        for index in indexes {
            listeners.entry(index).or_default().push((pid, name_of(pid).unwrap_or_else(|| "a process".into())));
        }
    }
    listeners
}

/// Inode and interface of a packet socket that listens on one interface, from a line of `/proc/net/packet`:
/// sk, references, type, protocol, interface, running, rmem, user, inode.
fn bound_socket(line: &str) -> Option<(u64, IfIndex)> {
    let fields: Vec<_> = line.split_ascii_whitespace().collect();
    let index = fields.get(4)?.parse().ok().filter(|index| *index != 0)?;
    Some((fields.get(8)?.parse().ok()?, IfIndex(index)))
}

/// The inodes of what a process has open.
fn open_inodes(pid: u32) -> impl Iterator<Item = u64> {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    descriptors.filter_map(|entry| Some(fs::metadata(entry.path()).ok()?.ino()))
}

/// The name of a process.
fn name_of(pid: u32) -> Option<String> {
    fs::read_to_string(format!("/proc/{pid}/comm")).ok().map(|name| name.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bound_packet_sockets_are_read() {
        let line = "ffff9c3b0 3      3    0003   7     1 0      0      12345";
        assert_eq!(bound_socket(line), Some((12345, IfIndex(7))));
        assert_eq!(bound_socket("ffff9c3b0 3      3    0003   0     1 0      0      12345"), None, "on all interfaces");
        assert_eq!(bound_socket(""), None);
    }

    #[test]
    fn warnings_are_one_line() {
        let all = [
            Bystander::Rule { port: "eth1".into(), priority: 100, v6: true },
            Bystander::Firewall { port: "eth1".into(), chain: "inet filter input".into() },
            Bystander::Listener { port: "eth1".into(), process: "dhclient".into(), pid: 7 },
            Bystander::Manager { process: "NetworkManager".into(), pid: 8 },
        ];
        assert!(all.iter().all(|warning| warning.to_string().lines().count() == 1));
    }
}
