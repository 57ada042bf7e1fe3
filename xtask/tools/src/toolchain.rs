//! The compilers that can build the eBPF programs.
//!
//! There are two routes to `core` for `bpfel-unknown-none`: rustup's nightly builds it from `rust-src`; Debian ships it
//! ready made. The first is the ecosystem's way and is preferred; the second works where rustup's server is out of reach.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::process;

/// The target of the programs.
pub const TARGET: &str = "bpfel-unknown-none";

/// The packages of the second route.
pub const DEBIAN_PACKAGES: &[&str] = &["rustc-web", "cargo-web", "libstd-rust-web-dev-bpf", "rust-web-clippy"];

/// Where Debian puts programs.
const DEBIAN_PROGRAMS: &str = "/usr/bin";

/// How long fetching `rust-src` may take before the other route is taken.
const COMPONENT_LIMIT: Duration = Duration::from_secs(60);

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
    /// The compiler that is complete now, the preferred one first. Installs nothing.
    pub fn present() -> Option<Self> {
        if let Some(bin) = nightly().filter(|bin| has_source(bin) && linkable(bin)) {
            return Some(Self::Nightly(bin));
        }
        debian_complete().then_some(Self::Debian)
    }

    /// Completes rustup's nightly with its `rust-src`, if there is such a nightly and rustup's server answers in time.
    pub fn complete_nightly() -> Option<Self> {
        let bin = nightly().filter(|bin| linkable(bin))?;
        eprintln!("setup: fetching rust-src for rustup's nightly");
        let mut add = Command::new("rustup");
        add.args(["component", "add", "rust-src", "--toolchain", "nightly"]);
        let added = process::succeeds_within(&mut add, COMPONENT_LIMIT) && has_source(&bin);
        added.then_some(Self::Nightly(bin))
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

/// The directory of the programs of rustup's nightly, if one is installed.
fn nightly() -> Option<PathBuf> {
    // Newer versions of rustup would download a nightly to answer the question.
    let mut which = Command::new("rustup");
    which.env("RUSTUP_AUTO_INSTALL", "0").args(["which", "--toolchain", "nightly", "rustc"]);
    let rustc = process::read(&mut which).ok()?;
    Path::new(rustc.trim()).parent().map(Path::to_path_buf).filter(|bin| process::executable(&bin.join("cargo")))
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
