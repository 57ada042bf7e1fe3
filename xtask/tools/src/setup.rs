//! `cargo xtask setup`: finds what is needed to build and test, and installs what is not there.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::{
    linker, packages,
    toolchain::{self, Toolchain},
};

/// What building the eBPF programs takes.
#[derive(Clone, Debug)]
pub struct Build {
    /// The compiler.
    pub toolchain: Toolchain,
    /// The linker.
    pub linker: PathBuf,
}

/// Finds or installs everything: compiler, linker, and the tools of tests and demo.
///
/// # Errors
///
/// When something is lacking and cannot be installed here; the error says what to run.
pub fn all() -> Result<Build> {
    let missing = packages::missing();
    let names: Vec<&str> = missing.iter().map(|tool| tool.package).collect();
    let build = ensure(&names)?;
    if let Some(package) = build.toolchain.clippy_package().filter(|_| packages::can_install()) {
        // Only a lint of the programs is lost without it.
        if let Err(error) = packages::install(&[package]) {
            eprintln!("setup: {error:#}");
        }
    }
    if let Some(tool) = packages::missing().first() {
        bail!("`{}` is still not there after installing {}: {}", tool.program, tool.package, tool.reason);
    }
    Ok(build)
}

/// Finds or installs what building takes, and nothing else.
///
/// # Errors
///
/// As [`all`].
pub fn build() -> Result<Build> {
    ensure(&[])
}

/// Finds or installs compiler and linker, and `extra` packages, with one call of apt.
fn ensure(extra: &[&'static str]) -> Result<Build> {
    let compiler = Toolchain::present().or_else(Toolchain::install_nightly);
    let linker = linker::present();

    let mut wanted = extra.to_vec();
    if compiler.is_none() {
        wanted.extend(toolchain::DEBIAN_PACKAGES);
    }
    if linker.is_none() && linker::llvm().is_none() {
        wanted.extend(linker::PACKAGES);
    }
    wanted.sort_unstable();
    wanted.dedup();

    if !wanted.is_empty() {
        if !packages::can_install() {
            bail!("{}", instructions(&wanted, compiler.is_none(), linker.is_none()));
        }
        packages::install(&wanted)?;
    }
    let toolchain = match compiler.or_else(Toolchain::present) {
        Some(toolchain) => toolchain,
        None => {
            bail!("{} are installed but cannot build for {}", toolchain::DEBIAN_PACKAGES.join(", "), toolchain::TARGET)
        }
    };
    let linker = match linker {
        Some(linker) => linker,
        None => linker::install().context("the linker of the eBPF programs cannot be installed")?,
    };
    Ok(Build { toolchain, linker })
}

/// What a person has to run where we cannot install: no root, or not Debian.
fn instructions(wanted: &[&str], compiler: bool, linker: bool) -> String {
    let mut lines = vec!["something is missing and cannot be installed from here. Run:".to_owned()];
    if packages::is_debian() {
        lines.push(format!("  as root: {}", packages::install_line(wanted)));
    } else {
        if compiler {
            lines.push(format!("  rustup toolchain install {} --component rust-src", toolchain::NIGHTLY));
        }
        let own = |package: &&&str| !toolchain::DEBIAN_PACKAGES.contains(package);
        let others: Vec<&str> = wanted.iter().filter(own).copied().collect();
        if !others.is_empty() {
            lines.push(format!("  install what your system calls (names of Debian): {}", others.join(" ")));
        }
    }
    if linker {
        lines.push(format!("  {}", linker::install_line()));
    }
    for tool in packages::missing() {
        lines.push(format!("`{}` is needed because it {}", tool.program, tool.reason));
    }
    lines.join("\n")
}
