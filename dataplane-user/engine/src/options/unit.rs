//! Numbers with units.

use super::{Invalid, text::quote};

/// What a number without a unit means, and which units it may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A number of things: no unit.
    None,
    /// Milliseconds; `2s` and `1min` are understood, too.
    Milliseconds,
}

/// The units of time, and how many milliseconds each has.
const TIMES: [(&str, i64); 3] = [("ms", 1), ("s", 1_000), ("min", 60_000)];

impl Unit {
    /// What stands for such a number in a syntax.
    #[must_use]
    pub const fn metavar(self) -> &'static str {
        match self {
            Self::None => "N",
            Self::Milliseconds => "MS",
        }
    }

    /// What comes behind such a number in a text, with a blank.
    #[must_use]
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Milliseconds => " ms",
        }
    }

    /// Reads a number. `None` if it is too large for any option.
    pub(super) fn read(self, text: &str, range: &str) -> Result<Option<i64>, Invalid> {
        if text.is_empty() {
            return Err(Invalid::Missing { expected: format!("a number, {range}") });
        }
        let sign = usize::from(text.starts_with(['-', '+']));
        let digits = text[sign..].bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(sign + digits);
        if digits == 0 {
            return Err(Invalid::NotANumber { typed: quote(text), range: range.to_owned() });
        }
        let factor = match (self, unit) {
            (_, "") => 1,
            (Self::Milliseconds, unit) => match TIMES.iter().find(|(name, _)| *name == unit) {
                Some((_, factor)) => *factor,
                None => return Err(Invalid::WrongUnit { typed: quote(text), known: "ms, s, min" }),
            },
            (Self::None, _) => return Err(Invalid::NotANumber { typed: quote(text), range: range.to_owned() }),
        };
        Ok(number.parse::<i64>().ok().and_then(|number| number.checked_mul(factor)))
    }
}
