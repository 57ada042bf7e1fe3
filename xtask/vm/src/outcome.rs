//! How a machine's run ended, and the exit status for it.

use std::{fs, path::Path, process::ExitStatus};

/// The most lines of the console that are shown.
const LINES: usize = 40;
/// What a kernel says when it gives up.
const PANIC: &str = "Kernel panic - not syncing";

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MachineOutcome {
    /// The command ended with this status.
    Exited(u8),
    /// The command was never started; why.
    NotBooted(String),
    /// The kernel gave up.
    Panicked,
    /// The agent did not answer for this many seconds.
    LockedUp(u64),
    /// The machine was switched off or reset from within.
    SwitchedOff,
    /// The emulator failed.
    EmulatorFailed(ExitStatus),
    /// The time limit, in seconds, has passed.
    TimedOut(u64),
    /// We were asked to leave.
    Interrupted,
}

impl MachineOutcome {
    /// The exit status of `cargo xtask vm`. Those of ours are above what commands usually return.
    pub const fn status(&self) -> u8 {
        match self {
            Self::Exited(status) => *status,
            Self::NotBooted(_) => 120,
            Self::Panicked => 121,
            Self::LockedUp(_) => 122,
            Self::SwitchedOff | Self::EmulatorFailed(_) => 123,
            Self::TimedOut(_) => 124,
            Self::Interrupted => 130,
        }
    }

    /// What to tell people, if it was not the command that ended by itself.
    pub fn message(&self) -> Option<String> {
        Some(match self {
            Self::Exited(_) => return None,
            Self::NotBooted(why) => format!("the machine did not get to the command: {why}"),
            Self::Panicked => "the machine's kernel panicked".to_owned(),
            Self::LockedUp(seconds) => format!("the machine locked up: no sign of life for {seconds} s"),
            Self::SwitchedOff => "the machine was switched off or reset before the command ended".to_owned(),
            Self::EmulatorFailed(status) => format!("the emulator failed ({status})"),
            Self::TimedOut(seconds) => format!("the time limit of {seconds} s has passed (--timeout)"),
            Self::Interrupted => "interrupted".to_owned(),
        })
    }

    /// Whether the end of the console helps to understand it.
    pub const fn needs_console(&self) -> bool {
        !matches!(self, Self::Exited(_) | Self::Interrupted)
    }
}

/// What it means that the emulator ended by itself.
pub fn of_ended_emulator(status: ExitStatus, console: &str) -> MachineOutcome {
    if console.contains(PANIC) {
        MachineOutcome::Panicked
    } else if status.success() {
        MachineOutcome::SwitchedOff
    } else {
        MachineOutcome::EmulatorFailed(status)
    }
}

/// The text of a console or log, without what terminals act on.
pub fn text(file: &Path) -> String {
    let bytes = fs::read(file).unwrap_or_default();
    plain(&String::from_utf8_lossy(&bytes))
}

/// The end of a console, for people: the last lines, and from the panic on if there was one.
pub fn tail(console: &str) -> String {
    let lines: Vec<&str> = console.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = lines.len().saturating_sub(LINES);
    let panic = lines.iter().position(|line| line.contains(PANIC)).unwrap_or(last);
    lines[panic.min(last)..].join("\n")
}

/// Removes escape sequences and control characters.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\u{1b}' if characters.peek() == Some(&'[') => {
                // A control sequence ends with its first letter.
                while characters.next().is_some_and(|inner| !inner.is_ascii_alphabetic()) {}
            }
            // A short one has one more character.
            '\u{1b}' => {
                characters.next();
            }
            '\n' | '\t' => plain.push(character),
            other if other.is_control() => {}
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use std::{os::unix::process::ExitStatusExt, process::ExitStatus};

    use super::{MachineOutcome, of_ended_emulator, plain, tail};

    #[test]
    fn the_end_of_the_emulator_has_a_reason() {
        let (good, bad) = (ExitStatus::from_raw(0), ExitStatus::from_raw(1 << 8));
        let panic = "[ 1.0] Kernel panic - not syncing: sysrq triggered crash\n";
        assert_eq!(of_ended_emulator(good, panic), MachineOutcome::Panicked);
        assert_eq!(of_ended_emulator(good, "reboot: Power down\n"), MachineOutcome::SwitchedOff);
        assert_eq!(of_ended_emulator(bad, ""), MachineOutcome::EmulatorFailed(bad));
    }

    #[test]
    fn each_failure_of_a_machine_has_a_status_above_those_of_commands() {
        let failure = ExitStatus::from_raw(1 << 8);
        let all = [
            MachineOutcome::NotBooted(String::new()),
            MachineOutcome::Panicked,
            MachineOutcome::LockedUp(1),
            MachineOutcome::EmulatorFailed(failure),
            MachineOutcome::TimedOut(1),
            MachineOutcome::Interrupted,
        ];
        let mut statuses: Vec<u8> = all.iter().map(MachineOutcome::status).collect();
        statuses.dedup();
        assert_eq!(statuses, [120, 121, 122, 123, 124, 130]);
        assert_eq!(MachineOutcome::Exited(7).status(), 7);
    }

    #[test]
    fn a_console_is_shown_without_control_characters() {
        assert_eq!(plain("\u{1b}c\u{1b}[?7l\u{1b}[2Ja\r\nb\u{7}\tc"), "a\nb\tc");
        let long: String = (0..100).map(|line| format!("{line}\n\n")).collect();
        assert_eq!(tail(&long).lines().next(), Some("60"));
        assert_eq!(tail("one\n"), "one");
        let panic = format!("{long}Kernel panic - not syncing: x\n{long}");
        assert_eq!(tail(&panic).lines().next(), Some("Kernel panic - not syncing: x"));
    }
}
