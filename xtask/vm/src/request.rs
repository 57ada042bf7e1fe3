//! `cargo xtask vm --monitor`: what a command in a machine uses to cut a link or unplug a card.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    process::ExitCode,
};

use anyhow::{Context, Result};
use serde_json::Value;

use super::plan;

/// Asks the machine monitor and prints its answer; the status says whether it did what it was asked.
///
/// # Errors
///
/// When this is no machine, or the request is no JSON.
pub fn print(request: &str) -> Result<ExitCode> {
    let request: Value = serde_json::from_str(request).context("a request is JSON")?;
    let socket = env::var_os(plan::MONITOR_VARIABLE)
        .with_context(|| format!("{} is not set: --monitor works in a machine only", plan::MONITOR_VARIABLE))?;
    let mut stream = UnixStream::connect(&socket).context("cannot reach the machine monitor")?;
    stream.write_all(format!("{request}\n").as_bytes()).context("cannot write to the machine monitor")?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).context("the machine monitor does not answer")?;
    print!("{line}");
    let answer: Value = serde_json::from_str(&line).context("the machine monitor answered no JSON")?;
    Ok(if answer.get("return").is_some() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
