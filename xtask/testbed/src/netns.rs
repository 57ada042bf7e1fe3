//! Network namespaces that vanish with their owner.

use std::{
    fs::{self, File},
    os::{fd::AsFd, unix::fs::MetadataExt},
    panic,
    path::{Path, PathBuf},
    process::{self, Command},
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::Duration,
};

use anyhow::{Context, Result};
use rustix::{
    mount::{UnmountFlags, unmount},
    process::{Pid, Signal, kill_process},
    thread::{LinkNameSpaceType, move_into_link_name_space},
};

use crate::{sys, wait};
use aggctl_tools::process::read;

/// Distinguishes the namespaces of this process.
static COUNTER: AtomicU32 = AtomicU32::new(0);
/// How long processes that are killed may take to go.
const END: Duration = Duration::from_secs(10);
/// Where aggctl keeps its state.
const STATE: &str = "/run/aggctl";

/// A network namespace that we made. Dropping it ends the processes in it and deletes it, with what aggctl kept for it.
#[derive(Debug)]
pub struct NetworkNamespace {
    name: String,
    inode: u64,
    cookie: u64,
}

/// The way into a network namespace.
#[derive(Debug)]
pub struct Door(File);

impl Door {
    /// Runs `work` on a thread inside the namespace and waits for it. A socket that it makes stays in the namespace.
    ///
    /// # Errors
    ///
    /// When the namespace cannot be entered, or `work` fails.
    ///
    /// # Panics
    ///
    /// If `work` does.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let result = thread::scope(|scope| scope.spawn(|| self.pass(work)).join());
        result.unwrap_or_else(|cause| panic::resume_unwind(cause))
    }

    /// Moves this thread into the namespace, and does `work` there.
    fn pass<T>(&self, work: impl FnOnce() -> Result<T>) -> Result<T> {
        move_into_link_name_space(self.0.as_fd(), Some(LinkNameSpaceType::Network))
            .context("cannot enter a namespace")?;
        work()
    }
}

impl NetworkNamespace {
    /// Makes a namespace with its loopback interface up, in which everybody may ping; `role` ends its name.
    ///
    /// # Errors
    ///
    /// When the system does not let us: this needs root, and Linux 5.14.
    pub fn new(role: &str) -> Result<Self> {
        let name = format!("agt{}-{}{role}", process::id(), COUNTER.fetch_add(1, Ordering::Relaxed));
        read(Command::new("ip").args(["netns", "add", &name]))?;
        let mut namespace = Self { inode: 0, cookie: 0, name };
        namespace.inode = fs::metadata(namespace.path())?.ino();
        namespace.cookie = namespace.enter(|| sys::netns_cookie().context("the kernel has no namespace cookies"))?;
        namespace.ip("link set lo up")?;
        namespace.set_sysctl("net/ipv4/ping_group_range", "0 2147483647")?;
        Ok(namespace)
    }

    /// Its name, as `ip netns` knows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The kernel's number of it, which never repeats.
    pub fn cookie(&self) -> u64 {
        self.cookie
    }

    fn path(&self) -> PathBuf {
        Path::new("/run/netns").join(&self.name)
    }

    /// The way into the namespace, which stays open when its name is removed.
    ///
    /// # Errors
    ///
    /// When the namespace is gone.
    pub fn door(&self) -> Result<Door> {
        File::open(self.path()).map(Door).with_context(|| format!("namespace {}", self.name))
    }

    /// Moves a thread that runs this into the namespace, and does `work` there.
    ///
    /// # Errors
    ///
    /// When the namespace is gone; what is returned, when it cannot be entered or `work` fails.
    pub fn inside<T, F>(&self, work: F) -> Result<impl FnOnce() -> Result<T> + use<T, F>>
    where
        F: FnOnce() -> Result<T>,
    {
        let door = self.door()?;
        Ok(move || door.pass(work))
    }

