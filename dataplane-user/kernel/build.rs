//! Takes the eBPF object that `cargo xtask build` made, so that the crate can embed it.
//!
//! Without the object the crate still builds, for people who have no eBPF toolchain: it then embeds an empty file, and
//! says so when programs are wanted.

use std::{env, fs, io, path::PathBuf};

fn main() -> io::Result<()> {
    let variable = |name: &str| env::var_os(name).map(PathBuf::from);
    let missing = |name: &str| io::Error::new(io::ErrorKind::NotFound, format!("cargo did not set {name}"));
    let here = variable("CARGO_MANIFEST_DIR").ok_or_else(|| missing("CARGO_MANIFEST_DIR"))?;
    let out = variable("OUT_DIR").ok_or_else(|| missing("OUT_DIR"))?;
    let object = variable("AGGCTL_EBPF_OBJECT").unwrap_or_else(|| here.join("../../target/bpf/aggctl.bpf.o"));

    println!("cargo::rerun-if-env-changed=AGGCTL_EBPF_OBJECT");
    println!("cargo::rerun-if-changed={}", object.display());
    let bytes = match fs::read(&object) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(io::Error::new(error.kind(), format!("{}: {error}", object.display()))),
    };
    fs::write(out.join("aggctl.bpf.o"), bytes)
}
