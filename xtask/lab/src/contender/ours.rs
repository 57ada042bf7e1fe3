//! `aggctl` itself.

use std::path::Path;

use anyhow::{Context, Result, bail};
use rustix::process::Pid;

use super::Extra;
use crate::{
    question::{Mode, Wiring},
    site::{AGGREGATE, Site},
};
use aggctl_testbed::product::Product;

/// The exit status for what is not built.
const NOT_BUILT: i32 = 2;

/// An aggregate of ours. Dropping it detaches it.
pub struct Ours<'a>(Product<'a>);

/// Attaches all ports, or in wiring `over` the bond or team that is there. What is refused as not built comes back as
/// the reason.
///
/// # Errors
///
/// When it fails otherwise.
pub fn attach<'a>(
    wiring: Wiring,
    mode: Mode,
    extra: &Extra,
    site: &'a Site,
    binary: &'a Path,
) -> Result<Result<Ours<'a>, String>> {
    let mut words = vec!["attach", AGGREGATE, "--wiring", wiring.name()];
    words.extend(match mode {
        // The default, also over a bond or a team in that mode, which needs no word; so older programs know it, too.
        Mode::ActiveBackup => &[][..],
        Mode::Hash => &["--mode", "hash", "--hash", "layer3+4"],
        Mode::RoundRobin => &["--mode", "round-robin"],
    });
    if extra.like_bonding {
        words.extend(["--table", "kernel-compat"]);
    }
    let watch = extra.poll.map(|poll| format!("link,poll={poll}"));
    words.extend(watch.iter().flat_map(|watch| ["--watch", watch]));
    // A bond or a team has them already.
    let named = if matches!(wiring, Wiring::Over | Wiring::OverTeam) { &[][..] } else { &site.ports };
    for port in named {
        words.extend(["--port", port]);
    }
    let mut command = site.host.command(binary);
    let output = command.args(words).output().context("cannot start aggctl")?;
    let said = String::from_utf8_lossy(&output.stderr);
    let first = said.lines().find(|line| !line.trim().is_empty()).unwrap_or("it does not say why").trim().to_owned();
    match output.status.code() {
        Some(0) => Ok(Ok(Ours(Product { binary, namespace: &site.host, aggregate: AGGREGATE }))),
        Some(NOT_BUILT) => Ok(Err(first)),
        _ => bail!("aggctl attach failed ({}): {}", output.status, said.trim()),
    }
}

impl Ours<'_> {
    /// The processes of its controller and of its guardian.
    ///
    /// # Errors
    ///
    /// When there are none.
    pub fn processes(&self) -> Result<(Pid, Pid)> {
        let controller = self.0.controller()?.context("no controller runs")?;
        Ok((controller, self.0.guardian(controller).context("no guardian runs")?))
    }

    /// Kills guardian and controller.
    ///
    /// # Errors
    ///
    /// When there are none, or they cannot be ended.
    pub fn orphan(&self) -> Result<()> {
        let (controller, guardian) = self.processes()?;
        // Else the guardian would start another controller.
        self.0.kill(guardian)?;
        self.0.kill(controller)
    }
}

impl Drop for Ours<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.0.clean_up() {
            eprintln!("lab: {error:#}");
        }
    }
}
