//! The kernel's team driver and its daemon.

use std::{
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Map, json};

use crate::{
    iproute,
    question::Mode,
    site::{self, AGGREGATE, Site},
};
use aggctl_tools::process;

/// How long the daemon may take to end.
const END: Duration = Duration::from_secs(10);

/// A running teamd.
pub struct TeamContender(Child);

impl TeamContender {
    /// Makes a team of all ports. That there is no teamd, or that the kernel has no team, comes back as a reason.
    ///
    /// # Errors
    ///
    /// When no team comes of it.
    pub fn start(mode: Mode, site: &Site) -> Result<Result<Self, String>> {
        let runner = match mode {
            Mode::ActiveBackup => json!({ "name": "activebackup" }),
            Mode::Hash => json!({ "name": "loadbalance", "tx_hash": ["l3", "l4"] }),
            Mode::RoundRobin => json!({ "name": "roundrobin" }),
        };
        let ports: Map<_, _> = site.ports.iter().map(|port| (port.clone(), json!({}))).collect();
        let config = json!({ "runner": runner, "link_watch": { "name": "ethtool" }, "ports": ports }).to_string();
        // The driver takes no port that is up.
        let down: String = site.ports.iter().map(|port| format!("link set {port} down\n")).collect();
        iproute::batch(&site.host, &down)?;
        let Some(program) = process::find("teamd") else { return Ok(Err("there is no teamd".to_owned())) };
        let mut command = site.host.command(&program);
        // -U: without it, the daemon wants D-Bus.
        command.args(["-U", "-t", AGGREGATE, "-c", &config]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut teamd = Self(command.spawn().context("cannot start teamd")?);
        let joined = |port: &String| iproute::link(&site.host, port).is_ok_and(|link| link["master"] == AGGREGATE);
        let mut end = None;
        site::wait_for("a team with its ports", || {
            end = teamd.0.try_wait()?;
            Ok(end.is_some() || site.ports.iter().all(joined))
        })?;
        if let Some(status) = end {
            return Ok(Err(format!("teamd ended at once ({status}): does this kernel have the team driver?")));
        }
        site.host.ip(&format!("link set {AGGREGATE} up"))?;
        Ok(Ok(teamd))
    }
}

impl Drop for TeamContender {
    fn drop(&mut self) {
        // Asked to end, it removes its files, which would keep the next one from starting.
        let asked = kill_process(Pid::from_child(&self.0), Signal::TERM);
        let begin = Instant::now();
        while asked.is_ok() && begin.elapsed() < END {
            if matches!(self.0.try_wait(), Ok(Some(_))) {
                return;
            }
            thread::sleep(Duration::from_millis(50));
        }
        // It is our own child and not yet waited for, or already gone; both are fine.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
