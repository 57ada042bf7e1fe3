//! `cargo xtask lab`: an exact comparison with the kernel's bonding and team drivers.
//!
//! What is compared, how, and what came of it is in `docs/lab/README.md`, which this writes.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test may panic"))]

mod agent;
mod borrowed_nics;
mod capture;
mod check;
mod contender;
mod controller;
mod cost;
mod failover;
mod figures;
mod frame;
mod here;
mod identity;
mod iproute;
mod job;
mod machine;
mod message;
mod outcome;
mod page;
mod pktgen;
mod profile;
mod question;
mod schedule;
mod site;
mod spread;
mod taps;
mod throughput;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use clap::Args;

use self::{
    borrowed_nics::NicPair,
    figures::{Figures, LeftOut},
    identity::MeasuredOn,
    job::Means,
    message::Message,
    schedule::{LabExtent, MachineJobs},
};
use aggctl_tools::{build, setup, workspace::Workspace};
use aggctl_vm::KernelChoice;

/// How long one machine may take, seconds.
const LIMIT: u64 = 7200;

/// What to compare.
#[derive(Args)]
pub struct LabWish {
    /// Only the modes over two ports with short frames, with fewer of them; nothing is written
    #[arg(long, conflicts_with = "check")]
    quick: bool,
    /// Fail when a ratio to bonding is more than 2 % worse than the committed one of the same kernel and compiler
    #[arg(long)]
    check: bool,
    /// On the running kernel and the clock on the wall, in network namespaces; nothing is written
    #[arg(long, conflicts_with_all = ["check", "quick", "page"])]
    here: bool,
    /// With --here: measure over a cable between two interfaces of this machine that nobody uses, for example
    /// eth1=eth3; give two, the first end of each becomes a port
    #[arg(long, value_name = "IF=IF", requires = "here")]
    cable: Vec<NicPair>,
    /// Write the page from the figures that are there, without measuring
    #[arg(long, conflicts_with_all = ["check", "quick"])]
    page: bool,
    /// How often a cable is cut for each figure of a failover
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    trials: u32,
    /// The kernel: 6.1, 6.12, newest, or a path (see `cargo xtask vm`)
    #[arg(long, value_name = "KERNEL", default_value = "6.12")]
    kernel: KernelChoice,
    /// Run only groups whose name contains one of these; what is there of the others is kept
    filter: Vec<String>,
    /// Carry out orders where we are
    #[arg(long, hide = true, exclusive = true, value_name = "FILE")]
    agent: Option<PathBuf>,
}

/// Compares.
///
/// # Errors
///
/// When something cannot be built, a machine cannot be made, or a figure is missing or worse.
pub fn run(wish: &LabWish) -> Result<()> {
    if let Some(orders) = &wish.agent {
        return agent::run(orders);
    }
    let workspace = &Workspace::locate()?;
    let directory = workspace.root.join("docs/lab");
    if wish.page {
        return page::write(&directory);
    }
    let tools = setup::all()?;
    let binary = build::all(workspace, true)?;
    let extent = match (wish.quick, wish.check) {
        (true, _) => LabExtent::Quick,
        (_, true) => LabExtent::Check,
        _ => LabExtent::Full,
    };
    let mut figures = Figures::new(MeasuredOn::of(workspace, &tools.toolchain)?);
    let chosen =
        |group: &MachineJobs| wish.filter.is_empty() || wish.filter.iter().any(|word| group.name.contains(word));
    if wish.here {
        let groups = here::groups(&wish.cable, wish.trials)?.into_iter().filter(chosen).collect();
        return here::run(workspace, groups, &Means { binary, borrowed: wish.cable.clone() }, figures);
    }
    for group in schedule::groups(extent, wish.trials).into_iter().filter(chosen) {
        for word in machine::run(workspace, &group, &binary, &wish.kernel, LIMIT)? {
            take(&mut figures, word);
        }
        if extent == LabExtent::Full {
            keep(&figures, &directory)?;
        }
    }
    println!("\n{}", page::summary(&figures));
    if wish.check {
        return check_against(&directory, &figures);
    }
    if !figures.failed.is_empty() {
        bail!("some measurements failed: {}", figures.failed.join("; "));
    }
    Ok(())
}

fn take(figures: &mut Figures, word: Message) {
    match word {
        Message::Kernel(kernel) => figures.identity.kernel = kernel,
        Message::Cost(cost) => figures.costs.push(cost),
        Message::Spread(spread) => figures.spreads.push(spread),
        Message::Failover(failover) => figures.failovers.push(failover),
        Message::Throughput(throughput) => figures.throughputs.push(throughput),
        Message::Profile(profile) => figures.profiles.push(profile),
        Message::Load(load) => figures.loads.push(load),
        Message::LeftOut { setup, reason } => {
            let left = LeftOut { setup, reason };
            // Every round of a measurement says it again.
            if !figures.left_out.contains(&left) {
                figures.left_out.push(left);
            }
        }
        Message::Failed(what) => figures.failed.push(what),
        Message::Begin(_) | Message::Done => {}
    }
}

/// Writes the figures beside those of other kernels and compilers, and the page anew. What an older file has of
/// measurements that were not repeated stays in it.
fn keep(figures: &Figures, directory: &Path) -> Result<()> {
    fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))?;
    let file = figures.identity.file(directory);
    let mut all = figures.clone();
    all.throughputs = throughput::medians(&all.throughputs);
    if file.exists() {
        all.fill_in(Figures::read(&file)?);
    }
    all.write(&file)?;
    page::write(directory)
}

/// Compares with what is committed for the same kernel and compiler.
fn check_against(directory: &Path, figures: &Figures) -> Result<()> {
    let file = figures.identity.file(directory);
    if !file.exists() {
        println!("nothing to compare with: there is no {}; `cargo xtask lab` writes it", file.display());
        return Ok(());
    }
    let changes = check::compare(&Figures::read(&file)?, figures);
    for change in &changes {
        println!("{}{change}", if change.is_worse() { "WORSE: " } else { "" });
    }
    if changes.iter().any(check::FigureChange::is_worse) {
        bail!("worse than committed");
    }
    Ok(())
}
