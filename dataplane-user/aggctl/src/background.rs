//! Starting a guardian in the background, and learning from it whether all went well.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, Write},
    os::unix::{fs::OpenOptionsExt, process::CommandExt},
    process::{Command, Stdio},
};

use aggctl_kernel::state::Store;
use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::{
    api::{Answer, Client, Request, Unanswered},
    failure::Failure,
    operation, output,
};

/// What a starting controller, or its guardian, tells the command that waits for it: one line of JSON on its standard
/// output.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StartReport {
    /// Something the owner should know.
    Warning(String),
    /// The aggregate is in place and controlled.
    Ready,
    /// It failed, and everything was undone (or the line says what was not).
    Failed(String),
}

impl StartReport {
    /// Tells it. Nobody listening any more is no error: the command was interrupted.
    pub fn send(&self) {
        if let Ok(line) = serde_json::to_string(self) {
            let mut out = io::stdout();
            let _ = writeln!(out, "{line}").and_then(|()| out.flush());
        }
    }
}

/// Starts a guardian, and waits until the aggregate is in place or everything is undone. With a wish its controller
/// attaches, without one it adopts.
///
/// # Errors
/// What the controller reported; if it and its guardian died, this process undoes what they began.
pub fn start(store: &Store, wish: Option<&[u8]>) -> Result<(), Failure> {
    let log = open_log(store)?;
    let mut guardian = own_binary();
    guardian.arg("guardian");
    if wish.is_none() {
        guardian.arg("--adopt");
    }
    guardian.arg("--").arg(store.name());
    let mut guardian = guardian.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).spawn()?;
    if let (Some(mut stdin), Some(wish)) = (guardian.stdin.take(), wish) {
        match stdin.write_all(wish) {
            // One that died already is seen by what it reports: nothing.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error.into()),
            _ => {}
        }
    }
    let reports = guardian.stdout.take().map(BufReader::new);
    for line in reports.into_iter().flat_map(BufRead::lines) {
        match serde_json::from_str(&line?) {
            Ok(StartReport::Warning(warning)) => output::warn(&warning),
            Ok(StartReport::Ready) => return Ok(()),
            Ok(StartReport::Failed(reason)) => return Err(Failure::Refused(reason)),
            Err(error) => return Err(Failure::Refused(format!("the guardian speaks another language: {error}"))),
        }
    }
    // Neither of them is left; the last one standing puts things right.
    let outcome = put_right(store, wish.is_some()).unwrap_or_else(|failure| failure.to_string());
    Err(Failure::Refused(format!("the guardian and the controller died; {outcome}")))
}

/// The log of the aggregate's background processes.
///
/// # Errors
/// If it cannot be opened.
pub fn open_log(store: &Store) -> Result<File, Failure> {
    let open = || OpenOptions::new().create(true).append(true).mode(0o600).open(store.log());
    open().or_else(|error| {
        // Another one that attached, and failed, has removed what this one had made.
        if error.kind() != io::ErrorKind::NotFound {
            return Err(error.into());
        }
        store.create()?;
        Ok(open()?)
    })
}

/// Sends the log of this process, which is in the background, to the file that others find: somebody may have removed
/// the one that it was sent to. It is not worth ending for.
pub fn log_to_file(store: &Store) {
    let opened = open_log(store).and_then(|log| Ok(rustix::stdio::dup2_stderr(log).map_err(io::Error::from)?));
    if let Err(error) = opened {
        warn!(%error, "cannot open the log again");
    }
}

/// Puts right what a guardian and a controller left that died before they said that they are ready. Returns what was
/// done, in words.
fn put_right(store: &Store, attaching: bool) -> Result<String, Failure> {
    let _lock = operation::lock(store)?;
    match operation::recover(store)? {
        Some(record) if attaching => operation::finish_detach(store, record)?,
        Some(_) => {
            let name = store.name();
            return Ok(format!("{name} runs on without a controller: try `aggctl adopt {name}` again"));
        }
        None => {}
    }
    Ok("what they began was undone".to_owned())
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

/// Asks the aggregate's controller, and waits for its answer. Warnings go to standard error.
///
/// # Errors
/// If it refuses, no controller runs, or it does not answer.
pub fn ask(store: &Store, request: &Request) -> Result<(Client, Answer), Failure> {
    let name = store.name();
    let asked = match Client::ask(&store.socket(), request) {
        Err(Unanswered::Nobody) if operation::make_place(store)? => Client::ask(&store.socket(), request),
        asked => asked,
    };
    let (client, answer) = asked.map_err(|unanswered| match unanswered {
        Unanswered::Nobody => match (store.record(), store.holder()) {
            (Err(error), _) => error.into(),
            (Ok(None), _) => operation::not_there(name),
            (Ok(Some(_)), Some(pid)) => operation::busy(store, pid),
            (Ok(Some(_)), None) => {
                Failure::Refused(format!("no controller runs for {name}; start one with `aggctl adopt {name}`"))
            }
        },
        Unanswered::Silent => {
            let process = store.holder().map(|pid| format!(" (process {pid})")).unwrap_or_default();
            Failure::Refused(format!(
                "the controller of {name}{process} does not answer; its guardian replaces it in a moment, else \
                 `aggctl adopt {name}` does"
            ))
        }
        Unanswered::Gone => Failure::Refused(format!(
            "the controller of {name} ended before it had answered; see `aggctl show {name}` for what it did"
        )),
        Unanswered::Failed(failure) => failure,
    })?;
    match &answer {
        Answer::Refused { reason } => return Err(Failure::Refused(reason.clone())),
        Answer::Done { warnings } => warnings.iter().for_each(|warning| output::warn(warning)),
        Answer::Received | Answer::Status { .. } | Answer::Notice { .. } => {}
    }
    Ok((client, answer))
}
