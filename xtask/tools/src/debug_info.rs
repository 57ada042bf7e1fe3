//! Debug information apart from the binary, as distributions ship it: the binary names the file, and debuggers look for
//! it beside the binary ("separate debug files" in the manual of gdb).

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use crate::process;

/// Moves the debug information and the symbols of `binary` into `NAME.debug` beside it; returns that file. Backtraces
/// of the binary then have no names of lines unless that file is there.
///
/// # Errors
///
/// When `objcopy` is not there or fails.
pub fn split(binary: &Path) -> Result<PathBuf> {
    let directory = binary.parent().context("the binary has no directory")?;
    let name = binary.file_name().context("the binary has no name")?;
    let debug = PathBuf::from(name).with_extension("debug");
    // The link holds the name without a directory, so objcopy runs where both are.
    let objcopy = || {
        let mut command = Command::new("objcopy");
        command.current_dir(directory);
        command
    };
    process::run(objcopy().arg("--only-keep-debug").arg(name).arg(&debug))?;
    let mut link = std::ffi::OsString::from("--add-gnu-debuglink=");
    link.push(&debug);
    process::run(objcopy().arg("--strip-all").arg(link).arg(name))?;
    Ok(directory.join(debug))
}
