//! What is checked without running the product: formatting, lints, documentation, the oldest compiler, licences.

use std::{path::PathBuf, process::Command};

use aggctl_tools::{build, process, setup::Build, workspace, workspace::Workspace};

use super::{
    lines,
    report::{HOST, TestReport},
    suite,
};

/// Runs all checks that can be run here, and names the others.
pub fn run(workspace: &Workspace, tools: &Build, report: &mut TestReport) {
    report.add("format", HOST, suite::check(&mut [format(workspace), format_ebpf(workspace)]));
    report.add("line length", HOST, lines::check(&workspace.root, &workspace.sources()));
    report.add("clippy", HOST, suite::check(&mut [clippy(workspace)]));
    match clippy_ebpf(workspace, tools) {
        Some(command) => report.add("clippy (eBPF)", HOST, suite::check(&mut [command])),
        None => report.leave_out("clippy (eBPF)", &format!("{} has no clippy", tools.toolchain)),
    }
    report.add("rustdoc", HOST, suite::check(&mut [rustdoc(workspace)]));
    match oldest_compiler(workspace) {
        Ok(Some(command)) => report.add("oldest compiler", HOST, suite::check(&mut [command])),
        // Everything else is compiled by it.
        Ok(None) => {}
        Err(reason) => report.leave_out("oldest compiler", &reason),
    }
    match process::find("cargo-deny") {
        Some(program) => report.add("licences", HOST, suite::check(&mut [deny(workspace, program)])),
        None => report.leave_out("licences", "there is no cargo-deny: `cargo install cargo-deny --locked`"),
    }
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

fn rustdoc(workspace: &Workspace) -> Command {
    let mut command = build::cargo(workspace, "doc");
    command.env("RUSTDOCFLAGS", "-D warnings").args(["--quiet", "--workspace", "--no-deps"]);
    command
}

/// A check by the oldest compiler that the workspace promises to do with; `None` if it is the one that runs us.
///
/// # Errors
///
/// Why it cannot be checked here.
fn oldest_compiler(workspace: &Workspace) -> Result<Option<Command>, String> {
    let oldest = env!("CARGO_PKG_RUST_VERSION");
    let same = |version: &str| version.split(' ').nth(1).is_some_and(|version| version.starts_with(oldest));
    let version = |command: &mut Command| process::read(command.arg("--version")).unwrap_or_default();
    if same(&version(&mut Command::new(rustc()))) {
        return Ok(None);
    }
    let installed = format!("{oldest}.0");
    let mut rustup = Command::new("rustup");
    rustup.env("RUSTUP_AUTO_INSTALL", "0").args(["run", &installed, "rustc"]);
    if !same(&version(&mut rustup)) {
        return Err(format!("Rust {oldest} is not here: `rustup toolchain install {installed}`"));
    }
    let mut check = build::cargo(workspace, "check");
    check.env("RUSTUP_TOOLCHAIN", &installed).env_remove("RUSTC").args(["--quiet", "--workspace"]);
    Ok(Some(check))
}

/// The compiler that cargo uses here.
fn rustc() -> PathBuf {
    std::env::var_os("RUSTC").map_or_else(|| "rustc".into(), PathBuf::from)
}

/// Licences, sources and doubled versions; what is known to be vulnerable needs a network, and a run of its own.
fn deny(workspace: &Workspace, program: PathBuf) -> Command {
    let mut command = Command::new(program);
    command.current_dir(&workspace.root).args(["--offline", "check", "licenses", "sources", "bans"]);
    command
}
