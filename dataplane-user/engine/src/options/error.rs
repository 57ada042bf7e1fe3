//! What is wrong with an option, or with its value.

/// Why a text is no option or no value of one. Each says what is known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// No option has this name.
    #[error("{typed} is no {what} ({known}{planned})")]
    UnknownKey {
        /// What was typed.
        typed: String,
        /// Option, setting of a port, …
        what: &'static str,
        /// The names that there are.
        known: String,
        /// Those that are to come, with what leads to them.
        planned: String,
    },
    /// A word that is none of the choices.
    #[error("{typed} is none of {known}{planned}")]
    UnknownWord {
        /// What was typed.
        typed: String,
        /// The words that there are.
        known: String,
        /// Those that are to come, with what leads to them.
        planned: String,
    },
    /// It has a meaning, but no code.
    #[error("{typed} is not built yet{known}")]
    NotBuilt {
        /// What was typed.
        typed: String,
        /// What there is instead, with what leads to it.
        known: String,
    },
    /// A value, or a part of one, is missing.
    #[error("a value is missing ({expected})")]
    Missing {
        /// What could stand there.
        expected: String,
    },
    /// A value where none belongs.
    #[error("{typed} takes no value")]
    NoValue {
        /// What has one.
        typed: String,
    },
    /// Not `KEY=VALUE`.
    #[error("{typed} is not of the form KEY=VALUE")]
    NoAssignment {
        /// What was typed.
        typed: String,
    },
    /// Not a number.
    #[error("{typed} is no number ({range})")]
    NotANumber {
        /// What was typed.
        typed: String,
        /// The numbers that it could be.
        range: String,
    },
    /// A number with a unit that its option does not have.
    #[error("{typed} has an unknown unit ({known})")]
    WrongUnit {
        /// What was typed.
        typed: String,
        /// The units that there are.
        known: &'static str,
    },
    /// A number, but too small or too large.
    #[error("{typed} is out of range ({range})")]
    OutOfRange {
        /// What was typed.
        typed: String,
        /// The range.
        range: String,
    },
    /// A text with a syntax of its own, which knows what is wrong with it.
    #[error("{0}")]
    Syntax(String),
    /// An option, perhaps under two of its names.
    #[error("{key} is given twice")]
    Twice {
        /// Its own name.
        key: &'static str,
    },
    /// It is chosen when the aggregate is attached.
    #[error("{key} cannot be changed while the aggregate runs; detach it and attach it anew")]
    NotLive {
        /// Its own name.
        key: &'static str,
    },
    /// What is wrong with the value of an option, or of a part of it.
    #[error("{key}={value}: {why}")]
    Value {
        /// Its name, as it was typed.
        key: String,
        /// The value, as it was typed.
        value: String,
        /// What is wrong.
        why: Box<Invalid>,
    },
}

impl Invalid {
    /// Says which option it is about.
    pub(super) fn of(self, key: &str, value: &str) -> Self {
        Self::Value { key: super::shorten(key), value: super::shorten(value), why: Box::new(self) }
    }
}

/// `; not built yet: …`, if there is anything.
pub(super) fn planned<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<_> = names.collect();
    if names.is_empty() { String::new() } else { format!("; not built yet: {}", names.join(", ")) }
}
