//! Starting a guardian in the background, and hearing from it whether all went well.

use std::{
    fs::OpenOptions,
    io::{BufRead, BufReader, Write},
    os::unix::{fs::OpenOptionsExt, process::CommandExt},
    process::{Command, Stdio},
};

use aggctl_kernel::state::Store;
use serde::{Deserialize, Serialize};

use crate::{api::Client, failure::Failure, operation};

/// What a starting controller, or its guardian, tells the command that waits for it: one line of JSON on its standard
/// output.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Report {
    /// Something the owner should know.
    Warning(String),
    /// The aggregate is in place and controlled.
    Ready,
    /// It failed, and everything was undone (or the line says what was not).
    Failed(String),
}

impl Report {
    /// Tells it. Nobody listening any more is no error: the command was interrupted.
    pub fn send(&self) {
        if let Ok(line) = serde_json::to_string(self) {
            let mut out = std::io::stdout();
            let _ = writeln!(out, "{line}").and_then(|()| out.flush());
        }
    }
}

/// Starts a guardian, and waits until the aggregate is in place or everything is undone.
///
/// # Errors
/// What the controller reported; if it and its guardian died, this process undoes what they began.
pub fn start(store: &Store, wish: &[u8]) -> Result<(), Failure> {
    let log = OpenOptions::new().create(true).append(true).mode(0o600).open(store.log())?;
    let mut guardian = own_binary();
    guardian.args(["guardian", "--", store.name()]);
    let mut guardian = guardian.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).spawn()?;
    if let Some(mut stdin) = guardian.stdin.take() {
        stdin.write_all(wish)?;
    }
    let reports = guardian.stdout.take().map(BufReader::new);
    for line in reports.into_iter().flat_map(BufRead::lines) {
        match serde_json::from_str(&line?) {
            Ok(Report::Warning(warning)) => eprintln!("aggctl: warning: {warning}"),
            Ok(Report::Ready) => return Ok(()),
            Ok(Report::Failed(reason)) => return Err(Failure::Refused(reason)),
            Err(error) => return Err(Failure::Refused(format!("the guardian speaks another language: {error}"))),
        }
    }
    // Neither of them is left; the last one standing puts things right.
    let undone = operation::lock(store).and_then(|_lock| operation::recover(store));
    let outcome = match undone {
        Ok(_) => "what it began was undone".to_owned(),
        Err(error) => error.to_string(),
    };
    Err(Failure::Refused(format!("the guardian and the controller died; {outcome}")))
}

/// A command that runs this very program again, even if its file was replaced meanwhile.
pub fn own_binary() -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg0("aggctl");
    command
}

/// Leaves the terminal's session, so that its end means nothing to this process.
///
/// # Errors
/// If the system refuses.
pub fn detach_from_terminal() -> Result<(), Failure> {
    // Fails only for the leader of a process group, which is in a session of its own already.
    let _ = rustix::process::setsid();
    std::env::set_current_dir("/")?;
    Ok(())
}

/// A connection to the aggregate's controller.
///
/// # Errors
/// If no controller runs.
pub fn controller(store: &Store) -> Result<Client, Failure> {
    let name = store.name();
    if let Some(client) = Client::connect(&store.socket())? {
        return Ok(client);
    }
    Err(match store.record()? {
        None => operation::not_there(name),
        Some(_) => Failure::Refused(format!("no controller runs for {name}; start one with `aggctl adopt {name}`")),
    })
}
