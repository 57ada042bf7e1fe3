//! Runs the command, as the first process of a machine must: every orphan is ours to bury.

use std::{
    fs::File,
    io::{self, Write},
    process::{Command, Stdio},
};

use anyhow::{Context, Result};
use rustix::process::{Pid, WaitOptions};

use super::output::Pump;
use crate::{message::FromGuest, plan::Plan};

/// What shells say when a command is not found or cannot be executed.
const NOT_FOUND: u8 = 127;
const NOT_EXECUTABLE: u8 = 126;

/// Runs the command of the plan and returns how it ended.
///
/// # Errors
///
/// When the system has no more files or processes.
pub fn run(plan: &Plan, stdout: File, mut stderr: File) -> Result<FromGuest> {
    let (out_reader, out_writer) = io::pipe().context("cannot make a pipe")?;
    let (err_reader, err_writer) = io::pipe().context("cannot make a pipe")?;
    let (program, arguments) = plan.command.split_first().context("there is no command")?;
    let mut command = Command::new(program);
    command.args(arguments).current_dir(&plan.directory).env_clear().envs(&plan.environment);
    command.stdin(Stdio::null()).stdout(out_writer).stderr(err_writer);
    let child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            let status = if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { NOT_EXECUTABLE };
            let said = format!("vm: cannot start `{program}` in {}: {error}\n", plan.directory.display());
            stderr.write_all(said.as_bytes()).context("cannot write to the host")?;
            return Ok(FromGuest::Exit { status, stdout: 0, stderr: said.len() as u64 });
        }
    };
    // Our ends of the pipes, which would keep them open.
    drop(command);
    let stdout = Pump::start(out_reader, stdout)?;
    let stderr = Pump::start(err_reader, stderr)?;
    let status = wait_for(child.id())?;
    Ok(FromGuest::Exit { status, stdout: stdout.end(), stderr: stderr.end() })
}

/// Waits for a process, and for all others that end before it.
fn wait_for(child: u32) -> Result<u8> {
    loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if is(pid, child) => {
                return Ok(shell_status(status.exit_status(), status.terminating_signal()));
            }
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error).context("cannot wait for the command"),
        }
    }
}

fn is(pid: Pid, child: u32) -> bool {
    u32::try_from(pid.as_raw_nonzero().get()) == Ok(child)
}

/// The status that a shell would report: the process's own, or 128 and the signal that ended it.
fn shell_status(own: Option<i32>, signal: Option<i32>) -> u8 {
    let number = own.or_else(|| signal.map(|signal| 128 + signal));
    number.and_then(|number| u8::try_from(number).ok()).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::shell_status;

    #[test]
    fn the_status_is_what_a_shell_would_report() {
        assert_eq!(shell_status(Some(0), None), 0);
        assert_eq!(shell_status(Some(7), None), 7);
        assert_eq!(shell_status(None, Some(9)), 137);
    }
}
