//! The compilers that can build the eBPF programs.
//!
//! There are two routes to `core` for `bpfel-unknown-none`: rustup's nightly builds it from `rust-src`; Debian ships it
//! ready made. The first is the ecosystem's way and is preferred; the second works where rustup's server is out of
//! reach.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::process;

/// The nightly that builds the programs. It moves by hand: when another one is wanted, this and `VERSION` change in one
/// commit with the figures that `cargo xtask lab` then gives and the verifiers of all kernels (`cargo xtask test
/// --full`).
pub const NIGHTLY: &str = "nightly-2026-05-20";
/// What it says of itself, by which a nightly of another name is known to be the same.
const VERSION: &str = "1.97.0-nightly (e50aa6fba 2026-05-19)";

/// The target of the programs.
pub const TARGET: &str = "bpfel-unknown-none";

/// The packages of the second route.
pub const DEBIAN_PACKAGES: &[&str] = &["rustc-web", "cargo-web", "libstd-rust-web-dev-bpf", "rust-web-clippy"];

/// Where Debian puts programs.
const DEBIAN_PROGRAMS: &str = "/usr/bin";

/// How long fetching a nightly may take before the other route is taken.
const INSTALL_LIMIT: Duration = Duration::from_secs(180);

/// A compiler that is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Toolchain {
    /// rustup's nightly with `rust-src`: the directory of its programs.
    Nightly(PathBuf),
    /// Debian's cargo and rustc with a ready `core`.
    Debian,
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nightly(_) => write!(f, "rustup's nightly with rust-src"),
            Self::Debian => write!(f, "Debian's rustc-web"),
        }
    }
}

impl Toolchain {
    /// The compiler that is complete now, the preferred one first: the pinned nightly, Debian's, any other nightly.
    /// Installs nothing.
    pub fn present() -> Option<Self> {
        let complete = |bin: &PathBuf| has_source(bin) && linkable(bin);
        let pinned = nightly(NIGHTLY).or_else(|| nightly("nightly").filter(|bin| is_pinned(bin))).filter(complete);
        let debian = || debian_complete().then_some(Self::Debian);
        let any = || nightly("nightly").filter(complete);
        pinned.map(Self::Nightly).or_else(debian).or_else(|| any().map(Self::Nightly))
    }

    /// Installs the pinned nightly with its `rust-src`, if there is a rustup and its server answers in time.
    pub fn install_nightly() -> Option<Self> {
        process::find("rustup")?;
        eprintln!("setup: fetching {NIGHTLY} with rust-src");
        let mut install = Command::new("rustup");
        install.args(["toolchain", "install", NIGHTLY, "--profile", "minimal", "--component", "rust-src"]);
        process::succeeds_within(&mut install, INSTALL_LIMIT).then(Self::present)?
    }

    /// Its cargo, to which the subcommand is added, in a clean environment.
    pub fn cargo(&self) -> Command {
        self.command(&self.program("cargo"))
    }

    /// Its compiler, in the same environment.
    pub fn rustc(&self) -> Command {
        self.command(&self.program("rustc"))
    }

    /// Its clippy in the same environment, if it has one: a stand-in for cargo that takes `clippy` as the subcommand.
    pub fn clippy(&self) -> Option<Command> {
        let clippy = self.program("cargo-clippy");
        process::executable(&clippy).then(|| {
            let mut command = self.command(&clippy);
            command.env("CARGO", self.program("cargo"));
            command
        })
    }

    /// The package to install for a clippy, if it lacks one and there is a package.
    pub fn clippy_package(&self) -> Option<&'static str> {
        (*self == Self::Debian && self.clippy().is_none()).then_some("rust-web-clippy")
    }

    /// A program by its path: in `PATH`, rustup's programs of the same names may come first.
    fn program(&self, name: &str) -> PathBuf {
        match self {
            Self::Nightly(bin) => bin.join(name),
            Self::Debian => Path::new(DEBIAN_PROGRAMS).join(name),
        }
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        clean(&mut command);
        command.env("RUSTC", self.program("rustc")).env("RUSTFLAGS", "-C debuginfo=2 -C link-arg=--btf");
        if *self == Self::Debian {
            // aya-ebpf needs an unstable feature (`asm_experimental_arch`), and this compiler is a stable one.
            command.env("RUSTC_BOOTSTRAP", "1");
        }
        command
    }

    /// What the build command needs besides the target.
    pub fn build_arguments(&self) -> &'static [&'static str] {
        match self {
            Self::Nightly(_) => &["-Zbuild-std=core"],
            Self::Debian => &[],
        }
    }
}

/// Removes what cargo and rustup leave in the environment of their children, and settings meant for host builds.
fn clean(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let Some(name) = name.to_str() else { continue };
        let keep = ["CARGO_HOME", "CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTR", "CARGO_SOURCE_", "CARGO_TERM_"];
        let cargo = name.starts_with("CARGO") && !keep.iter().any(|prefix| name.starts_with(prefix));
        let rust = ["RUSTC", "RUSTFLAGS", "RUSTDOC", "RUST_RECURSION_COUNT", "RUSTUP_TOOLCHAIN", "LD_LIBRARY_PATH"];
        if cargo || rust.iter().any(|prefix| name.starts_with(prefix)) {
            command.env_remove(name);
        }
    }
}

/// The directory of the programs of a toolchain of rustup's, if it is installed.
fn nightly(name: &str) -> Option<PathBuf> {
    // Newer versions of rustup would download a nightly to answer the question.
    let mut which = Command::new("rustup");
    which.env("RUSTUP_AUTO_INSTALL", "0").args(["which", "--toolchain", name, "rustc"]);
    let rustc = process::read(&mut which).ok()?;
    Path::new(rustc.trim()).parent().map(Path::to_path_buf).filter(|bin| process::executable(&bin.join("cargo")))
}

/// Whether this is the nightly that is pinned, whatever rustup calls it.
fn is_pinned(bin: &Path) -> bool {
    process::read(Command::new(bin.join("rustc")).arg("--version")).is_ok_and(|version| version.contains(VERSION))
}

fn has_source(bin: &Path) -> bool {
    bin.join("../lib/rustlib/src/rust/library/core/Cargo.toml").exists()
}

/// Whether the linker can read what this nightly writes: its LLVM must not be older than the compiler's.
fn linkable(bin: &Path) -> bool {
    let version = process::read(Command::new(bin.join("rustc")).arg("-vV")).unwrap_or_default();
    llvm_major(&version).is_some_and(|major| major <= crate::linker::LLVM)
}

fn llvm_major(version: &str) -> Option<u32> {
    let line = version.lines().find_map(|line| line.strip_prefix("LLVM version: "))?;
    line.split('.').next()?.parse().ok()
}

fn debian_complete() -> bool {
    ["cargo", "rustc"].iter().all(|name| process::executable(&Path::new(DEBIAN_PROGRAMS).join(name)))
        && fs::read_dir(format!("/usr/lib/rustlib/{TARGET}/lib"))
            .is_ok_and(|files| files.flatten().any(|file| file.file_name().to_string_lossy().starts_with("libcore-")))
}

#[cfg(test)]
mod tests {
    use super::llvm_major;

    #[test]
    fn reads_the_llvm_version_of_rustc() {
        assert_eq!(llvm_major("rustc 1.97.0-nightly\nhost: x\nLLVM version: 22.1.8\n"), Some(22));
        assert_eq!(llvm_major("rustc 1.97.0-nightly\n"), None);
    }
}
