//! Network managers: each is told, by a file below /run as it documents them, to leave an interface alone.
//!
//! A file is written only for a manager of the present network namespace: one that runs there, or one that is installed
//! and will run there, which only the namespace of the first process can tell. It speaks of the interface by name, so
//! it holds for one that is made, or that returns, later.

mod held;

use std::{
    fs::{self, Permissions},
    io::{self, ErrorKind},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use rustix::process::{Pid, Signal, kill_process};
use tracing::warn;

pub(crate) use self::held::{by_network_manager, by_networkd};
use crate::{error::KernelError, netns};

/// A network manager, and how it is told.
#[derive(Debug)]
struct Manager {
    /// The name of its process, as the kernel cuts it off.
    process: &'static str,
    /// One of these is there where it is installed.
    installed: &'static [&'static str],
    /// Where its files are looked for.
    directory: &'static str,
    /// What the name of ours begins and ends with.
    affixes: [&'static str; 2],
    /// What is in it: the name of the file's subject, and that of the interface.
    text: fn(&str, &str) -> String,
    /// Whether it reads its files again on SIGHUP.
    takes_sighup: bool,
}

const MANAGERS: [Manager; 2] = [
    Manager {
        process: "NetworkManager",
        installed: &["/usr/sbin/NetworkManager", "/usr/bin/NetworkManager"],
        directory: "/run/NetworkManager/conf.d",
        affixes: ["90-aggctl-", ".conf"],
        // `=` is for the very name; `unmanaged-devices` instead would take interfaces down that are managed now.
        text: |subject, interface| {
            format!("[device-aggctl-{subject}]\nmatch-device=interface-name:={interface}\nmanaged=0\n")
        },
        takes_sighup: true,
    },
    Manager {
        process: "systemd-network",
        installed: &["/usr/lib/systemd/systemd-networkd", "/lib/systemd/systemd-networkd"],
        directory: "/run/systemd/network",
        affixes: ["00-aggctl-", ".network"],
        text: |_, interface| format!("[Match]\nName={interface}\n\n[Link]\nUnmanaged=yes\n"),
        takes_sighup: false,
    },
];

/// Tells the network managers of this namespace to leave the interface alone. One that cannot be told is no reason to
/// fail.
pub fn unmanage(subject: &str, interface: &str) {
    for manager in MANAGERS.iter().filter(|manager| manager.is_here()) {
        if !is_plain(interface) {
            warn!(interface, "{} cannot be told to leave it alone: its name has a special character", manager.process);
        } else if let Err(error) = manager.write(subject, interface) {
            warn!(interface, %error, "{} was not told to leave it alone", manager.process);
        } else {
            manager.read_again();
        }
    }
}

/// Takes back what [`unmanage`] told. What was never told is taken back already.
///
/// # Errors
///
/// If a file cannot be removed.
pub fn manage(subject: &str) -> Result<(), KernelError> {
    for manager in &MANAGERS {
        let path = manager.file(subject);
        match fs::remove_file(&path) {
            Ok(()) => manager.read_again(),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(KernelError::refused(path.display().to_string(), "remove", error)),
        }
    }
    Ok(())
}

/// Whether the name means nothing else in the files.
fn is_plain(interface: &str) -> bool {
    interface.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '@' | '+'))
}

impl Manager {
    fn file(&self, subject: &str) -> PathBuf {
        let [prefix, suffix] = self.affixes;
        Path::new(self.directory).join(format!("{prefix}{subject}{suffix}"))
    }

    /// Whether interfaces of this namespace are its business, now or later.
    fn is_here(&self) -> bool {
        let installed = || self.installed.iter().any(|path| Path::new(path).exists());
        !self.processes().is_empty() || (netns::is_first() && installed())
    }

    fn write(&self, subject: &str, interface: &str) -> io::Result<()> {
        let path = self.file(subject);
        fs::create_dir_all(self.directory)?;
        fs::write(&path, (self.text)(subject, interface))?;
        // systemd-networkd does not run as root.
        fs::set_permissions(&path, Permissions::from_mode(0o644))
    }

    /// Has it read its files again, if it does on a signal.
    fn read_again(&self) {
        if !self.takes_sighup {
            return;
        }
        for process in self.processes().into_iter().filter(|process| is_roots(*process) && handles_sighup(*process)) {
            let Some(pid) = process.try_into().ok().and_then(Pid::from_raw) else { continue };
            if let Err(error) = kill_process(pid, Signal::HUP) {
                warn!(%error, "{} was not told to read its files again", self.process);
            }
        }
    }

    /// Its processes in this namespace.
    fn processes(&self) -> Vec<u32> {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let all = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        let is_named = |process: &u32| {
            fs::read_to_string(format!("/proc/{process}/comm")).is_ok_and(|name| name.trim_end() == self.process)
        };
        all.filter(is_named).filter(|process| netns::has_process(*process)).collect()
    }
}

/// Whether it is a process of root's: anybody may name theirs as they like.
fn is_roots(process: u32) -> bool {
    fs::metadata(format!("/proc/{process}")).is_ok_and(|metadata| metadata.uid() == 0)
}

/// Whether SIGHUP does not end the process, as it does one that has just begun.
fn handles_sighup(process: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let has = |set: &str| {
        let mask = status.lines().find_map(|line| line.strip_prefix(set)?.strip_prefix(':'));
        mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
    };
    has("SigCgt") || has("SigBlk")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_name_the_very_interface() {
        let [network_manager, networkd] = &MANAGERS;
        assert_eq!(
            (network_manager.text)("7-agg0-port0", "eth0"),
            "[device-aggctl-7-agg0-port0]\nmatch-device=interface-name:=eth0\nmanaged=0\n"
        );
        assert_eq!((networkd.text)("7-agg0-port0", "eth0"), "[Match]\nName=eth0\n\n[Link]\nUnmanaged=yes\n");
        assert!(is_plain("enp3s0.7") && !is_plain("eth*") && !is_plain("a,b") && !is_plain("a;b"));
    }

    #[test]
    fn a_process_that_sighup_would_end_is_spared() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let handles = handles_sighup(child.id());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!handles);
    }
}
