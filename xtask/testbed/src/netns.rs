//! Network namespaces that vanish with their owner.

use std::{
    fs::{self, File},
    os::{fd::AsFd, unix::fs::MetadataExt},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use rustix::{
    process::{Pid, Signal, kill_process},
    thread::{LinkNameSpaceType, move_into_link_name_space},
};

use aggctl_tools::process;

/// A network namespace that we made. Dropping it ends the processes in it and deletes it.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    inode: u64,
}

impl Namespace {
    /// Makes a namespace with its loopback interface up; `role` ends its name, which no other process uses.
    ///
    /// # Errors
    ///
    /// When the system does not let us: this needs root.
    pub fn new(role: &str) -> Result<Self> {
        let name = format!("aggctl-{}-{role}", std::process::id());
        process::read(Command::new("ip").args(["netns", "add", &name]))?;
        let mut namespace = Self { inode: 0, name };
        namespace.inode = fs::metadata(namespace.path())?.ino();
        namespace.ip("link set lo up")?;
        Ok(namespace)
    }

    /// Its name, as `ip netns` knows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn path(&self) -> PathBuf {
        Path::new("/run/netns").join(&self.name)
    }

    /// Runs `work` on a thread inside the namespace. A socket that it makes stays in the namespace.
    ///
    /// # Errors
    ///
    /// When the namespace cannot be entered, or `work` fails.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let door = File::open(self.path()).with_context(|| format!("namespace {}", self.name))?;
        let inside = || {
            move_into_link_name_space(door.as_fd(), Some(LinkNameSpaceType::Network))
                .with_context(|| format!("cannot enter namespace {}", self.name))?;
            work()
        };
        match thread::scope(|scope| scope.spawn(inside).join()) {
            Ok(result) => result,
            Err(_) => bail!("a thread in namespace {} died", self.name),
        }
    }

    /// A command inside the namespace.
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
        process::read(Command::new("ip").args(["-n", &self.name]).args(line.split_whitespace()))
    }

    /// Whether a process lives in this namespace.
    pub fn holds(&self, pid: u32) -> bool {
        // The link is followed: this is the inode of the namespace.
        fs::metadata(format!("/proc/{pid}/ns/net")).is_ok_and(|data| data.ino() == self.inode)
    }

    /// The processes whose namespace this is. We made the namespace, so they are all descendants of what we started.
    fn processes(&self) -> Vec<u32> {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.filter(|pid| *pid != std::process::id() && self.holds(*pid)).collect()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Twice: a guardian may start a controller while we look.
        for signal in [Signal::TERM, Signal::KILL] {
            let processes = self.processes();
            if processes.is_empty() {
                break;
            }
            for pid in processes {
                // Losing the race against its own end is fine.
                let _ = kill(pid, signal);
            }
            thread::sleep(Duration::from_millis(200));
        }
        if let Err(error) = process::read(Command::new("ip").args(["netns", "delete", &self.name])) {
            eprintln!("xtask: {error:#}");
        }
    }
}

/// Sends a signal to one process.
///
/// # Errors
///
/// When there is no such process.
pub fn kill(pid: u32, signal: Signal) -> Result<()> {
    let id = i32::try_from(pid).ok().and_then(Pid::from_raw).with_context(|| format!("{pid} is no process id"))?;
    kill_process(id, signal).with_context(|| format!("cannot end process {pid}"))
}
