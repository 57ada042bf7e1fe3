//! Boots a machine for a group of measurements and takes in what its agent says.

use std::{
    ffi::OsString,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context, Result, bail, ensure};

use super::{agent::Orders, schedule::Group, word::Word};
use crate::{
    vm::{self, Choice, Outcome, Streams},
    workspace::Workspace,
};

/// Our own program in a machine: its first process.
const AGENT: &str = "/proc/1/exe";

/// Runs a group in a machine of its own, and returns what the agent said.
///
/// # Errors
///
/// When the machine cannot be made or ends before its work is done.
pub fn run(workspace: &Workspace, group: &Group, binary: &Path, kernel: &Choice, limit: u64) -> Result<Vec<Word>> {
    let file = orders(workspace, group, binary)?;
    let command = [AGENT.into(), "lab".into(), "--agent".into(), OsString::from(&file)];
    let mut wish = vm::Wish::of(kernel.clone(), limit, command.into());
    wish.deterministic = true;
    wish.cpus = 1;

    println!("\n=== {}", group.name);
    let listener = Listener::default();
    let mut streams = || Streams { stdout: Box::new(listener.clone()), stderr: Box::new(io::stderr()) };
    let outcome = vm::run(workspace, &wish, &mut streams)?;
    let words = listener.words();
    match outcome {
        Outcome::Exited(0) if words.last() == Some(&Word::Done) => Ok(words),
        Outcome::Exited(status) => {
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
pub fn run_here(workspace: &Workspace, group: &Group, binary: &Path) -> Result<Vec<Word>> {
    let file = orders(workspace, group, binary)?;
    println!("\n=== {}", group.name);
    let mut listener = Listener::default();
    let mut command = Command::new("/proc/self/exe");
    command.args(["lab", "--agent"]).arg(&file).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut agent = command.spawn().context("cannot start ourselves")?;
    let mut stdout = agent.stdout.take().context("the agent has no standard output")?;
    io::copy(&mut stdout, &mut listener).context("cannot hear the agent")?;
    let status = agent.wait().context("cannot wait for the agent")?;
    let words = listener.words();
    ensure!(status.success() && words.last() == Some(&Word::Done), "{}: the agent ended too early", group.name);
    Ok(words)
}

/// Writes the orders for a group.
fn orders(workspace: &Workspace, group: &Group, binary: &Path) -> Result<PathBuf> {
    let place = workspace.target.join("lab");
    fs::create_dir_all(&place).with_context(|| format!("cannot create {}", place.display()))?;
    let file = place.join("orders.json");
    let orders = Orders { binary: binary.to_owned(), jobs: group.jobs.clone() };
    fs::write(&file, serde_json::to_vec(&orders)?).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(file)
}

/// Takes in the output of the agent, byte by byte, and shows what people want to see.
#[derive(Clone, Debug, Default)]
struct Listener(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    rest: Vec<u8>,
    words: Vec<Word>,
}

impl Listener {
    fn words(&self) -> Vec<Word> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner).words)
    }
}

impl Write for Listener {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.rest.extend_from_slice(bytes);
        while let Some(end) = state.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = state.rest.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line[..end]);
            match Word::read(line.trim_end_matches('\r')) {
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
    use crate::lab::word::Word;

    #[test]
    fn words_are_heard_between_other_lines_and_in_parts() {
        let listener = Listener::default();
        let text = "booting\naggctl-lab-in-machine: {\"begin\":\"a\"}\r\naggctl-lab-in-machine: \"done\"\n";
        for part in text.as_bytes().chunks(5) {
            listener.clone().write_all(part).unwrap();
        }
        assert_eq!(listener.words(), [Word::Begin("a".to_owned()), Word::Done]);
    }
}
