//! The part of `cargo xtask test` that runs in virtual machines.

use std::{collections::BTreeMap, ffi::OsString, fs, path::Path};

use anyhow::{Context, Result};

use crate::{
    vm::{self, Cards, Choice, Outcome, Series, Streams},
    workspace::Workspace,
};

use super::{
    BINARY_VARIABLE,
    agent::Orders,
    choice::{PORTIONS, Portion},
    executables::Executable,
    listener::{Heard, Listener},
    report::{Report, Where},
};

/// Our own program in a machine: its first process.
const AGENT: &str = "/proc/1/exe";

/// The network cards of a machine, with which some tests play.
const CARDS: Cards = Cards { e1000e: 2 };

/// What all machines run.
pub struct Material<'a> {
    /// The test executables.
    pub executables: &'a [Executable],
    /// The product.
    pub binary: &'a Path,
    /// Only tests whose names contain one of these, if there are any.
    pub filter: &'a [String],
    /// How long each machine may take, seconds.
    pub limit: u64,
}

/// Runs the tests on each of these kernels, one after the other, and adds what became of them to the report. Returns
/// whether to go on: not when we were interrupted.
///
/// # Errors
///
/// When orders cannot be written.
pub fn run(workspace: &Workspace, series: &[Series], material: &Material<'_>, report: &mut Report) -> Result<bool> {
    for portion in PORTIONS.iter().filter(|portion| series.contains(&portion.series)) {
        if !run_one(workspace, portion, material, report)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn run_one(workspace: &Workspace, portion: &Portion, material: &Material<'_>, report: &mut Report) -> Result<bool> {
    let name = portion.series.name();
    let place = workspace.target.join("test-machines");
    fs::create_dir_all(&place).with_context(|| format!("cannot create {}", place.display()))?;
    let file = place.join(format!("{name}.json"));
    let binary = material.binary.to_str().context("the path of the binary must be UTF-8")?.to_owned();
    let orders = Orders {
        runs: portion.runs(material.executables, material.filter),
        environment: BTreeMap::from([(BINARY_VARIABLE.to_owned(), binary)]),
    };
    fs::write(&file, serde_json::to_vec(&orders)?).with_context(|| format!("cannot write {}", file.display()))?;
    let command = [AGENT.into(), "test".into(), "--agent".into(), OsString::from(&file)];
    let mut wish = vm::Wish::of(Choice::Series(portion.series), material.limit, command.into());
    wish.nic = Some(CARDS);

    println!("\n=== Linux {name}, in a virtual machine");
    let listener = Listener::new(name);
    let mut streams = || Streams { stdout: Box::new(listener.clone()), stderr: Box::new(std::io::stderr()) };
    let outcome = vm::run(workspace, &wish, &mut streams);
    let end = match &outcome {
        Ok(outcome) => outcome.message(),
        Err(error) => Some(format!("no machine could be made: {error:#}")),
    };
    let mut heard = listener.heard();
    let release = heard.kernel.take();
    report.kernel(name, release.as_deref().unwrap_or("?"), Where::Machine);
    if let Some(trouble) = trouble(&heard, &orders, end) {
        report.trouble(name, &trouble);
    }
    for (suite, outcome) in heard.suites {
        report.add(&suite, name, outcome);
    }
    Ok(outcome.is_ok_and(|outcome| outcome != Outcome::Interrupted) || report.failed())
}

/// Why not all of the orders were carried out, if so.
fn trouble(heard: &Heard, orders: &Orders, end: Option<String>) -> Option<String> {
    if heard.done && end.is_none() {
        return None;
    }
    let end = end.unwrap_or_else(|| "the agent ended before its work was done".to_owned());
    let during = heard.current.as_ref().map(|run| format!(" during {run}")).unwrap_or_default();
    let place = heard.current.as_ref().and_then(|run| orders.runs.iter().position(|other| other.name == *run));
    let left: Vec<&str> = orders.runs.iter().skip(place.map_or(0, |place| place + 1)).map(|run| &*run.name).collect();
    let left = if left.is_empty() { String::new() } else { format!("; not run: {}", left.join(", ")) };
    Some(format!("{end}{during}{left}"))
}
