//! `cargo xtask build`: the eBPF object first, then the binary that carries it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};

use crate::{
    debug_info, environment, process,
    setup::{self, Build},
    toolchain::TARGET,
    workspace::{self, Workspace},
};

/// The variable that tells the build of the user side where the object is.
const OBJECT_VARIABLE: &str = "AGGCTL_EBPF_OBJECT";

/// The variable by which tests make steps fail, in debug builds.
const FAULT_VARIABLE: &str = "AGGCTL_FAULT";

/// The most octets that the binary of a release may have, without debug information.
const MOST_OCTETS: u64 = 8_000_000;

/// Builds everything and returns the path of the binary. The debug information of a release lies beside it.
///
/// # Errors
///
/// When a compiler fails, with its own messages above.
pub fn all(workspace: &Workspace, release: bool) -> Result<PathBuf> {
    object(workspace, &setup::build()?)?;
    let mut build = cargo(workspace, "build");
    build.args(["--quiet", "--package", "aggctl"]);
    if release {
        build.arg("--release");
    }
    process::run(&mut build)?;
    let binary = workspace.aggctl(release);
    if release {
        has_no_hook(&binary)?;
        debug_info::split(&binary)?;
        is_small(&binary)?;
    }
    Ok(binary)
}

/// What makes steps fail for tests is in no release.
fn has_no_hook(binary: &Path) -> Result<()> {
    let octets = fs::read(binary).with_context(|| format!("cannot read {}", binary.display()))?;
    let found = octets.windows(FAULT_VARIABLE.len()).any(|octets| octets == FAULT_VARIABLE.as_bytes());
    ensure!(!found, "{} contains the fault hook of the tests ({FAULT_VARIABLE})", binary.display());
    Ok(())
}

/// A release is one file that is copied to hosts.
fn is_small(binary: &Path) -> Result<()> {
    let octets = fs::metadata(binary).with_context(|| format!("cannot read {}", binary.display()))?.len();
    ensure!(octets <= MOST_OCTETS, "{} has {octets} octets, more than {MOST_OCTETS}", binary.display());
    Ok(())
}

/// The binary to be shown or measured: built with all that is needed, or in a virtual machine the one that the host
/// built.
///
/// # Errors
///
/// As [`all`]; in a machine when the host has not built it.
pub fn ready(workspace: &Workspace, release: bool) -> Result<PathBuf> {
    if environment::in_virtual_machine() {
        let binary = workspace.aggctl(release);
        let how = if release { "cargo xtask build --release" } else { "cargo xtask build" };
        ensure!(binary.is_file(), "there is no {}: run `{how}` on the host", binary.display());
        return Ok(binary);
    }
    setup::all()?;
    all(workspace, release)
}

/// Builds the eBPF object, always optimised: the verifier sees what the optimiser leaves.
///
/// # Errors
///
/// As [`all`].
pub fn object(workspace: &Workspace, build: &Build) -> Result<()> {
    let mut command = build.toolchain.cargo();
    for_programs(&mut command, workspace, build, "build");
    command.args(["--quiet", "--release"]);
    process::run(&mut command).with_context(|| format!("building the eBPF programs with {}", build.toolchain))?;
    let built = workspace.ebpf_target().join(TARGET).join("release/aggctl");
    replace_if_changed(&built, &workspace.object())
}

/// Clippy for the eBPF programs, if their compiler has one.
pub fn ebpf_clippy(workspace: &Workspace, build: &Build) -> Option<Command> {
    let mut command = build.toolchain.clippy()?;
    for_programs(&mut command, workspace, build, "clippy");
    Some(command)
}

/// Makes a cargo command one on the crate of the programs, for their target.
fn for_programs(command: &mut Command, workspace: &Workspace, build: &Build, subcommand: &str) {
    command
        .current_dir(workspace.ebpf_crate())
        .env("CARGO_TARGET_DIR", workspace.ebpf_target())
        .env("CARGO_TARGET_BPFEL_UNKNOWN_NONE_LINKER", &build.linker)
        .arg(subcommand)
        .args(["--locked", "--target", TARGET])
        .args(build.toolchain.build_arguments());
}

/// A cargo command for the user side, which finds the object.
pub fn cargo(workspace: &Workspace, subcommand: &str) -> Command {
    let mut command = Command::new(workspace::cargo());
    command
        .current_dir(&workspace.root)
        .env("CARGO_TARGET_DIR", &workspace.target)
        .env(OBJECT_VARIABLE, workspace.object())
        .arg(subcommand);
    // What cargo told us about ourselves is not for the build scripts of others.
    for (name, _) in std::env::vars_os() {
        let ours = ["CARGO_MANIFEST", "CARGO_PKG_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_"];
        if name.to_str().is_some_and(|name| ours.iter().any(|prefix| name.starts_with(prefix))) {
            command.env_remove(name);
        }
    }
    command
}

/// Puts a file in its place in one go, and only when its content changed, so that nothing is rebuilt for nothing.
fn replace_if_changed(new: &Path, place: &Path) -> Result<()> {
    let content = fs::read(new).with_context(|| format!("the build left no {}", new.display()))?;
    if fs::read(place).is_ok_and(|old| old == content) {
        return Ok(());
    }
    let directory = place.parent().context("the object has no directory")?;
    fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))?;
    let temporary = place.with_extension(format!("o.{}", std::process::id()));
    fs::write(&temporary, content).with_context(|| format!("cannot write {}", temporary.display()))?;
    fs::rename(&temporary, place).with_context(|| format!("cannot write {}", place.display()))
}
