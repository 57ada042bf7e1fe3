//! Network namespaces that vanish with the test that made them.

use std::{
    ops::Deref,
    path::Path,
    process::Command,
    thread::{self, JoinHandle},
};

use aggctl_testbed::{netns, traffic::unsent};

use crate::command::{self, Outcome};

/// A network namespace of a test; its verbs end the test when they fail.
#[derive(Debug)]
pub struct Namespace(netns::NetworkNamespace);

impl Deref for Namespace {
    type Target = netns::NetworkNamespace;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Namespace {
    /// Makes a namespace with its loopback interface up; `role` ends its name.
    #[track_caller]
    pub fn new(role: &str) -> Self {
        Self(netns::NetworkNamespace::new(role).unwrap())
    }

    /// Keeps the queues of a device short: see [`unsent::keep_queues_short`].
    #[track_caller]
    pub fn keep_queues_short(&self, device: &str) {
        unsent::keep_queues_short(self, device).unwrap();
    }

    /// Runs `work` on a thread of its own inside the namespace.
    pub fn spawn<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        let inside = self.0.inside(|| Ok(work())).unwrap();
        thread::spawn(|| inside().unwrap())
    }

    /// Runs `work` inside the namespace and waits for it.
    #[track_caller]
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.0.enter(|| Ok(work())).unwrap()
    }

    /// A command inside the namespace, entered the way people do: `ip netns exec`.
    pub fn command(&self, program: &str) -> Command {
        self.0.command(Path::new(program))
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
        command::run(Command::new("ip").args(["-n", self.name()]).args(line.split_whitespace()))
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
        command::run(Command::new("tc").args(["-n", self.name()]).args(line.split_whitespace()))
    }

    /// `bridge` of iproute2 on this namespace; it must succeed.
    #[track_caller]
    pub fn bridge(&self, line: &str) -> String {
        command::run(Command::new("bridge").args(["-n", self.name()]).args(line.split_whitespace())).ok()
    }

    /// Writes a sysctl, named by its path below `/proc/sys`.
    #[track_caller]
    pub fn set_sysctl(&self, key: &str, value: &str) {
        self.0.set_sysctl(key, value).unwrap();
    }

    /// Reads a sysctl, named by its path below `/proc/sys`.
    #[track_caller]
    pub fn sysctl(&self, key: &str) -> String {
        self.0.sysctl(key).unwrap()
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

    /// Removes the namespace's name, and so the namespace once nobody is in it.
    #[track_caller]
    pub fn delete(&self) {
        self.0.delete().unwrap();
    }
}
