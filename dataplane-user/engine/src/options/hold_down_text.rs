//! How flap damping is written: `changes=3,window=10,for=60`.

use std::{fmt, str::FromStr};

use super::{Invalid, nested, text::quote};
use crate::hold_down::{FlapRule, HoldDown};

/// The word for no damping.
const OFF: &str = "off";

/// All that can be written.
pub(super) fn syntax() -> String {
    format!("{OFF}|{}", nested::syntax::<FlapRule>())
}

impl FromStr for HoldDown {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text == OFF {
            return Ok(Self::Off);
        }
        let settings = text.split(',').map(|part| part.split_once('=').unwrap_or((part, "")));
        let mut rule = FlapRule::default();
        nested::read(&mut rule, settings, unknown)?;
        Ok(Self::By(rule))
    }
}

impl fmt::Display for HoldDown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str(OFF),
            Self::By(rule) => f.write_str(&nested::texts(rule, &FlapRule::default()).join(",")),
        }
    }
}

crate::text::as_text!(HoldDown);

fn unknown(typed: &str) -> Invalid {
    let known = format!("{OFF}, {}", nested::syntax::<FlapRule>());
    Invalid::UnknownWord { typed: quote(typed), known, planned: String::new() }
}
