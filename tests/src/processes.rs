//! Looking at processes and ending them, by number.

use std::{fs, os::unix::fs::MetadataExt, path::Path, process};

use rustix::process::{Pid, Signal};

/// The processes, but for this one, in the network namespace with this inode number.
pub fn in_network_namespace(inode: u64) -> Vec<Pid> {
    let own = process::id();
    fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| *pid != own)
        .filter(|pid| fs::metadata(format!("/proc/{pid}/ns/net")).is_ok_and(|net| net.ino() == inode))
        .filter_map(|pid| Pid::from_raw(pid.try_into().ok()?))
        .collect()
}

/// Whether the process lives: it exists and is no zombie.
pub fn alive(pid: Pid) -> bool {
    stat(pid).is_some_and(|(state, _)| state != "Z" && state != "X")
}

/// The parent of a process; `None` if it is gone.
pub fn parent(pid: Pid) -> Option<Pid> {
    stat(pid).and_then(|(_, parent)| Pid::from_raw(parent))
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

/// State and parent of a process (proc(5), stat: after the name, which may contain anything, in parentheses).
fn stat(pid: Pid) -> Option<(String, i32)> {
    let text = fs::read_to_string(Path::new("/proc").join(pid.as_raw_pid().to_string()).join("stat")).ok()?;
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.to_owned(), fields.next()?.parse().ok()?))
}
