//! Numbers with units.

use super::{Invalid, text::quote};

/// What a number without a unit means, and which units it may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A number of things: no unit.
    None,
    /// Milliseconds; `2s` and `1min` are understood, too.
    Milliseconds,
    /// Seconds; `2s` and `1min` are understood, too.
    Seconds,
}

/// The units of time, and how many milliseconds each has.
const TIMES: [(&str, i64); 3] = [("ms", 1), ("s", 1_000), ("min", 60_000)];
/// Those that are whole seconds, and how many each has.
const WHOLE_SECONDS: [(&str, i64); 2] = [("s", 1), ("min", 60)];

impl Unit {
    /// What stands for such a number in a syntax.
    #[must_use]
    pub const fn metavar(self) -> &'static str {
        match self {
            Self::None => "N",
            Self::Milliseconds => "MS",
            Self::Seconds => "S",
        }
    }

    /// What comes behind such a number in a text, with a blank.
    #[must_use]
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Milliseconds => " ms",
            Self::Seconds => " s",
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
        let (units, known): (&[(&str, i64)], _) = match self {
            Self::None => (&[], ""),
            Self::Milliseconds => (&TIMES, "ms, s, min"),
            Self::Seconds => (&WHOLE_SECONDS, "s, min"),
        };
        let factor = match (unit, units.iter().find(|(name, _)| *name == unit)) {
            ("", _) => 1,
            (_, Some((_, factor))) => *factor,
            (_, None) if units.is_empty() => {
                return Err(Invalid::NotANumber { typed: quote(text), range: range.to_owned() });
            }
            (_, None) => return Err(Invalid::WrongUnit { typed: quote(text), known }),
        };
        Ok(number.parse::<i64>().ok().and_then(|number| number.checked_mul(factor)))
    }
}
