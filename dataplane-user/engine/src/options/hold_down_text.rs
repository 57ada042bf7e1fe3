//! How flap damping is written: `changes=3,window=10,for=60`.

use std::{fmt, str::FromStr};

use super::{Invalid, Unit, text::quote};
use crate::hold_down::{FlapRule, HoldDown};

/// The word for no damping.
const OFF: &str = "off";
/// All of its syntax but that word.
const RULE: &str = "changes=N,window=S,for=S";
/// Most changes that can be asked for; more are not remembered.
const MOST_CHANGES: u32 = 255;
/// The longest window, seconds.
const LONGEST_WINDOW: u32 = 3_600;
/// The longest time that a port is held down, seconds.
const LONGEST_HOLD: u32 = 86_400;

impl FromStr for HoldDown {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text == OFF {
            return Ok(Self::Off);
        }
        let (mut changes, mut window_s, mut for_s) = (None, None, None);
        for part in text.split(',') {
            let (key, value) = part.split_once('=').ok_or_else(|| unknown(part))?;
            let (name, known, unit, [least, most]) = match key {
                "changes" => ("changes", &mut changes, Unit::None, [2, MOST_CHANGES]),
                "window" => ("window", &mut window_s, Unit::Seconds, [1, LONGEST_WINDOW]),
                "for" => ("for", &mut for_s, Unit::Seconds, [1, LONGEST_HOLD]),
                _ => return Err(unknown(part)),
            };
            let number = number(value, unit, [least, most]).map_err(|why| why.of(key, value))?;
            if known.replace(number).is_some() {
                return Err(Invalid::Twice { key: name });
            }
        }
        let missing = |name: &str| Invalid::Missing { expected: format!("{name} of {RULE}") };
        Ok(Self::By(FlapRule {
            changes: changes.and_then(|number| u8::try_from(number).ok()).ok_or_else(|| missing("changes"))?,
            window_s: window_s.ok_or_else(|| missing("window"))?,
            for_s: for_s.ok_or_else(|| missing("for"))?,
        }))
    }
}

impl fmt::Display for HoldDown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str(OFF),
            Self::By(FlapRule { changes, window_s, for_s }) => {
                write!(f, "changes={changes},window={window_s},for={for_s}")
            }
        }
    }
}

impl TryFrom<String> for HoldDown {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<HoldDown> for String {
    fn from(hold_down: HoldDown) -> Self {
        hold_down.to_string()
    }
}

fn number(text: &str, unit: Unit, [least, most]: [u32; 2]) -> Result<u32, Invalid> {
    let range = format!("{least} to {most}{}", unit.suffix());
    let number = unit.read(text, &range)?.and_then(|number| u32::try_from(number).ok());
    let fits = number.filter(|number| (least..=most).contains(number));
    fits.ok_or_else(|| Invalid::OutOfRange { typed: quote(text), range })
}

fn unknown(part: &str) -> Invalid {
    Invalid::UnknownWord { typed: quote(part), known: format!("{OFF}, {RULE}"), planned: String::new() }
}
