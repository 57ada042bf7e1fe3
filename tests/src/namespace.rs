//! Network namespaces that vanish with the test that made them.

use std::{
    fs::File,
    os::fd::AsFd,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{self, Command},
    sync::atomic::{AtomicU32, Ordering},
    thread::{self, JoinHandle},
    time::Duration,
};

use rustix::{
    process::{Pid, Signal},
    thread::{LinkNameSpaceType, move_into_link_name_space},
};

use crate::{
    command::{self, Outcome},
    processes, sys, wait,
};

/// Distinguishes the namespaces of this process.
static COUNTER: AtomicU32 = AtomicU32::new(0);

/// Where aggctl keeps its state.
const STATE: &str = "/run/aggctl";

/// A network namespace of a test.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    inode: u64,
    cookie: u64,
}

impl Namespace {
    /// Makes a namespace with its loopback interface up; `role` ends its name.
    pub fn new(role: &str) -> Self {
        let name = format!("agt{}-{}{role}", process::id(), COUNTER.fetch_add(1, Ordering::Relaxed));
        command::run(Command::new("ip").args(["netns", "add", &name])).ok();
        let mut namespace = Self { inode: 0, cookie: 0, name };
        namespace.inode = std::fs::metadata(namespace.path()).unwrap().ino();
        namespace.cookie = namespace.enter(|| sys::netns_cookie().unwrap());
        namespace.ip("link set lo up");
        namespace.set_sysctl("net/ipv4/ping_group_range", "0 2147483647");
        namespace
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

    /// Runs `work` on a thread of its own inside the namespace.
    pub fn spawn<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        let door = File::open(self.path()).unwrap();
        thread::spawn(move || {
            move_into_link_name_space(door.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            drop(door);
            work()
        })
    }

    /// Runs `work` inside the namespace and waits for it.
    #[track_caller]
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let door = File::open(self.path()).unwrap();
        let result = thread::scope(|scope| {
            scope
                .spawn(move || {
                    move_into_link_name_space(door.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
                    work()
                })
                .join()
        });
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// A command inside the namespace, entered the way people do: `ip netns exec`.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command
    }

    /// Runs a command line inside the namespace; words are separated by blanks.
    #[track_caller]
    pub fn exec(&self, line: &str) -> Outcome {
        let mut words = line.split_whitespace();
        command::run(self.command(words.next().unwrap()).args(words))
    }

    /// `ip` of iproute2 on this namespace.
    #[track_caller]
    pub fn try_ip(&self, line: &str) -> Outcome {
        command::run(Command::new("ip").args(["-n", &self.name]).args(line.split_whitespace()))
    }

    /// `ip` of iproute2 on this namespace; it must succeed.
    #[track_caller]
    pub fn ip(&self, line: &str) -> String {
        self.try_ip(line).ok()
    }

    /// Many lines for one `ip` on this namespace, which must all succeed.
    #[track_caller]
    pub fn ip_batch(&self, lines: &str) {
        self.enter(|| command::ip_batch(lines));
    }

    /// `tc` of iproute2 on this namespace.
    #[track_caller]
    pub fn tc(&self, line: &str) -> Outcome {
        command::run(Command::new("tc").args(["-n", &self.name]).args(line.split_whitespace()))
    }

    /// `bridge` of iproute2 on this namespace; it must succeed.
    #[track_caller]
    pub fn bridge(&self, line: &str) -> String {
        command::run(Command::new("bridge").args(["-n", &self.name]).args(line.split_whitespace())).ok()
    }

    /// Writes a sysctl, named by its path below `/proc/sys`.
    #[track_caller]
    pub fn set_sysctl(&self, key: &str, value: &str) {
        let path = Path::new("/proc/sys").join(key);
        self.enter(|| std::fs::write(&path, value)).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }

    /// Reads a sysctl, named by its path below `/proc/sys`.
    #[track_caller]
    pub fn sysctl(&self, key: &str) -> String {
        let path = Path::new("/proc/sys").join(key);
        let text = self.enter(|| std::fs::read_to_string(&path));
        text.unwrap_or_else(|error| panic!("{}: {error}", path.display())).trim().to_owned()
    }

    /// `ip -j -d link show` of an interface.
    #[track_caller]
    pub fn link(&self, name: &str) -> serde_json::Value {
        let text = self.ip(&format!("-j -d -s link show dev {name}"));
        serde_json::from_str::<Vec<serde_json::Value>>(&text).unwrap().remove(0)
    }

    /// Whether an interface that is up has carrier. (A veth's operational state says `DOWN` or `LOWERLAYERDOWN`.)
    #[track_caller]
    pub fn has_carrier(&self, name: &str) -> bool {
        !self.link(name)["flags"].as_array().unwrap().iter().any(|flag| flag == "NO-CARRIER")
    }

    /// The processes inside the namespace, but for this one. The test made the namespace, so they are all its own.
    pub fn processes(&self) -> Vec<Pid> {
        processes::in_network_namespace(self.inode)
    }

    /// All that is left of aggctl for this namespace below `/run/aggctl`: state and pins.
    pub fn state_paths(&self) -> Vec<PathBuf> {
        let ours = self.cookie.to_string();
        let mut found = Vec::new();
        let mut pending = vec![PathBuf::from(STATE)];
        while let Some(directory) = pending.pop() {
            for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
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
    pub fn delete(&self) {
        command::run(Command::new("ip").args(["netns", "del", &self.name])).ok();
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if self.path().exists() {
            // A guardian starts what was killed again: until all are gone.
            wait::find(Duration::from_secs(10), || {
                let left = self.processes();
                for pid in &left {
                    let _ = rustix::process::kill_process(*pid, Signal::KILL);
                }
                left.is_empty().then_some(())
            });
            let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
        }
        for path in self.state_paths() {
            for aggregate in std::fs::read_dir(&path).into_iter().flatten().flatten() {
                // A network namespace of its own is held by a mount, which must go first.
                let _ = rustix::mount::unmount(aggregate.path().join("netns"), rustix::mount::UnmountFlags::DETACH);
            }
            let _ = std::fs::remove_dir_all(path);
        }
    }
}
