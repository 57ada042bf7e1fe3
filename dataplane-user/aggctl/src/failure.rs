//! How commands fail: one line that says what is wrong and what to do, and an exit code that is a contract.

use std::{io::Write, process::ExitCode};

use aggctl_engine::{
    names::InvalidName,
    options::{Invalid, shorten_to},
    plan::Refusal,
};
use aggctl_kernel::{
    error::KernelError, execute::ExecuteError, probe::Missing, state::StateError, transaction::TransactionError,
};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The command line is wrong (exit 2).
    #[error("{0}")]
    Usage(String),
    /// It was refused, or failed and was undone (exit 1).
    #[error("{0}")]
    Refused(String),
    /// What was to be looked at cannot be looked at (exit 2).
    #[error("{0}")]
    Unseen(String),
    /// Something was found, and is told already (exit 1).
    #[error("something was found")]
    Found,
    /// The reader of our output went away: there is no one to tell.
    #[error("the output was closed")]
    OutputClosed,
}

impl Failure {
    /// Prints the line.
    pub fn report(&self) {
        match self {
            Self::OutputClosed | Self::Found => {}
            Self::Usage(_) | Self::Refused(_) | Self::Unseen(_) => {
                // Whatever went into it, people and scripts get one line.
                // The log of a background process may be full: its exit code tells the same.
                let _ = writeln!(std::io::stderr(), "aggctl: {}", one_line(&self.to_string()));
            }
        }
    }

    /// The process's exit code.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) | Self::Unseen(_) => ExitCode::from(2),
            Self::Refused(_) | Self::Found => ExitCode::from(1),
            Self::OutputClosed => ExitCode::SUCCESS,
        }
    }
}

/// The most characters of a word; paths are longer than what is typed.
const WORD: usize = 200;
/// The most characters of a line.
const LINE: usize = 1_000;

/// A text with its words and itself cut where they are too long to be read, and without line breaks.
pub fn one_line(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().map(|word| shorten_to(word, WORD)).collect();
    shorten_to(&words.join(" "), LINE)
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            // Whatever the host.
            Refusal::Name(_) | Refusal::Option(_) => Self::Usage(refusal.to_string()),
            refusal => Self::Refused(refusal.to_string()),
        }
    }
}

impl From<InvalidName> for Failure {
    fn from(invalid: InvalidName) -> Self {
        Self::Usage(invalid.to_string())
    }
}

impl From<Invalid> for Failure {
    fn from(invalid: Invalid) -> Self {
        Self::Usage(invalid.to_string())
    }
}

impl From<Missing> for Failure {
    fn from(missing: Missing) -> Self {
        Self::Refused(missing.to_string())
    }
}

impl From<aggctl_engine::aggregate::EventRefusal> for Failure {
    fn from(refusal: aggctl_engine::aggregate::EventRefusal) -> Self {
        Self::Refused(refusal.to_string())
    }
}

impl From<ExecuteError> for Failure {
    fn from(error: ExecuteError) -> Self {
        Self::Refused(error.to_string())
    }
}

impl From<KernelError> for Failure {
    fn from(error: KernelError) -> Self {
        Self::Refused(error.to_string())
    }
}

impl From<StateError> for Failure {
    fn from(error: StateError) -> Self {
        Self::Refused(error.to_string())
    }
}

impl From<TransactionError> for Failure {
    fn from(error: TransactionError) -> Self {
        Self::Refused(error.to_string())
    }
}

impl From<aggctl_kernel::dataplane::DataplaneError> for Failure {
    fn from(error: aggctl_kernel::dataplane::DataplaneError) -> Self {
        Self::Refused(error.to_string())
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        // Also where somebody went away: only `output::print` knows that it was a reader of ours.
        Self::Refused(error.to_string())
    }
}
