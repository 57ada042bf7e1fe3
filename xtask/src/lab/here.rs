//! `cargo xtask lab --here`: on the running kernel and the clock on the wall, in namespaces.

use std::path::Path;

use anyhow::{Result, bail};

use super::{figures::Figures, machine, page::other, schedule, take, throughput::Throughput};
use crate::{process, workspace::Workspace};

/// How often each connection is made; the median counts.
const ROUNDS: u32 = 5;

/// Measures and prints.
///
/// # Errors
///
/// When it cannot be measured here.
pub fn run(workspace: &Workspace, binary: &Path, mut figures: Figures, trials: u32) -> Result<()> {
    if !process::is_root() {
        bail!("--here makes network namespaces and loads programs: run it as root");
    }
    for group in schedule::here(ROUNDS, trials) {
        for word in machine::run_here(workspace, &group, binary)? {
            take(&mut figures, word);
        }
    }
    figures.throughputs = medians(&figures.throughputs);
    println!(
        "\nLinux {}, on the clock on the wall: only ratios mean something, and only large ones.",
        figures.identity.kernel
    );
    println!(
        "\nOne TCP connection over active-backup, medians of {ROUNDS} rounds:\n\n{}",
        other::throughputs(&figures)
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

/// One for each connection that was made several times: the middle one.
fn medians(all: &[Throughput]) -> Vec<Throughput> {
    let mut medians: Vec<Throughput> = Vec::new();
    for one in all {
        let same = |other: &&Throughput| other.job == one.job && other.direction == one.direction;
        if medians.iter().any(|other| same(&other)) {
            continue;
        }
        let mut rounds: Vec<Throughput> = all.iter().filter(same).copied().collect();
        rounds.sort_by(|a, b| a.megabits.total_cmp(&b.megabits));
        medians.extend(rounds.get(rounds.len() / 2));
    }
    medians
}

#[cfg(test)]
mod tests {
    use super::{Throughput, medians};
    use crate::lab::{
        figures::tests::setup,
        question::{Contender, Direction},
        throughput::ThroughputJob,
    };

    #[test]
    fn rounds_become_their_median() {
        let job = ThroughputJob { setup: setup(Contender::Bare), offloads: true };
        let one = |direction, megabits| Throughput { job, direction, megabits };
        let all = [5.0, 1.0, 3.0].map(|megabits| one(Direction::Tx, megabits));
        assert_eq!(medians(&[&all[..], &[one(Direction::Rx, 7.0)]].concat()), [all[2], one(Direction::Rx, 7.0)]);
    }
}
