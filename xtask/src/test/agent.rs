//! The part of `cargo xtask test` that runs in a virtual machine: test executables one after the other, with lines on
//! standard output that say where each begins and ends.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// What lines that are ours begin with.
const MARK: &str = "aggctl-tests-in-machine: ";

/// What is to be run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AgentOrders {
    /// One after the other.
    pub runs: Vec<ExecutableRun>,
    /// Further variables for all of them.
    pub environment: BTreeMap<String, String>,
}

/// One executable.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ExecutableRun {
    /// What reports call it.
    pub name: String,
    /// The executable.
    pub path: PathBuf,
    /// Where it runs.
    pub directory: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// How many tests it runs.
    pub tests: usize,
}

impl ExecutableRun {
    /// The name of its executable.
    pub fn executable(&self) -> &str {
        self.name.rsplit('/').next().unwrap_or_default()
    }
}

/// What the agent says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AgentMessage {
    /// The kernel is this.
    Kernel(String),
    /// The run of this name begins.
    Begin(String),
    /// It ended.
    End {
        /// Whether it succeeded.
        succeeded: bool,
        /// How long it took.
        seconds: f64,
    },
    /// There is nothing more to come.
    Done,
}

impl AgentMessage {
    /// Reads a line, if it is one of the agent's.
    pub fn read(line: &str) -> Option<Self> {
        serde_json::from_str(line.strip_prefix(MARK)?).ok()
    }

    fn say(&self) -> Result<()> {
        println!("{MARK}{}", serde_json::to_string(self)?);
        Ok(())
    }
}

/// Carries out the orders in a file.
///
/// # Errors
///
/// When the file is not there. What a test executable does is told, and no error of ours.
pub fn run(orders: &Path) -> Result<()> {
    let text = fs::read(orders).with_context(|| format!("cannot read {}", orders.display()))?;
    let orders: AgentOrders = serde_json::from_slice(&text).context("these are no orders")?;
    AgentMessage::Kernel(rustix::system::uname().release().to_string_lossy().into_owned()).say()?;
    for ExecutableRun { name, path, directory, arguments, .. } in &orders.runs {
        AgentMessage::Begin(name.clone()).say()?;
        let begin = Instant::now();
        let mut command = Command::new(path);
        command.args(arguments).current_dir(directory).envs(&orders.environment).stdin(Stdio::null());
        let status = command.status();
        if let Err(error) = &status {
            eprintln!("cannot start {}: {error}", path.display());
        }
        let succeeded = status.is_ok_and(|status| status.success());
        AgentMessage::End { succeeded, seconds: begin.elapsed().as_secs_f64() }.say()?;
    }
    AgentMessage::Done.say()
}

#[cfg(test)]
mod tests {
    use super::{AgentMessage, MARK};

    #[test]
    fn what_the_agent_says_can_be_read_between_other_lines() {
        let message = AgentMessage::End { succeeded: true, seconds: 1.5 };
        let line = format!("{MARK}{}", serde_json::to_string(&message).unwrap_or_default());
        assert_eq!(AgentMessage::read(&line), Some(message));
        assert_eq!(AgentMessage::read("test a ... ok"), None);
    }
}
