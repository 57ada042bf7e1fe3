//! The part of `cargo xtask test` that runs in virtual machines.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use anyhow::{Context, Result, anyhow};

use aggctl_tools::workspace::Workspace;

use aggctl_vm::{self as vm, KernelChoice, MachineOutcome, NicCounts, Series, Streams};

use super::{
    BINARY_VARIABLE,
    agent::AgentOrders,
    choice::{PORTIONS, Portion, TestExtent},
    executables::Listed,
    listener::{Listener, Transcript},
    report::{TestReport, Where},
};

/// Our own program in a machine: its first process.
const AGENT: &str = "/proc/1/exe";

/// The network cards of a machine, with which some tests play.
const CARDS: NicCounts = NicCounts { e1000e: 2 };

/// What to do where there can be no machines.
const WAY_OUT: &str =
    "what it is made of comes from Debian's archive once, which needs a network; `--no-vm` leaves the machines out";

/// What all machines run.
pub struct Material<'a> {
    /// The test executables.
    pub listed: &'a [Listed],
    /// How much of them.
    pub extent: TestExtent,
    /// The product.
    pub binary: &'a Path,
    /// Only tests whose names contain one of these, if there are any.
    pub filter: &'a [String],
    /// How long each machine may take, seconds.
    pub limit: u64,
}

/// Makes ready what the machines with these kernels need, and returns those that there will be. That another one cannot
/// be made is a failure, which is told at once and in the report.
pub fn prepare(series: &[Series], report: &mut TestReport) -> Vec<Series> {
    let mut ready = Vec::new();
    for series in series {
        match vm::prepare(&KernelChoice::Series(*series)) {
            Ok(()) => ready.push(*series),
            Err(error) => {
                let trouble = format!("no machine could be made: {error:#} ({WAY_OUT})");
                eprintln!("FAILED on kernel {}: {trouble}", series.name());
                report.kernel(series.name(), "?", Where::Machine);
                report.trouble(series.name(), &trouble);
            }
        }
    }
    ready
}

/// Runs the tests on each of these kernels, on some at the same time, and adds what became of them to the report. It
/// ends when we are interrupted.
///
/// # Errors
///
/// When orders cannot be written.
pub fn run(workspace: &Workspace, series: &[Series], material: &Material<'_>, report: &mut TestReport) -> Result<()> {
    let portions: Vec<&Portion> = PORTIONS.iter().filter(|portion| series.contains(&portion.series)).collect();
    let queue = Mutex::new(portions.iter());
    let interrupted = AtomicBool::new(false);
    let next = || {
        let portion = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
        portion.filter(|_| !interrupted.load(Ordering::Relaxed))
    };
    let lane = || -> Result<Vec<Made>> {
        let mut all = Vec::new();
        while let Some(portion) = next() {
            let made = run_one(workspace, portion, material)?;
            interrupted.fetch_or(made.interrupted, Ordering::Relaxed);
            all.push(made);
        }
        Ok(all)
    };
    let lanes = vm::at_a_time()?.min(portions.len());
    let mut all = thread::scope(|scope| {
        let lanes: Vec<_> = (0..lanes).map(|_| scope.spawn(lane)).collect();
        let ended = lanes.into_iter().map(|lane| lane.join().map_err(|_| anyhow!("a test of a machine panicked"))?);
        ended.collect::<Result<Vec<_>>>()
    })?
    .concat();
    all.sort_by_key(|made| portions.iter().position(|portion| portion.series == made.series));
    for Made { series, received, trouble, .. } in all {
        let name = series.name();
        report.kernel(name, received.kernel.as_deref().unwrap_or("?"), Where::Machine);
        if let Some(trouble) = trouble {
            report.trouble(name, &trouble);
        }
        for (suite, outcome) in received.suites {
            report.add(&suite, name, outcome);
        }
    }
    Ok(())
}

/// What became of a machine.
#[derive(Clone, Debug)]
struct Made {
    series: Series,
    received: Transcript,
    trouble: Option<String>,
    interrupted: bool,
}

fn run_one(workspace: &Workspace, portion: &Portion, material: &Material<'_>) -> Result<Made> {
    let series = portion.series;
    let name = series.name();
    let place = workspace.target.join("test-machines");
    fs::create_dir_all(&place).with_context(|| format!("cannot create {}", place.display()))?;
    let file = place.join(format!("{name}.json"));
    let binary = material.binary.to_str().context("the path of the binary must be UTF-8")?.to_owned();
    let orders = AgentOrders {
        runs: portion.runs(material.listed, material.extent, material.filter),
        environment: BTreeMap::from([(BINARY_VARIABLE.to_owned(), binary)]),
    };
    fs::write(&file, serde_json::to_vec(&orders)?).with_context(|| format!("cannot write {}", file.display()))?;
    let command = [AGENT.into(), "test".into(), "--agent".into(), OsString::from(&file)];
    let mut wish = vm::MachineWish::of(KernelChoice::Series(series), material.limit, command.into());
    wish.nic = Some(CARDS);

    println!("=== Linux {name}, in a virtual machine");
    let listener = Listener::new(name, &orders.runs);
    let mut streams = || Streams { stdout: Box::new(listener.clone()), stderr: Box::new(std::io::stderr()) };
    let outcome = vm::run(workspace, &wish, &mut streams);
    let end = match &outcome {
        Ok(outcome) => outcome.message(),
        Err(error) => Some(format!("no machine could be made: {error:#}")),
    };
    let received = listener.received();
    let trouble = trouble(&received, &orders, end);
    Ok(Made { series, received, trouble, interrupted: matches!(outcome, Ok(MachineOutcome::Interrupted)) })
}

/// Why not all of the orders were carried out, if so.
fn trouble(received: &Transcript, orders: &AgentOrders, end: Option<String>) -> Option<String> {
    if received.done && end.is_none() {
        return None;
    }
    let end = end.unwrap_or_else(|| "the agent ended before its work was done".to_owned());
    let during = received.current.as_ref().map(|run| format!(" during {run}")).unwrap_or_default();
    let place = received.current.as_ref().and_then(|run| orders.runs.iter().position(|other| other.name == *run));
    let left: Vec<&str> = orders.runs.iter().skip(place.map_or(0, |place| place + 1)).map(|run| &*run.name).collect();
    let left = if left.is_empty() { String::new() } else { format!("; not run: {}", left.join(", ")) };
    Some(format!("{end}{during}{left}"))
}
