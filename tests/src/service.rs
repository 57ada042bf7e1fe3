//! The unit of systemd that ships with the product, started as systemd would: with its command line and environment, a
//! socket for notifications, and again after a failure.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    process::{Child, ExitStatus},
};

use rustix::process::Pid;
use tempfile::TempDir;

use crate::{Namespace, aggctl::binary, matrix::SOON, wait};

/// The unit's file.
pub fn unit() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/aggctl@.service")
}

/// All values of a setting of the unit, in their order.
pub fn settings(key: &str) -> Vec<String> {
    let text = fs::read_to_string(unit()).unwrap();
    let values = text.lines().filter_map(|line| line.split_once('=')).filter(|(name, _)| *name == key);
    values.map(|(_, value)| value.to_owned()).collect()
}

/// An instance of the unit.
#[derive(Debug)]
pub struct Service<'a> {
    host: &'a Namespace,
    /// The command line, word by word.
    words: Vec<String>,
    socket: UnixDatagram,
    files: TempDir,
    process: Child,
}

impl<'a> Service<'a> {
    /// Starts `aggctl@NAME`. `file` describes the aggregate, `environment` is what else is set for it in `/etc`.
    pub fn start(host: &'a Namespace, name: &str, file: &str, environment: &[(&str, &str)]) -> Self {
        let defaults = settings("Environment");
        let mut variables: BTreeMap<_, _> = defaults.iter().filter_map(|value| value.split_once('=')).collect();
        variables.extend(environment.iter().copied());
        let files = tempfile::tempdir().unwrap();
        fs::write(files.path().join(format!("{name}.toml")), file).unwrap();
        let socket = UnixDatagram::bind(files.path().join("notify")).unwrap();
        socket.set_nonblocking(true).unwrap();
        let words = words(&settings("ExecStart")[0], name, &variables);
        let process = spawn(host, &words, files.path());
        Self { host, words, socket, files, process }
    }

    /// Its main process.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.process)
    }

    /// Waits for a notification that begins so; those before it are forgotten.
    #[track_caller]
    pub fn wait_for(&self, wanted: &str) {
        let told = || self.told().into_iter().find(|line| line.starts_with(wanted));
        assert!(wait::find(SOON, told).is_some(), "never told: {wanted}; said: {}", self.said());
    }

    /// What it has notified since it was asked last: lines.
    pub fn told(&self) -> Vec<String> {
        let mut lines = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            match self.socket.recv(&mut buffer) {
                Ok(length) => lines.extend(String::from_utf8_lossy(&buffer[..length]).lines().map(str::to_owned)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return lines,
                Err(error) => panic!("the socket for notifications: {error}"),
            }
        }
    }

    /// What it has printed, in all its lives.
    pub fn said(&self) -> String {
        fs::read_to_string(self.files.path().join("journal")).unwrap_or_default()
    }

    /// How often this was printed.
    pub fn times_said(&self, text: &str) -> usize {
        self.said().matches(text).count()
    }

    /// Waits for the end of its process.
    #[track_caller]
    pub fn ended(&mut self) -> ExitStatus {
        let ended = wait::find(SOON, || self.process.try_wait().unwrap());
        ended.unwrap_or_else(|| panic!("does not end; said: {}", self.said()))
    }

    /// Waits for the end of its process, and does what systemd does then: says whether it was started again.
    #[track_caller]
    pub fn restarted(&mut self) -> bool {
        let status = self.ended();
        assert_eq!(settings("Restart"), ["on-failure"]);
        let hopeless = settings("RestartPreventExitStatus");
        let again = !status.success() && status.code().is_none_or(|code| !hopeless.contains(&code.to_string()));
        if again {
            self.process = spawn(self.host, &self.words, self.files.path());
        }
        again
    }
}

impl Drop for Service<'_> {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A command line as systemd.service(5) has it: `${NAME}` is one word, `$NAME` as many as its value has.
fn words(line: &str, instance: &str, variables: &BTreeMap<&str, &str>) -> Vec<String> {
    let value = |name: &str| variables.get(name).copied().unwrap_or_default();
    let mut words = Vec::new();
    for word in line.split_whitespace().skip(1) {
        if let Some(name) = word.strip_prefix("${").and_then(|rest| rest.strip_suffix('}')) {
            words.push(value(name).to_owned());
        } else if let Some(name) = word.strip_prefix('$') {
            words.extend(value(name).split_whitespace().map(str::to_owned));
        } else {
            words.push(word.replace("%i", instance));
        }
    }
    words
}

/// The time of the unit's watchdog in microseconds.
fn watchdog() -> String {
    let seconds: u64 = settings("WatchdogSec")[0].strip_suffix('s').unwrap().parse().unwrap();
    (seconds * 1_000_000).to_string()
}

fn spawn(host: &Namespace, words: &[String], files: &Path) -> Child {
    let journal = File::options().create(true).append(true).open(files.join("journal")).unwrap();
    let mut command = host.command(binary().to_str().unwrap());
    command.args(words).env("NOTIFY_SOCKET", files.join("notify")).env("WATCHDOG_USEC", watchdog());
    command.env("AGGCTL_CONFIG_DIR", files);
    command.stdin(std::process::Stdio::null()).stdout(journal.try_clone().unwrap()).stderr(journal).spawn().unwrap()
}
