//! What machines need on the host.

use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf};

use anyhow::{Context, Result, bail, ensure};

use super::{apt::PackageLists, cache::Cache};
use aggctl_tools::{
    packages::{self, Tool},
    process,
};

/// Tools that are not part of a small Debian.
const TOOLS: &[Tool] = &[
    Tool { program: "qemu-system-x86_64", package: "qemu-system-x86", reason: "emulates the machine" },
    Tool { program: "depmod", package: "kmod", reason: "writes the index of a kernel's modules" },
    Tool { program: "xz", package: "xz-utils", reason: "unpacks kernels and modules" },
    Tool { program: "zstd", package: "zstd", reason: "unpacks kernels" },
    Tool { program: "modprobe", package: "kmod", reason: "loads modules in the machine" },
    Tool { program: "ip", package: "iproute2", reason: "names network cards in the machine" },
];

/// Finds or installs what a machine needs.
///
/// # Errors
///
/// When something is lacking and cannot be installed here; the error says what to run.
pub fn ensure_tools() -> Result<()> {
    ensure!(std::env::consts::ARCH == "x86_64", "machines are of x86-64 only");
    let missing = || TOOLS.iter().filter(|tool| process::find(tool.program).is_none());
    let mut wanted: Vec<&str> = missing().map(|tool| tool.package).collect();
    wanted.sort_unstable();
    wanted.dedup();
    if wanted.is_empty() {
        return Ok(());
    }
    if packages::can_install() {
        return packages::install(&wanted);
    }
    let reasons: Vec<String> =
        missing().map(|tool| format!("`{}` is needed because it {}", tool.program, tool.reason)).collect();
    let line = if packages::is_debian() {
        format!("as root: {}", packages::install_line(&wanted))
    } else {
        format!("install what your system calls (names of Debian): {}", wanted.join(" "))
    };
    bail!("something is missing and cannot be installed from here. Run:\n  {line}\n{}", reasons.join("\n"))
}

/// A busybox that needs no libraries. It is fetched into the cache and not installed, because Debian's other package
/// of busybox excludes this one.
///
/// # Errors
///
/// When it cannot be fetched.
pub fn busybox(cache: &Cache) -> Result<PathBuf> {
    let place = cache.entry("busybox", |place| {
        eprintln!("vm: fetching busybox-static from Debian's archive (once)");
        PackageLists::fetch(&["bookworm"], place)?.unpack_newest("busybox-static", place)?;
        fs::set_permissions(place, fs::Permissions::from_mode(0o755)).context("cannot make busybox readable")
    })?;
    let candidates = ["bin/busybox", "usr/bin/busybox"].map(|name| place.join(name));
    candidates
        .into_iter()
        .find(|file| process::executable(file))
        .with_context(|| format!("there is no busybox in {}", place.display()))
}
