//! The other network namespaces of this machine: those that a process is in, and those that a mount holds.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io,
    os::{fd::AsFd as _, unix::fs::MetadataExt as _},
    path::{Path, PathBuf},
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::{current, private::apart};
use crate::{error::KernelError, netlink::Netlink};

/// Looks in each other network namespace, with a netlink socket there, until something is found. It runs on threads of
/// its own: the calling one never leaves its namespace. A namespace that cannot be entered is passed over.
///
/// # Errors
///
/// If `/proc` cannot be read.
pub fn find_elsewhere<T: Send>(look: impl Fn(&mut Netlink) -> Option<T> + Sync) -> Result<Option<T>, KernelError> {
    let enter = |namespace: &File| -> io::Result<Option<T>> {
        apart(|| {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
            Ok(Netlink::open().ok().and_then(|mut netlink| look(&mut netlink)))
        })?
    };
    // One that went away meanwhile, or that we may not enter, has nothing of ours that we could change.
    Ok(others()?.iter().find_map(|namespace| enter(namespace).ok().flatten()))
}

/// All but the present one, each once.
fn others() -> Result<Vec<File>, KernelError> {
    let here = current()?;
    let mut seen = BTreeSet::from([(here.device, here.inode)]);
    let mut found = Vec::new();
    for path in of_processes()?.into_iter().chain(mounted()) {
        let Ok(metadata) = fs::metadata(&path) else { continue };
        if seen.insert((metadata.dev(), metadata.ino())) {
            found.extend(File::open(path));
        }
    }
    Ok(found)
}

fn of_processes() -> Result<Vec<PathBuf>, KernelError> {
    let entries = fs::read_dir("/proc").map_err(|error| KernelError::refused("/proc", "read", error))?;
    let names = entries.flatten().map(|entry| entry.file_name());
    let pids = names.filter(|name| name.to_str().is_some_and(|name| name.parse::<u32>().is_ok()));
    Ok(pids.map(|pid| Path::new("/proc").join(pid).join("ns/net")).collect())
}

/// Where mounts hold namespaces: `ip netns` and container engines do so.
fn mounted() -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    mounts.lines().filter_map(holder).map(PathBuf::from).collect()
}

/// The place of a mount that holds a network namespace: field 5 of its line; field 4 says what is mounted.
fn holder(line: &str) -> Option<&str> {
    let mut fields = line.split(' ').skip(3);
    fields.next().filter(|root| root.starts_with("net:["))?;
    fields.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_that_hold_a_network_namespace_are_found() {
        let line = "513 27 0:4 net:[4026532279] /run/netns/blue rw shared:211 - nsfs nsfs rw";
        assert_eq!(holder(line), Some("/run/netns/blue"));
        assert_eq!(holder("27 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw"), None);
        assert_eq!(holder("513 27 0:4 mnt:[4026532279] /run/x rw - nsfs nsfs rw"), None);
        assert_eq!(holder(""), None);
    }
}