    /// As [`Door::enter`].
    ///
    /// # Errors
    ///
    /// When the namespace is gone or cannot be entered, or `work` fails.
    ///
    /// # Panics
    ///
    /// If `work` does.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        self.door()?.enter(work)
    }

    /// A command inside the namespace, entered the way people do: `ip netns exec`.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }

    /// `ip` of iproute2 on this namespace; words are separated by blanks.
    ///
    /// # Errors
    ///
    /// When it fails.
    pub fn ip(&self, line: &str) -> Result<String> {
        read(Command::new("ip").args(["-n", &self.name]).args(line.split_whitespace()))
    }

    /// Writes a sysctl, named by its path below `/proc/sys`.
    ///
    /// # Errors
    ///
    /// When there is none of this name, or it does not take the value.
    pub fn set_sysctl(&self, key: &str, value: &str) -> Result<()> {
        let path = Path::new("/proc/sys").join(key);
        self.enter(|| fs::write(&path, value).with_context(|| path.display().to_string()))
    }

    /// Reads a sysctl, named by its path below `/proc/sys`.
    ///
    /// # Errors
    ///
    /// When there is none of this name.
    pub fn sysctl(&self, key: &str) -> Result<String> {
        let path = Path::new("/proc/sys").join(key);
        let text = self.enter(|| fs::read_to_string(&path).with_context(|| path.display().to_string()))?;
        Ok(text.trim().to_owned())
    }

    /// Whether a process lives in this namespace.
    pub fn holds(&self, pid: Pid) -> bool {
        is_in(pid, self.inode)
    }

    /// The processes inside the namespace, but for this one. We made the namespace, so they are all descendants of what
    /// we started.
    pub fn processes(&self) -> Vec<Pid> {
        processes_in(self.inode)
    }

    /// All that is left of aggctl for this namespace below `/run/aggctl`: state and pins.
    pub fn state_paths(&self) -> Vec<PathBuf> {
        let ours = self.cookie.to_string();
        let mut found = Vec::new();
        let mut pending = vec![PathBuf::from(STATE)];
        while let Some(directory) = pending.pop() {
            for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
                if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    continue;
                }
                if entry.file_name().to_string_lossy() == ours {
                    found.push(entry.path());
                } else {
                    pending.push(entry.path());
                }
            }
        }
        found.sort();
        found
    }

    /// Removes the namespace's name, and so the namespace once nobody is in it.
    ///
    /// # Errors
    ///
    /// When it has gone before.
    pub fn delete(&self) -> Result<()> {
        read(Command::new("ip").args(["netns", "delete", &self.name])).map(drop)
    }
}

impl Drop for NetworkNamespace {
    fn drop(&mut self) {
        if self.path().exists() {
            // A guardian starts what was killed again: until all are gone.
            wait::find(END, || {
                let left = self.processes();
                for pid in &left {
                    // Losing the race against its own end is fine.
                    let _ = kill_process(*pid, Signal::KILL);
                }
                left.is_empty().then_some(())
            });
            if let Err(error) = self.delete() {
                eprintln!("{error:#}");
            }
        }
        for path in self.state_paths() {
            for aggregate in fs::read_dir(&path).into_iter().flatten().flatten() {
                // A network namespace of its own is held by a mount, which must go first.
                let _ = unmount(aggregate.path().join("netns"), UnmountFlags::DETACH);
            }
            let _ = fs::remove_dir_all(path);
        }
    }
}

/// The processes, but for this one, in the network namespace with this inode number.
pub fn processes_in(inode: u64) -> Vec<Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let all = entries.filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?));
    all.filter(|pid| *pid != rustix::process::getpid() && is_in(*pid, inode)).collect()
}

/// Whether a process lives in the network namespace with this inode number.
fn is_in(pid: Pid, inode: u64) -> bool {
    // The link is followed: this is the inode of the namespace.
    fs::metadata(format!("/proc/{pid}/ns/net")).is_ok_and(|data| data.ino() == inode)
}
