//! Namespaces: which one this is, who else is in it, those of our own, and the first process's view of the files.
#![allow(unsafe_code, reason = "SO_NETNS_COOKIE has no safe wrapper")]

mod others;
mod private;

use std::{
    fs, io,
    os::{
        fd::{AsFd, AsRawFd},
        unix::fs::MetadataExt,
    },
    path::{Path, PathBuf},
};

use rustix::{
    net::{AddressFamily, SocketFlags, SocketType, socket_with},
    thread::{LinkNameSpaceType, move_into_link_name_space},
};

pub use self::{others::find_elsewhere, private::PrivateNamespace};
use crate::error::KernelError;

/// `SO_NETNS_COOKIE`.
const SO_NETNS_COOKIE: libc::c_int = 71;
/// The network namespace of the calling thread.
const THIS_NETNS: &str = "/proc/thread-self/ns/net";
/// The network namespace of the first process.
const FIRST_NETNS: &str = "/proc/1/ns/net";
/// Where `ip netns` keeps the names of namespaces.
const NETNS_NAMES: &str = "/run/netns";

/// What identifies a namespace as long as it lives: device and number of its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct NamespaceId {
    device: u64,
    inode: u64,
}

impl NamespaceId {
    /// Of a namespace's file, such as `/proc/PID/ns/net` or `/run/netns/NAME`.
    ///
    /// # Errors
    ///
    /// If the file cannot be reached.
    fn of(path: impl AsRef<Path>) -> io::Result<Self> {
        let metadata = fs::metadata(path)?;
        Ok(Self { device: metadata.dev(), inode: metadata.ino() })
    }
}

/// Whether this is the network namespace of the first process; no if that cannot be told.
#[must_use]
pub fn is_first() -> bool {
    let [this, first] = [THIS_NETNS, FIRST_NETNS].map(|path| NamespaceId::of(path).ok());
    this.is_some() && this == first
}

/// The kernel's number of the present network namespace, never used again until the next boot.
///
/// # Minimum kernel version
///
/// Linux 5.14.
///
/// # Errors
///
/// What the kernel refuses; `ENOPROTOOPT` where it is too old.
pub fn cookie() -> Result<u64, KernelError> {
    let refused = |error: io::Error| KernelError::refused("network namespace", "get cookie (Linux 5.14)", error);
    let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None)
        .map_err(|errno| refused(errno.into()))?;
    let mut cookie = 0_u64;
    let mut length: libc::socklen_t = 8;
    // SAFETY: the value and its length are valid for writing, and the length says how long the value is.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            SO_NETNS_COOKIE,
            (&raw mut cookie).cast(),
            &raw mut length,
        )
    };
    if result < 0 { Err(refused(io::Error::last_os_error())) } else { Ok(cookie) }
}

/// The present network namespace.
///
/// # Errors
///
/// If `/proc` cannot be read.
fn current() -> Result<NamespaceId, KernelError> {
    NamespaceId::of(THIS_NETNS).map_err(|error| KernelError::refused(THIS_NETNS, "stat", error))
}

/// Whether this process is in the present network namespace; no if that cannot be told.
#[must_use]
pub fn has_process(process: u32) -> bool {
    NamespaceId::of(THIS_NETNS)
        .is_ok_and(|this| NamespaceId::of(format!("/proc/{process}/ns/net")).is_ok_and(|its| its == this))
}

/// Whether nobody holds the present network namespace but the processes that are `ours`: no other process is in it, or
/// has it open, and it is mounted nowhere (as `ip netns` and containers do to hold one).
///
/// # Errors
///
/// If `/proc` cannot be read.
pub fn is_deserted(ours: impl Fn(u32) -> bool) -> Result<bool, KernelError> {
    let here = current()?;
    if is_mounted(here)? {
        return Ok(false);
    }
    let pids = all_processes()?;
    if pids.iter().any(|pid| is_in(*pid, here) && !ours(*pid)) {
        return Ok(false);
    }
    // Only now, for it takes longest.
    Ok(!pids.into_iter().any(|pid| !ours(pid) && has_open(pid, here)))
}

/// Whether a process is in this namespace, which is the present one; yes if that cannot be told.
fn is_in(pid: u32, here: NamespaceId) -> bool {
    match NamespaceId::of(format!("/proc/{pid}/ns/net")) {
        Ok(id) => id == here,
        // Not even root may look at it (a security module, or capabilities that we lack). Which files of the network it
        // sees is open to all, and each namespace has its own.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let [its, ours] =
                [format!("/proc/{pid}/net/dev"), "/proc/thread-self/net/dev".to_owned()].map(NamespaceId::of);
            !matches!((its, ours), (Ok(its), Ok(ours)) if its != ours)
        }
        // One that has ended meanwhile is in none.
        Err(_) => false,
    }
}

