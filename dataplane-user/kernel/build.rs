//! Takes the eBPF object that `cargo xtask build` made, so that the crate can embed it.
//!
//! Without the object the crate still builds, for people who have no eBPF toolchain: it then embeds an empty file, and
//! says so when programs are wanted.

use std::{env, fs, io, path::PathBuf};

use object::{
    build::{
        Result,
        elf::{Builder, SectionData},
    },
    elf::SHT_STRTAB,
};

/// What is for debuggers and for linkers. The kernel's type information is in `.BTF` and `.BTF.ext`, and complete.
const UNUSED: [&[u8]; 3] = [b".debug_", b".rel.debug_", b".rel.BTF"];

fn main() -> io::Result<()> {
    let variable = |name: &str| env::var_os(name).map(PathBuf::from);
    let missing = |name: &str| io::Error::new(io::ErrorKind::NotFound, format!("cargo did not set {name}"));
    let here = variable("CARGO_MANIFEST_DIR").ok_or_else(|| missing("CARGO_MANIFEST_DIR"))?;
    let out = variable("OUT_DIR").ok_or_else(|| missing("OUT_DIR"))?;
    let object = variable("AGGCTL_EBPF_OBJECT").unwrap_or_else(|| here.join("../../target/bpf/aggctl.bpf.o"));

    println!("cargo::rerun-if-env-changed=AGGCTL_EBPF_OBJECT");
    println!("cargo::rerun-if-changed={}", object.display());
    let bytes = match fs::read(&object) {
        Ok(bytes) => stripped(&bytes).map_err(io::Error::other)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(io::Error::new(error.kind(), format!("{}: {error}", object.display()))),
    };
    fs::write(out.join("aggctl.bpf.o"), bytes)
}

/// The object without what nobody reads.
fn stripped(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut object = Builder::read(bytes)?;
    for section in &mut object.sections {
        section.delete = UNUSED.iter().any(|prefix| section.name.starts_with(prefix));
    }
    object.delete_orphans();
    // The linker has one table for all names; whoever writes wants one of its own for those of sections.
    let names = object.sections.add();
    names.name = b".shstrtab"[..].into();
    names.sh_type = SHT_STRTAB;
    names.sh_addralign = 1;
    names.data = SectionData::SectionString;
    let mut stripped = Vec::new();
    object.write(&mut stripped)?;
    Ok(stripped)
}
