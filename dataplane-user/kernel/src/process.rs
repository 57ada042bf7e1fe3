//! Looking at other processes of ours, and ending them.

use std::{fs, os::unix::fs::MetadataExt, path::Path, time::Duration};

use aggctl_engine::supervise::ProcessSample;
use rustix::{
    fd::OwnedFd,
    io::Errno,
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};

use crate::error::KernelError;

/// What our processes call themselves.
pub const OWN_NAME: &str = "aggctl";

/// What the system tells about a process; `None` if it is gone.
#[must_use]
pub fn sight(pid: u32) -> Option<ProcessSample> {
    let stat = stat(pid)?;
    let ticks = rustix::param::clock_ticks_per_second().max(1);
    let processor = Duration::from_millis(stat.ticks.saturating_mul(1000) / ticks);
    Some(ProcessSample { stopped: matches!(stat.state, 'T' | 't'), processor })
}

/// The parent of a process; `None` if it is gone.
#[must_use]
pub fn parent(pid: u32) -> Option<u32> {
    stat(pid).map(|stat| stat.parent)
}

/// The command line of a process of ours, without its first word; `None` if it is none of ours, or gone.
#[must_use]
pub fn own_arguments(pid: u32) -> Option<Vec<String>> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let mut words = line.split(|octet| *octet == 0).map(|word| String::from_utf8_lossy(word).into_owned());
    let program = words.next()?;
    let ours = Path::new(&program).file_name().is_some_and(|name| name == OWN_NAME);
    ours.then(|| words.filter(|word| !word.is_empty()).collect())
}

/// A process, held so that its number means no other one.
#[derive(Debug)]
pub struct ProcessHandle {
    pid: u32,
    fd: OwnedFd,
}

impl ProcessHandle {
    /// Takes hold of a process; `None` if it is gone.
    ///
    /// # Minimum kernel version
    ///
    /// Linux 5.3.
    ///
    /// # Errors
    ///
    /// What the kernel refuses.
    pub fn take(pid: u32) -> Result<Option<Self>, KernelError> {
        let Some(number) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return Ok(None) };
        match pidfd_open(number, PidfdFlags::empty()) {
            Ok(fd) => Ok(Some(Self { pid, fd })),
            Err(Errno::SRCH) => Ok(None),
            Err(errno) => Err(KernelError::refused(format!("process {pid}"), "take hold of", errno)),
        }
    }

    /// Whether it has this file open.
    #[must_use]
    pub fn has_open(&self, path: &Path) -> bool {
        let Ok(file) = fs::metadata(path) else { return false };
        let fds = fs::read_dir(format!("/proc/{}/fd", self.pid)).into_iter().flatten().flatten();
        fds.filter_map(|fd| fs::metadata(fd.path()).ok())
            .any(|open| open.dev() == file.dev() && open.ino() == file.ino())
    }

    /// Ends it, whatever it is doing. Fine if it is gone.
    ///
    /// # Errors
    ///
    /// What the kernel refuses.
    pub fn kill(&self) -> Result<(), KernelError> {
        match pidfd_send_signal(&self.fd, Signal::KILL) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(errno) => Err(KernelError::refused(format!("process {}", self.pid), "end", errno)),
        }
    }
}

/// What proc(5) tells about a process.
struct Stat {
    state: char,
    parent: u32,
    /// Clock ticks of processor time, in user space and in the kernel.
    ticks: u64,
}

fn stat(pid: u32) -> Option<Stat> {
    parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// After the name in parentheses, which may contain anything: state, parent, …; the times are the 14th and 15th of all.
fn parse(text: &str) -> Option<Stat> {
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok());
    Some(Stat {
        state: fields.first()?.chars().next()?,
        parent: fields.get(1)?.parse().ok()?,
        ticks: ticks(11)?.saturating_add(ticks(12)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_confuse() {
        let stat = parse("7 (a) T (b) R) T 3 7 7 0 -1 0 0 0 0 0 21 12 0 0 20 0 1 0 5 0 0").unwrap();
        assert_eq!((stat.state, stat.parent, stat.ticks), ('T', 3, 33));
    }

    #[test]
    fn this_process_is_seen() {
        let own = std::process::id();
        assert!(!sight(own).unwrap().stopped);
        assert_eq!(parent(own), Some(std::os::unix::process::parent_id()));
        assert_eq!(own_arguments(own), None, "a test is none of ours");
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("lock");
        let file = fs::File::create(&path).unwrap();
        let held = ProcessHandle::take(own).unwrap().unwrap();
        assert!(held.has_open(&path));
        drop(file);
        assert!(!held.has_open(&path));
    }
}
