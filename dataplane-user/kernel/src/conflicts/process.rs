//! Processes: who holds which socket, and who configures interfaces by itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs,
    os::unix::fs::MetadataExt,
    time::Instant,
};

use super::{ConflictKind, Search};
use crate::{error::KernelError, managers, netns, process::own_arguments};

/// A process that holds a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Holder {
    pid: u32,
    name: String,
}

impl Holder {
    /// Whether it is a process of ours: a watch has sockets on the ports.
    pub fn is_ours(&self) -> bool {
        own_arguments(self.pid).is_some()
    }

    /// Whether it is a program that configures interfaces on its own.
    pub fn is_manager(&self) -> bool {
        MANAGERS.contains(&self.name.as_str())
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (process {})", self.name, self.pid)
    }
}

/// Programs that configure interfaces on their own (names as the kernel cuts them, to 15 octets), and do not say which.
const MANAGERS: [&str; 7] = ["dhclient", "dhcpcd", "udhcpc", "connmand", "wickedd", "wickedd-dhcp4", "wickedd-dhcp6"];

/// Finds the programs that configure interfaces here. Those that are told to leave the ports alone, and say which they
/// hold, count where they hold a port.
pub(super) fn look_for_managers(search: &mut Search) -> Result<bool, KernelError> {
    for pid in netns::processes()? {
        let Some(process) = name_of(pid) else { continue };
        for port in search.interfaces.ports.clone() {
            let (kind, remedies) = match process.as_str() {
                "NetworkManager" => {
                    (ConflictKind::NetworkManager, managers::by_network_manager(port.index, &port.name))
                }
                "systemd-network" => (ConflictKind::Networkd, managers::by_networkd(port.index)),
                name if MANAGERS.contains(&name) => {
                    (ConflictKind::Manager, Some(vec![format!("{process} (process {pid})")]))
                }
                _ => continue,
            };
            remedies.into_iter().flatten().for_each(|remedy| search.note(kind, &port.name, remedy));
        }
    }
    Ok(true)
}

/// The processes that hold these sockets, which are known by their inodes. A process may hold a socket of another
/// namespace than its own, so all are looked at, as long as there is time. A socket of nobody is the kernel's.
pub(super) fn holders(sockets: &BTreeSet<u64>, end: Instant) -> BTreeMap<u64, Holder> {
    let mut holders = BTreeMap::new();
    if sockets.is_empty() {
        return holders;
    }
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    for pid in processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok()) {
        if holders.len() == sockets.len() || Instant::now() >= end {
            break;
        }
        for inode in open_inodes(pid).filter(|inode| sockets.contains(inode)) {
            let name = name_of(pid).unwrap_or_else(|| "a process".to_owned());
            holders.entry(inode).or_insert(Holder { pid, name });
        }
    }
    holders
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
