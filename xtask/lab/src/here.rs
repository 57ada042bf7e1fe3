//! `cargo xtask lab --here`: on the running kernel and the clock on the wall, in namespaces.

use anyhow::{Result, bail, ensure};

use super::{figures::Figures, job::Means, machine, page::other, schedule, take, throughput};
use aggctl_tools::{interrupt::Interrupt, process, workspace::Workspace};

/// How many cables a measurement needs, where they are borrowed.
const CABLES: usize = 2;
/// How often everything is measured; the median counts.
const ROUNDS: u32 = 3;

/// Measures and prints.
///
/// # Errors
///
/// When it cannot be measured here.
pub fn run(workspace: &Workspace, means: Means, mut figures: Figures, trials: u32) -> Result<()> {
    if !process::is_root() {
        bail!("--here makes network namespaces and loads programs: run it as root");
    }
    // The agent gets Ctrl-C, too, and takes away what it made: we wait for it.
    let _interrupt = Interrupt::catch()?;
    let borrowed = !means.borrowed.is_empty();
    ensure!(
        !borrowed || means.borrowed.len() == CABLES,
        "give --cable {CABLES} times: the aggregate is to have {CABLES} ports"
    );
    for pair in &means.borrowed {
        pair.check()?;
    }
    for group in schedule::here(ROUNDS, trials, borrowed) {
        for word in machine::run_here(workspace, &group, means.clone())? {
            take(&mut figures, word);
        }
    }
    figures.throughputs = throughput::medians(&figures.throughputs);
    println!(
        "\nLinux {}, on the clock on the wall: only ratios mean something, and only large ones.",
        figures.identity.kernel
    );
    println!(
        "\nOne TCP connection, and small UDP datagrams, over active-backup; medians of {ROUNDS} rounds:\n\n{}",
        other::on_the_wall(&figures)
    );
    println!("A cable is cut:\n\n{}", other::failovers(&figures));
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
