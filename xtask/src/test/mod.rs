//! `cargo xtask test`: everything that is checked, in one command.

mod agent;
mod checks;
mod choice;
mod executables;
mod kernels;
mod lines;
mod listener;
mod machines;
mod report;
mod retry;
mod scan;
mod suite;

use std::{
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use anyhow::{Result, bail};
use clap::Args;

use aggctl_tools::{build, process, setup, workspace::Workspace};
use aggctl_vm::Series;

use self::{
    choice::{SYSTEM_PACKAGE, TestExtent},
    executables::Listed,
    machines::Material,
    report::{HOST, TestReport},
};

pub use kernels::write as write_kernels;

/// The variable that tells the system tests where the binary is.
const BINARY_VARIABLE: &str = "AGGCTL_BIN";

/// What to test.
#[derive(Args)]
pub struct TestWish {
    /// Run only tests whose name contains one of these; formatting and lints are then left out
    filter: Vec<String>,
    /// Leave out the system tests on this machine's own kernel (they need root and make network namespaces)
    #[arg(long)]
    no_system: bool,
    /// Leave out everything that runs on this machine's own kernel
    #[arg(long)]
    no_host: bool,
    /// Leave out the virtual machines with other kernels
    #[arg(long)]
    no_vm: bool,
    /// Run everything everywhere: also on the newest kernel, and on the others not only what they alone can show
    #[arg(long, conflicts_with = "no_vm")]
    full: bool,
    /// Of the virtual machines run only the one with this kernel (may be given several times)
    #[arg(long, value_name = "6.1|6.12|newest", conflicts_with = "no_vm")]
    kernel: Vec<Series>,
    /// Run system tests that fail on this machine's own kernel again, each by itself, if they are three at most; those
    /// that then hold are reported as unsteady and do not fail the run
    #[arg(long)]
    retry: bool,
    /// How long each virtual machine may take
    #[arg(long, value_name = "SECONDS", default_value_t = choice::LIMIT)]
    vm_timeout: u64,
    /// Carry out orders in a virtual machine
    #[arg(long, hide = true, exclusive = true, value_name = "FILE")]
    agent: Option<PathBuf>,
}

impl TestWish {
    /// A kernel that is asked for by name runs all of its portion.
    fn extent(&self) -> TestExtent {
        if self.full || !self.kernel.is_empty() { TestExtent::Full } else { TestExtent::Brief }
    }
}

/// Runs the suites, prints a table of them, and fails when any of them did.
///
/// # Errors
///
/// When something cannot be built, or a suite failed.
pub fn run(wish: &TestWish) -> Result<()> {
    if let Some(orders) = &wish.agent {
        return agent::run(orders);
    }
    let workspace = &Workspace::locate()?;
    let tools = setup::all()?;
    build::object(workspace, &tools)?;

    let mut report = TestReport::new();
    // First, so that who cannot have them learns it at once, and not after everything else.
    let machines = machines(wish, &mut report);
    if wish.no_host {
        report.leave_out("this machine's own kernel", "--no-host");
    } else {
        if wish.filter.is_empty() {
            checks::run(workspace, &tools, &mut report);
        }
        report.add("unit", HOST, suite::tests(&mut unit_tests(workspace, wish)));
    }
    let system = system_is_wanted(wish, &mut report);
    if system || !machines.is_empty() {
        let binary = build::all(workspace, false)?;
        let executables = executables::build(&mut test_executables(workspace))?;
        let listed = executables.into_iter().map(Listed::of).collect::<Result<Vec<_>>>()?;
        choice::check(&listed)?;
        if system {
            let runs = choice::host_runs(&listed, &wish.filter);
            let lanes = thread::available_parallelism().map_or(1, usize::from);
            let environment: [(&str, &Path); 1] = [(BINARY_VARIABLE, &binary)];
            let mut outcome = suite::executables(&runs, &environment, lanes);
            if wish.retry {
                retry::again(&mut outcome.tally, &runs, |run| suite::executables(&[run], &environment, 1).tally);
            }
            report.add("system", HOST, outcome);
        }
        let (filter, limit, extent) = (&wish.filter, wish.vm_timeout, wish.extent());
        let material = Material { listed: &listed, extent, binary: &binary, filter, limit };
        machines::run(workspace, &machines, &material, &mut report)?;
    }

    let file = workspace.target.join(report::FILE);
    report.write(&file)?;
    println!("\n{report}\nthe same for programs: {}", file.display());
    if report.failed() {
        bail!("tests failed");
    }
    Ok(())
}

/// The kernels for which there will be a machine.
fn machines(wish: &TestWish, report: &mut TestReport) -> Vec<Series> {
    if wish.no_vm {
        report.leave_out("virtual machines with other kernels", "--no-vm");
        return Vec::new();
    }
    let kernels = if wish.kernel.is_empty() { choice::kernels(wish.extent()) } else { wish.kernel.clone() };
    if wish.extent() == TestExtent::Brief {
        report.leave_out("what other kernels need not show again", "--full runs everything everywhere");
    }
    machines::prepare(&kernels, report)
}

/// Whether the system tests run on this machine's own kernel.
fn system_is_wanted(wish: &TestWish, report: &mut TestReport) -> bool {
    let reason = match (wish.no_host, wish.no_system, process::is_root()) {
        (true, ..) => return false,
        (_, true, _) => "--no-system",
        (_, _, false) => "the system tests make network namespaces and load programs: they need root",
        (false, false, true) => return true,
    };
    report.leave_out("system", reason);
    false
}

fn unit_tests(workspace: &Workspace, wish: &TestWish) -> Command {
    let mut command = build::cargo(workspace, "test");
    command.args(["--no-fail-fast", "--workspace", "--exclude", SYSTEM_PACKAGE]);
    arguments(&mut command, wish);
    command
}

/// Builds the tests that run in virtual machines, too.
fn test_executables(workspace: &Workspace) -> Command {
    let mut command = build::cargo(workspace, "test");
    command.args(["--quiet", "--no-run", "--message-format=json-render-diagnostics"]);
    command.args(["--package", SYSTEM_PACKAGE, "--package", choice::KERNEL_PACKAGE]);
    command
}

/// The reasons of skipped tests are in the output of tests that passed, so that is asked for (and mostly not shown).
fn arguments(command: &mut Command, wish: &TestWish) {
    command.args(["--", "--show-output"]).args(&wish.filter);
}
