//! `cargo xtask test`: everything that is checked, in one command.

mod report;
mod scan;
mod suite;

use std::process::Command;

use anyhow::{Result, bail};
use clap::Args;

use crate::{
    build, process,
    setup::{self, Build},
    workspace::{self, Workspace},
};

use report::Report;

/// The variable that tells the system tests where the binary is.
const BINARY_VARIABLE: &str = "AGGCTL_BIN";

/// The package of the system tests.
const SYSTEM_PACKAGE: &str = "aggctl-tests";

/// What to test.
#[derive(Args)]
pub struct Wish {
    /// Run only tests whose name contains one of these; formatting and lints are then left out
    filter: Vec<String>,
    /// Leave out the system tests (they need root and make network namespaces)
    #[arg(long)]
    no_system: bool,
}

/// Runs the suites, prints a table of them, and fails when any of them did.
///
/// # Errors
///
/// When something cannot be built, or a suite failed.
pub fn run(workspace: &Workspace, wish: &Wish) -> Result<()> {
    let tools = setup::all()?;
    build::object(workspace, &tools)?;

    let mut report = Report::default();
    if wish.filter.is_empty() {
        report.add("format", suite::check(&mut [format(workspace), format_ebpf(workspace)]));
        report.add("clippy", suite::check(&mut [clippy(workspace)]));
        match clippy_ebpf(workspace, &tools) {
            Some(command) => report.add("clippy (eBPF)", suite::check(&mut [command])),
            None => report.leave_out("clippy (eBPF)", &format!("{} has no clippy", tools.toolchain)),
        }
    }
    report.add("unit", suite::tests(&mut unit_tests(workspace, wish)));
    if wish.no_system {
        report.leave_out("system", "--no-system");
    } else if !process::is_root() {
        report.leave_out("system", "the system tests make network namespaces and load programs: they need root");
    } else {
        let binary = build::all(workspace, false)?;
        let mut command = system_tests(workspace, wish);
        command.env(BINARY_VARIABLE, binary);
        report.add("system", suite::tests(&mut command));
    }

    println!("\n{report}");
    if report.failed() {
        bail!("tests failed");
    }
    Ok(())
}

fn format(workspace: &Workspace) -> Command {
    let mut command = build::cargo(workspace, "fmt");
    command.args(["--all", "--check"]);
    command
}

fn format_ebpf(workspace: &Workspace) -> Command {
    let mut command = Command::new(workspace::cargo());
    command.current_dir(workspace.ebpf_crate()).args(["fmt", "--check"]);
    command
}

fn clippy(workspace: &Workspace) -> Command {
    let mut command = build::cargo(workspace, "clippy");
    command.args(["--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"]);
    command
}

fn clippy_ebpf(workspace: &Workspace, tools: &Build) -> Option<Command> {
    let mut command = build::ebpf_clippy(workspace, tools)?;
    command.args(["--quiet", "--release", "--", "-D", "warnings"]);
    Some(command)
}

fn unit_tests(workspace: &Workspace, wish: &Wish) -> Command {
    let mut command = build::cargo(workspace, "test");
    command.args(["--no-fail-fast", "--workspace", "--exclude", SYSTEM_PACKAGE]);
    arguments(&mut command, wish);
    command
}

fn system_tests(workspace: &Workspace, wish: &Wish) -> Command {
    let mut command = build::cargo(workspace, "test");
    command.args(["--no-fail-fast", "--package", SYSTEM_PACKAGE]);
    arguments(&mut command, wish);
    command
}

/// The reasons of skipped tests are in the output of tests that passed, so that is asked for (and mostly not shown).
fn arguments(command: &mut Command, wish: &Wish) {
    command.args(["--", "--show-output"]).args(&wish.filter);
}
