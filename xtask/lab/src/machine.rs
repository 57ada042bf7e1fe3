//! Boots a machine for a group of measurements and takes in what its agent says.

use std::{
    fs,
    io::{self, Write},
    path::Path,
    process::{Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context, Result, bail, ensure};
use tempfile::NamedTempFile;

use super::{
    job::{LabOrders, Means},
    message::Message,
    question::Clock,
    schedule::MachineJobs,
};
use aggctl_tools::workspace::Workspace;

use aggctl_vm::{self as vm, KernelChoice, Lines, MachineOutcome, Streams};

/// Our own program in a machine: its first process.
const AGENT: &str = "/proc/1/exe";

/// Runs a group in a machine of its own, and returns what the agent said.
///
/// # Errors
///
/// When the machine cannot be made or ends before its work is done.
pub fn run(
    workspace: &Workspace,
    group: &MachineJobs,
    binary: &Path,
    kernel: &KernelChoice,
    limit: u64,
) -> Result<Vec<Message>> {
    let file = orders(workspace, group, Means { binary: binary.to_owned(), borrowed: Vec::new() })?;
    let command = [AGENT.into(), "lab".into(), "--agent".into(), file.path().into()];
    let mut wish = vm::MachineWish::of(kernel.clone(), limit, command.into());
    (wish.deterministic, wish.cpus) = match group.clock {
        Clock::Instructions => (true, 1),
        Clock::Wall => (false, 2),
    };

    println!("\n=== {}", group.name);
    let listener = Listener::default();
    let mut streams = || Streams { stdout: Box::new(listener.clone()), stderr: Box::new(io::stderr()) };
    let outcome = vm::run(workspace, &wish, &mut streams)?;
    let words = listener.words();
    match outcome {
        MachineOutcome::Exited(0) if words.last() == Some(&Message::Done) => Ok(words),
        MachineOutcome::Exited(status) => {
            bail!("{}: the agent ended with status {status} before its work was done", group.name)
        }
        other => bail!("{}: {}", group.name, other.message().unwrap_or_default()),
    }
}

/// Runs a group right here, on the running kernel and its clock, and returns what the agent said.
///
/// # Errors
///
/// When the agent cannot be started or ends before its work is done.
pub fn run_here(workspace: &Workspace, group: &MachineJobs, means: Means) -> Result<Vec<Message>> {
    let file = orders(workspace, group, means)?;
    println!("\n=== {}", group.name);
    let mut listener = Listener::default();
    let mut command = Command::new("/proc/self/exe");
    command.args(["lab", "--agent"]).arg(file.path()).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut agent = command.spawn().context("cannot start ourselves")?;
    let mut stdout = agent.stdout.take().context("the agent has no standard output")?;
    io::copy(&mut stdout, &mut listener).context("cannot read from the agent")?;
    let status = agent.wait().context("cannot wait for the agent")?;
    let words = listener.words();
    ensure!(status.success() && words.last() == Some(&Message::Done), "{}: the agent ended too early", group.name);
    Ok(words)
}

/// Writes the orders for a group, in a file of this run's own.
fn orders(workspace: &Workspace, group: &MachineJobs, means: Means) -> Result<NamedTempFile> {
    let place = workspace.target.join("lab");
    fs::create_dir_all(&place).with_context(|| format!("cannot create {}", place.display()))?;
    let mut file = NamedTempFile::new_in(&place).with_context(|| format!("cannot write in {}", place.display()))?;
    let orders = LabOrders { means, jobs: group.jobs.clone() };
    file.write_all(&serde_json::to_vec(&orders)?).with_context(|| format!("cannot write {}", file.path().display()))?;
    Ok(file)
}

/// Takes in the output of the agent, byte by byte, and shows what people want to see.
#[derive(Clone, Debug, Default)]
struct Listener(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    lines: Lines,
    words: Vec<Message>,
}

impl Listener {
    fn words(&self) -> Vec<Message> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner).words)
    }
}

impl Write for Listener {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for line in state.lines.take_in(bytes) {
            match Message::read(&line) {
                Some(word) => {
                    word.show();
                    state.words.push(word);
                }
                None => println!("{line}"),
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::Listener;
    use crate::message::Message;

    #[test]
    fn words_are_found_between_other_lines_and_in_parts() {
        let listener = Listener::default();
        let text = "booting\naggctl-lab-in-machine: {\"begin\":\"a\"}\r\naggctl-lab-in-machine: \"done\"\n";
        for part in text.as_bytes().chunks(5) {
            listener.clone().write_all(part).unwrap();
        }
        assert_eq!(listener.words(), [Message::Begin("a".to_owned()), Message::Done]);
    }
}
