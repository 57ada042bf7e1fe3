//! Drives the product as people do: through its command line, in a network namespace. What goes wrong is told in the
//! product's own words; what its answers have to look like is what the system tests say.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::netns::NetworkNamespace;
use aggctl_tools::process;

/// The `aggctl` of a namespace, and one aggregate.
pub struct Product<'a> {
    /// The binary.
    pub binary: &'a Path,
    /// Where it runs.
    pub namespace: &'a NetworkNamespace,
    /// The aggregate.
    pub aggregate: &'a str,
}

impl Product<'_> {
    /// Runs `aggctl` with these words, separated by blanks, and returns what it printed.
    ///
    /// # Errors
    ///
    /// When it fails, with its own message.
    pub fn run(&self, line: &str) -> Result<String> {
        process::read(self.namespace.command(self.binary).args(line.split_whitespace()))
    }

    /// `aggctl show --json` of the aggregate.
    ///
    /// # Errors
    ///
    /// When it fails or prints no JSON.
    pub fn show(&self) -> Result<Value> {
        let text = self.run(&format!("show {} --json", self.aggregate))?;
        serde_json::from_str(&text).with_context(|| format!("aggctl show printed no JSON: {text}"))
    }

    /// The name of the active port.
    ///
    /// # Errors
    ///
    /// As [`Product::show`].
    pub fn active_port(&self) -> Result<Option<String>> {
        Ok(self.show()?["active_port"].as_str().map(str::to_owned))
    }

    /// The process id of the controller, if one runs.
    ///
    /// # Errors
    ///
    /// As [`Product::show`].
    pub fn controller(&self) -> Result<Option<Pid>> {
        let controller = &self.show()?["controller"];
        let running = controller["running"].as_bool().unwrap_or(false);
        let pid = controller["pid"].as_i64().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        Ok(pid.filter(|_| running))
    }

    /// The guardian of a controller: its parent, if that is an `aggctl` of this namespace.
    pub fn guardian(&self, controller: Pid) -> Option<Pid> {
        let status = fs::read_to_string(format!("/proc/{controller}/status")).ok()?;
        let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok();
        let parent = parent.and_then(Pid::from_raw)?;
        self.is_ours(parent).then_some(parent)
    }

    /// Sends SIGKILL to a process, after making sure that it is an `aggctl` that we started.
    ///
    /// # Errors
    ///
    /// When it is not, or is gone.
    pub fn kill(&self, pid: Pid) -> Result<()> {
        ensure!(self.is_ours(pid), "process {pid} is no aggctl of namespace {}", self.namespace.name());
        kill_process(pid, Signal::KILL).with_context(|| format!("cannot end process {pid}"))
    }

    /// Takes the aggregate away if it is there; for cleaning up, at whatever moment we were interrupted.
    ///
    /// # Errors
    ///
    /// When `aggctl` cannot, with its last message.
    pub fn clean_up(&self) -> Result<()> {
        // A controller that was killed a moment ago may be asked while another takes its place.
        let first = self.remove();
        if first.is_ok() {
            return first;
        }
        thread::sleep(Duration::from_secs(1));
        self.remove()
    }

    fn remove(&self) -> Result<()> {
        let all: Value = serde_json::from_str(&self.run("show --json")?).context("aggctl show --json")?;
        let Some(all) = all.as_array() else { bail!("aggctl show --json printed no array") };
        if all.iter().any(|aggregate| aggregate["name"] == self.aggregate) {
            self.run(&format!("detach {} --force", self.aggregate))?;
        }
        Ok(())
    }

    /// Whether a process is our binary in our namespace.
    fn is_ours(&self, pid: Pid) -> bool {
        let program = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
        let binary: PathBuf = fs::canonicalize(self.binary).unwrap_or_default();
        program == binary && self.namespace.holds(pid)
    }
}
