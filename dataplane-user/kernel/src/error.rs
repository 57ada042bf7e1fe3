//! What can go wrong between us and the kernel.

use std::{io, time::Duration};

use rustix::io::Errno;

/// The call that gives an interface another MAC.
pub(crate) const SET_MAC: &str = "set MAC";

/// A failure, with the thing that it happened to and the call that failed.
#[derive(Debug, thiserror::Error)]
pub enum KernelError {
    /// The kernel refused.
    #[error("{subject}: {call}: {failure}{}", hint(failure.errno()))]
    Refused {
        /// What it was about: an interface, an address, a file.
        subject: String,
        /// What was asked of the kernel.
        call: &'static str,
        /// Its answer.
        failure: CallFailure,
    },
    /// An interface that was there when the plan was made is not there any more.
    #[error("{0} is gone")]
    Gone(String),
    /// The name that the aggregate shall have belongs to another interface.
    #[error("the name {0} is taken by another interface")]
    NameTaken(String),
    /// The kernel accepted a setting but did not carry it out.
    #[error("{subject}: {setting} did not take effect")]
    NoEffect {
        /// The interface.
        subject: String,
        /// The setting.
        setting: String,
    },
    /// What was waited for did not come about.
    #[error("{subject}: {missing} ({} s)", limit.as_secs())]
    NotInTime {
        /// The interface.
        subject: String,
        /// What is missing.
        missing: &'static str,
        /// How long it was waited for.
        limit: Duration,
    },
    /// Something that was to be carried out cannot be understood; a record from another version, perhaps.
    #[error("{subject}: malformed {what}")]
    Malformed {
        /// What it was about.
        subject: String,
        /// What was malformed.
        what: &'static str,
    },
}

impl KernelError {
    /// A refusal.
    pub(crate) fn refused(subject: impl Into<String>, call: &'static str, failure: impl Into<CallFailure>) -> Self {
        Self::Refused { subject: subject.into(), call, failure: failure.into() }
    }

    /// Whether an interface kept its MAC.
    #[must_use]
    pub fn refuses_mac(&self) -> bool {
        matches!(self, Self::Refused { call: SET_MAC, .. })
    }

    /// The kernel's error number, where there is one.
    #[must_use]
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Refused { failure, .. } => failure.errno(),
            Self::Gone(_) => Some(Errno::NODEV),
            Self::NameTaken(_) => Some(Errno::EXIST),
            Self::NoEffect { .. } | Self::NotInTime { .. } | Self::Malformed { .. } => None,
        }
    }
}

/// The answer to a call that failed.
#[derive(Debug, thiserror::Error)]
#[error("{}{}", in_words(error), message.as_ref().map(|text| format!(" ({text})")).unwrap_or_default())]
pub struct CallFailure {
    /// The system's error.
    #[source]
    pub error: io::Error,
    /// The kernel's reason in words, where it gave one (netlink's extended acknowledgement).
    pub message: Option<String>,
}

impl CallFailure {
    /// The kernel's error number, where there is one.
    #[must_use]
    pub fn errno(&self) -> Option<Errno> {
        Errno::from_io_error(&self.error)
    }

    /// Whether it is one of these.
    #[must_use]
    pub fn is(&self, errors: &[Errno]) -> bool {
        self.errno().is_some_and(|errno| errors.contains(&errno))
    }
}

impl From<io::Error> for CallFailure {
    fn from(error: io::Error) -> Self {
        Self { error, message: None }
    }
}

impl From<Errno> for CallFailure {
    fn from(errno: Errno) -> Self {
        io::Error::from(errno).into()
    }
}

/// The system's error without its number.
fn in_words(error: &io::Error) -> String {
    let text = error.to_string();
    text.split_once(" (os error ").map_or(&*text, |(words, _)| words).to_owned()
}

/// What to do about an error, where that is known.
fn hint(errno: Option<Errno>) -> &'static str {
    match errno {
        Some(Errno::PERM | Errno::ACCESS) => "; this needs CAP_NET_ADMIN: run as root",
        Some(Errno::NODEV | Errno::NXIO) => "; is the interface still there?",
        Some(Errno::BUSY) => "; something else uses it",
        Some(Errno::OPNOTSUPP) => "; the driver or this kernel cannot do that",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_subject_call_reason_and_remedy() {
        let failure = CallFailure { error: Errno::PERM.into(), message: Some("reason".into()) };
        let text = KernelError::refused("eth1", "set MTU", failure).to_string();
        assert!(text.starts_with("eth1: set MTU: Operation not permitted (reason)"), "{text}");
        assert!(text.ends_with("run as root"), "{text}");
    }
}
