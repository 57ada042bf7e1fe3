//! `cargo xtask lab --here`: on the running kernel and the clock on the wall, in namespaces.

use anyhow::{Result, bail, ensure};

use super::{
    borrowed_nics::NicPair,
    figures::Figures,
    job::Means,
    machine,
    page::other,
    schedule::{self, MachineJobs},
    take, throughput,
};
use aggctl_tools::{interrupt::Interrupt, process, workspace::Workspace};

/// How many cables a measurement needs, where they are borrowed.
const CABLES: usize = 2;
/// How often everything is measured; the median counts.
const ROUNDS: u32 = 3;

/// What can be measured here: in namespaces, or over the cables that are borrowed.
///
/// # Errors
///
/// When the cables cannot be used.
pub fn groups(borrowed: &[NicPair], trials: u32) -> Result<Vec<MachineJobs>> {
    ensure!(
        borrowed.is_empty() || borrowed.len() == CABLES,
        "give --cable {CABLES} times: the aggregate is to have {CABLES} ports"
    );
    for pair in borrowed {
        pair.check()?;
    }
    Ok(schedule::here(ROUNDS, trials, !borrowed.is_empty()))
}

/// Measures and prints.
///
/// # Errors
///
/// When it cannot be measured here.
pub fn run(workspace: &Workspace, groups: Vec<MachineJobs>, means: &Means, mut figures: Figures) -> Result<()> {
    if !process::is_root() {
        bail!("--here makes network namespaces and loads programs: run it as root");
    }
    // The agent gets Ctrl-C, too, and takes away what it made: we wait for it.
    let _interrupt = Interrupt::catch()?;
    for group in groups {
        for word in machine::run_here(workspace, &group, means.clone())? {
            take(&mut figures, word);
        }
    }
    figures.throughputs = throughput::medians(&figures.throughputs);
    println!(
        "\nLinux {}, on the clock on the wall: only ratios mean something, and only large ones.",
        figures.identity.kernel
    );
    if !figures.throughputs.is_empty() {
        println!(
            "\nOne TCP connection, and small UDP datagrams, over active-backup; medians of {ROUNDS} rounds:\n\n{}",
            other::on_the_wall(&figures)
        );
    }
    if !figures.failovers.is_empty() {
        println!("A cable is cut:\n\n{}", other::failovers(&figures));
    }
    let mut left_out: Vec<String> =
        figures.left_out.iter().map(|left| format!("{}: {}", left.setup.contender, left.reason)).collect();
    left_out.sort();
    left_out.dedup();
    for line in left_out {
        println!("left out: {line}");
    }
    if !figures.failed.is_empty() {
        bail!("some measurements failed: {}", figures.failed.join("; "));
    }
    Ok(())
}
