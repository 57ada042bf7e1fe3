//! How long something is waited for.

use std::{fmt, str::FromStr, time::Duration};

/// The longest wait that has an end: a day.
const MOST: u32 = 86_400;

/// A limit of a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// So many seconds; 0: not at all.
    Seconds(u32),
    /// For ever.
    Infinity,
}

impl Limit {
    /// As a time; `None`: without end.
    pub fn duration(self) -> Option<Duration> {
        match self {
            Self::Seconds(seconds) => Some(Duration::from_secs(seconds.into())),
            Self::Infinity => None,
        }
    }
}

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            _ if text == "infinity" => Ok(Self::Infinity),
            Ok(seconds) if seconds <= MOST => Ok(Self::Seconds(seconds)),
            _ => Err(format!("expected seconds from 0 to {MOST}, or infinity")),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seconds(seconds) => write!(f, "for {seconds} s at most"),
            Self::Infinity => f.write_str("for as long as it takes"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_or_infinity() {
        let read = |text: &str| text.parse::<Limit>();
        assert_eq!(read("0"), Ok(Limit::Seconds(0)));
        assert_eq!(read("86400"), Ok(Limit::Seconds(86_400)));
        assert_eq!(read("infinity"), Ok(Limit::Infinity));
        for wrong in ["", "86401", "-1", "1s", "Infinity", "forever"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