/// Whether a namespace is mounted on a file that we see.
fn is_mounted(namespace: NamespaceId) -> Result<bool, KernelError> {
    const MOUNTS: &str = "/proc/thread-self/mountinfo";
    let mounts = fs::read_to_string(MOUNTS).map_err(|error| KernelError::refused(MOUNTS, "read", error))?;
    let root = format!("net:[{}]", namespace.inode);
    Ok(mounts.lines().any(|mount| mount.split(' ').nth(3) == Some(&*root)))
}

/// Whether a process has a namespace open.
fn has_open(pid: u32, namespace: NamespaceId) -> bool {
    let link = PathBuf::from(format!("net:[{}]", namespace.inode));
    let fds = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    // The name alone is asked for: what else is open may be a file that does not answer.
    fds.map(|fd| fs::read_link(fd.path())).any(|target| target.is_ok_and(|target| target == link))
}

/// The processes in the present network namespace that we may look at.
///
/// # Errors
///
/// If `/proc` cannot be read.
pub fn processes() -> Result<Vec<u32>, KernelError> {
    let here = current()?;
    let pids = all_processes()?.into_iter();
    // A process that ended meanwhile, or that belongs to somebody else, is in no namespace that we can see.
    Ok(pids.filter(|pid| NamespaceId::of(format!("/proc/{pid}/ns/net")).is_ok_and(|id| id == here)).collect())
}

/// All processes that we see.
fn all_processes() -> Result<Vec<u32>, KernelError> {
    let entries = fs::read_dir("/proc").map_err(|error| KernelError::refused("/proc", "read", error))?;
    Ok(entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
}

/// The names that `ip netns` knows the present network namespace by.
///
/// # Errors
///
/// If `/proc` cannot be read.
pub fn names() -> Result<Vec<String>, KernelError> {
    let here = current()?;
    let entries = fs::read_dir(NETNS_NAMES).into_iter().flatten().flatten();
    let named = entries.filter(|entry| NamespaceId::of(entry.path()).is_ok_and(|found| found == here));
    let mut names: Vec<_> = named.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    Ok(names)
}

/// Enters the mount namespace of the first process, or where that is out of reach (a sandbox may hide it), of the
/// outermost of our ancestors that is not; so that what we pin and write is seen by all. `ip netns exec` gives each
/// command a mount namespace that vanishes with it. Returns whether it was another one; then the working directory is
/// its root now.
///
/// # Errors
///
/// If none can be reached, or this process has several threads.
pub fn enter_first_mount_namespace() -> Result<bool, KernelError> {
    let ours = NamespaceId::of("/proc/thread-self/ns/mnt");
    let enter = |pid: u32| -> io::Result<bool> {
        let path = format!("/proc/{pid}/ns/mnt");
        if NamespaceId::of(&path)? == *ours.as_ref().map_err(|error| io::Error::from(error.kind()))? {
            return Ok(false);
        }
        move_into_link_name_space(fs::File::open(path)?.as_fd(), Some(LinkNameSpaceType::Mount))?;
        Ok(true)
    };
    let mut outermost = Err(io::ErrorKind::NotFound.into());
    for pid in ancestors().into_iter().rev() {
        outermost = enter(pid);
        if outermost.is_ok() {
            break;
        }
    }
    outermost.map_err(|error| KernelError::refused("mount namespace of the first process", "enter", error))
}

/// Our parent, its parent, and so on to the first process.
fn ancestors() -> Vec<u32> {
    let parent_of = |pid: &u32| -> Option<u32> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()?;
        (parent != 0).then_some(parent)
    };
    let mut line: Vec<u32> = std::iter::successors(parent_of(&std::process::id()), parent_of).collect();
    if line.last() != Some(&1) {
        line.push(1);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_in_its_own_namespace() {
        assert!(processes().unwrap().contains(&std::process::id()));
        assert!(!is_deserted(|_| false).unwrap());
    }

    #[test]
    fn the_cookie_stays() {
        assert_ne!(cookie().unwrap(), 0);
        assert_eq!(cookie().unwrap(), cookie().unwrap());
    }
}
