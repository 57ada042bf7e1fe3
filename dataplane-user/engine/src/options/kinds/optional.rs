//! Values that may be none.

use std::{fmt, str::FromStr};

use serde::Serialize;
use serde_json::Value;

use super::{FieldAccess, Invalid, ValueKind};
use crate::options::text::quote;

/// The word for no value.
const NONE: &str = "none";

/// A value that reads and writes itself, or `none`.
#[derive(Debug)]
pub struct Optional<C: 'static, T: 'static> {
    /// Where it is kept.
    pub field: FieldAccess<C, Option<T>>,
    /// Its syntax.
    pub syntax: &'static str,
    /// The type of its JSON, where it is not null: `string` or `number`.
    pub json_type: &'static str,
    /// Values that are worth a try.
    pub samples: &'static [&'static str],
}

impl<C: fmt::Debug, T> ValueKind<C> for Optional<C, T>
where
    T: FromStr + fmt::Display + fmt::Debug + Serialize,
{
    fn set(&self, config: &mut C, text: &str) -> Result<(), Invalid> {
        let value = match text {
            "" => return Err(Invalid::Missing { expected: self.metavar() }),
            NONE => None,
            text => Some(text.parse().map_err(|_| Invalid::Syntax(format!("{} is no {}", quote(text), self.syntax)))?),
        };
        (self.field.set)(config, value);
        Ok(())
    }

    fn text(&self, config: &C) -> String {
        (self.field.get)(config).map_or_else(|| NONE.to_owned(), |value| value.to_string())
    }

    fn json(&self, config: &C) -> Value {
        serde_json::to_value((self.field.get)(config)).unwrap_or_default()
    }

    fn json_type(&self) -> &'static str {
        if self.json_type == "number" { "number or null" } else { "string or null" }
    }

    fn metavar(&self) -> String {
        format!("{}|{NONE}", self.syntax)
    }

    fn samples(&self) -> Vec<String> {
        self.samples.iter().map(|text| (*text).to_owned()).collect()
    }
}
