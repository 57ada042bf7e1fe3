//! Looking at processes and ending them, by number.

use std::{fs, path::Path};

pub use aggctl_testbed::netns::processes_in as in_network_namespace;
use rustix::process::{Pid, Signal};

/// Whether the process lives: it exists and is no zombie. While other threads than its first still end, its files are
/// open and its locks are held.
pub fn alive(pid: Pid) -> bool {
    stat(pid).is_some_and(|stat| !["Z", "X"].contains(&stat.state.as_str()) || stat.threads > 1)
}

/// The parent of a process; `None` if it is gone.
pub fn parent(pid: Pid) -> Option<Pid> {
    stat(pid).and_then(|stat| Pid::from_raw(stat.parent))
}

/// The session that a process belongs to, by the number of its leader; `None` if the process is gone.
pub fn session(pid: Pid) -> Option<i32> {
    stat(pid).map(|stat| stat.session)
}

/// Stops a process, which goes on existing.
///
/// # Panics
///
/// If the process is not there.
#[track_caller]
pub fn stop(pid: Pid) {
    rustix::process::kill_process(pid, Signal::STOP).unwrap_or_else(|error| panic!("kill -STOP {pid:?}: {error}"));
}

/// The words of a process's command line; none if it is gone.
pub fn words(pid: Pid) -> Vec<String> {
    let line = fs::read(Path::new("/proc").join(pid.as_raw_pid().to_string()).join("cmdline")).unwrap_or_default();
    let words = line.split(|octet| *octet == 0).filter(|word| !word.is_empty());
    words.map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

/// A line of `/proc/PID/status`.
///
/// # Panics
///
/// If the process is not there, or there is no such line.
#[track_caller]
pub fn status(pid: Pid, key: &str) -> String {
    let text = fs::read_to_string(Path::new("/proc").join(pid.as_raw_pid().to_string()).join("status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {key} in {text}")).trim().to_owned()
}

/// kill -9.
///
/// # Panics
///
/// If the process is not there.
#[track_caller]
pub fn kill(pid: Pid) {
    rustix::process::kill_process(pid, Signal::KILL).unwrap_or_else(|error| panic!("kill -9 {pid:?}: {error}"));
}

/// Asks a process to end.
///
/// # Panics
///
/// If the process is not there.
#[track_caller]
pub fn terminate(pid: Pid) {
    rustix::process::kill_process(pid, Signal::TERM).unwrap_or_else(|error| panic!("kill {pid:?}: {error}"));
}

/// What proc(5) tells about a process.
struct Stat {
    state: String,
    parent: i32,
    session: i32,
    threads: u32,
}

/// Reads `/proc/PID/stat`, after the name in parentheses, which may contain anything.
fn stat(pid: Pid) -> Option<Stat> {
    let text = fs::read_to_string(Path::new("/proc").join(pid.as_raw_pid().to_string()).join("stat")).ok()?;
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let [state, parent, _group, session, ..] = fields[..] else { return None };
    let [parent, session] = [parent, session].map(|field| field.parse().ok());
    // The 20th of all fields.
    let threads = fields.get(17)?.parse().ok()?;
    Some(Stat { state: state.to_owned(), parent: parent?, session: session?, threads })
}
