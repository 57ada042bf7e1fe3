//! Running commands under a time limit.

use std::{
    io::{Read, Write},
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use aggctl_tools::process::describe;

use crate::wait;

/// The longest that any command of a test may take.
pub const LIMIT: Duration = Duration::from_secs(60);

/// How long after the end of a command its output may stay open: a process that it left behind must not hold it.
const OUTPUT_LIMIT: Duration = Duration::from_secs(2);

/// What became of a command.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The command, for messages.
    pub line: String,
    /// Its exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: String,
    /// What it printed as errors.
    pub stderr: String,
}

impl Outcome {
    /// Its output, given that it succeeded.
    ///
    /// # Panics
    ///
    /// If it failed.
    #[track_caller]
    pub fn ok(self) -> String {
        assert!(self.code == Some(0), "{self}");
        self.stdout
    }

    /// The lines that say what went wrong: all that it printed as errors but warnings.
    pub fn complaints(&self) -> Vec<&str> {
        self.stderr.trim().lines().filter(|line| !line.contains("warning: ")).collect()
    }

    /// Whether it succeeded.
    pub fn succeeded(&self) -> bool {
        self.code == Some(0)
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { line, code, stdout, stderr } = self;
        write!(f, "`{line}` ended with {code:?}\nstdout: {stdout}\nstderr: {stderr}")
    }
}

/// Runs a command to its end.
///
/// # Panics
///
/// If it does not start, takes longer than [`LIMIT`], or leaves a process behind that holds its output open.
#[track_caller]
pub fn run(command: &mut Command) -> Outcome {
    let line = describe(command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("`{line}` does not start: {error}"));
    let stdout = collect(child.stdout.take().unwrap());
    let stderr = collect(child.stderr.take().unwrap());
    let Some(status) = wait::find(LIMIT, || child.try_wait().unwrap()) else {
        child.kill().unwrap();
        child.wait().unwrap();
        panic!("`{line}` took longer than {:?}", wait::patient(LIMIT));
    };
    let text = |from: &mpsc::Receiver<String>| {
        from.recv_timeout(wait::patient(OUTPUT_LIMIT))
            .unwrap_or_else(|_| panic!("`{line}` left a process behind that holds its output open"))
    };
    Outcome { code: status.code(), stdout: text(&stdout), stderr: text(&stderr), line }
}

/// Reads an output to its end, in the background.
fn collect(mut from: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.read_to_end(&mut bytes);
        let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    receiver
}

/// Many lines for one `ip`, in the present network namespace; all must succeed.
///
/// # Panics
///
/// If one fails.
#[track_caller]
pub fn ip_batch(lines: &str) {
    let mut ip = Command::new("ip").args(["-batch", "-"]).stdin(Stdio::piped()).spawn().unwrap();
    ip.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    assert!(ip.wait().unwrap().success(), "one of {} lines", lines.lines().count());
}
