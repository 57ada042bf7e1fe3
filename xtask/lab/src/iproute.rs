//! `ip` and `tc`, with which namespaces are made ready and asked.

use std::{io::Write, path::Path, process::Command};

use anyhow::{Context, Result};
use serde_json::Value;

use aggctl_testbed::netns::NetworkNamespace;
use aggctl_tools::process;

/// Runs lines of `ip` in one go.
///
/// # Errors
///
/// When one of them fails.
pub fn batch(namespace: &NetworkNamespace, lines: &str) -> Result<()> {
    let mut file = tempfile::NamedTempFile::new().context("cannot make a file")?;
    file.write_all(lines.as_bytes()).context("cannot write a file")?;
    process::read(Command::new("ip").args(["-n", namespace.name(), "-batch"]).arg(file.path())).map(drop)
}

/// What `ip` says of a link, with its counters.
///
/// # Errors
///
/// When it is not there.
pub fn link(namespace: &NetworkNamespace, name: &str) -> Result<Value> {
    let text = namespace.ip(&format!("-json -statistics link show dev {name}"))?;
    let mut links: Vec<Value> = serde_json::from_str(&text).context("ip printed no JSON")?;
    links.pop().with_context(|| format!("ip did not show {name}"))
}

/// Whether a link has a carrier, and is up.
///
/// # Errors
///
/// As [`link`].
pub fn carrier(namespace: &NetworkNamespace, name: &str) -> Result<bool> {
    let link = link(namespace, name)?;
    Ok(link["flags"].as_array().is_some_and(|flags| flags.iter().any(|flag| flag == "LOWER_UP")))
}

/// The MAC of a link.
///
/// # Errors
///
/// As [`link`].
pub fn mac(namespace: &NetworkNamespace, name: &str) -> Result<String> {
    let link = link(namespace, name)?;
    link["address"].as_str().map(str::to_owned).with_context(|| format!("{name} has no MAC"))
}

/// `tc` on a namespace; words are separated by blanks.
///
/// # Errors
///
/// When it fails.
pub fn tc(namespace: &NetworkNamespace, line: &str) -> Result<String> {
    let program = process::find("tc").unwrap_or_else(|| Path::new("tc").to_path_buf());
    process::read(Command::new(program).args(["-n", namespace.name()]).args(line.split_whitespace()))
}
