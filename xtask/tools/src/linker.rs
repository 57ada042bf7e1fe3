//! The linker of the eBPF programs.

use std::{path::PathBuf, process::Command};

use anyhow::{Context, Result};

use crate::{process, workspace};

/// The LLVM that the linker is built with. It reads what compilers with this LLVM or an older one write.
pub const LLVM: u32 = 22;

/// The packages that building the linker needs.
pub const PACKAGES: &[&str] = &["llvm-22-dev"];

const PROGRAM: &str = "bpf-linker";
const VERSION: &str = "0.13.0";
/// The oldest version that is used as it is: minor and patch level of major 0.
const OLDEST: (u32, u32) = (13, 0);

/// The linker, if one that is new enough is there and starts.
pub fn present() -> Option<PathBuf> {
    let program = process::find(PROGRAM)?;
    let version = process::read(Command::new(&program).arg("--version")).ok()?;
    new_enough(&version).then_some(program)
}

/// Whether the LLVM that the linker is built with is there.
pub fn llvm() -> Option<PathBuf> {
    process::find(&format!("llvm-config-{LLVM}"))
}

/// What a person would run to install the linker.
pub fn install_line() -> String {
    format!("LLVM_PREFIX=$(llvm-config-{LLVM} --prefix) cargo {}", arguments().join(" "))
}

/// Builds and installs the linker where cargo installs programs.
///
/// # Errors
///
/// When its LLVM is not there or cargo fails.
pub fn install() -> Result<PathBuf> {
    let llvm = llvm().with_context(|| format!("llvm-config-{LLVM} is not there"))?;
    let prefix = process::read(Command::new(llvm).arg("--prefix"))?;
    eprintln!("setup: building {PROGRAM} {VERSION} (about two minutes)");
    let mut install = Command::new(workspace::cargo());
    install.env("LLVM_PREFIX", prefix.trim()).args(arguments());
    process::run(&mut install)?;
    present().with_context(|| format!("{PROGRAM} was installed but does not start, or is not in PATH"))
}

fn arguments() -> Vec<String> {
    let fixed = ["install", PROGRAM, "--version", VERSION, "--locked", "--no-default-features", "--features"];
    fixed.iter().map(ToString::to_string).chain([format!("llvm-{LLVM}")]).collect()
}

fn new_enough(output: &str) -> bool {
    let Some(version) = output.split_whitespace().nth(1) else { return false };
    let mut numbers = version.split(['.', '-']).map(str::parse::<u32>);
    match (numbers.next(), numbers.next(), numbers.next()) {
        (Some(Ok(0)), Some(Ok(minor)), Some(Ok(patch))) => (minor, patch) >= OLDEST,
        (Some(Ok(_)), Some(Ok(_)), Some(Ok(_))) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::new_enough;

    #[test]
    fn an_old_linker_is_not_used() {
        assert!(new_enough("bpf-linker 0.13.0\n"));
        assert!(new_enough("bpf-linker 1.0.2\n"));
        assert!(!new_enough("bpf-linker 0.9.15\n"));
        assert!(!new_enough("bpf-linker\n"));
    }
}
