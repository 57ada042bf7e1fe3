//! Values with a syntax of their own.

use std::{fmt, str::FromStr};

use super::{FieldAccess, Invalid, ValueKind};
use crate::options::text::short_words;

/// A value that reads and writes itself.
#[derive(Debug)]
pub struct Parsed<C: 'static, T: 'static> {
    /// Where it is kept.
    pub field: FieldAccess<C, T>,
    /// Its syntax.
    pub syntax: &'static str,
    /// Values that are worth a try.
    pub samples: &'static [&'static str],
}

impl<C: fmt::Debug, T> ValueKind<C> for Parsed<C, T>
where
    T: FromStr<Err: fmt::Display> + fmt::Display + fmt::Debug,
{
    fn set(&self, config: &mut C, text: &str) -> Result<(), Invalid> {
        if text.is_empty() {
            return Err(Invalid::Missing { expected: self.syntax.to_owned() });
        }
        let invalid = |error: T::Err| Invalid::Syntax(short_words(&error.to_string()));
        (self.field.set)(config, text.parse().map_err(invalid)?);
        Ok(())
    }

    fn text(&self, config: &C) -> String {
        (self.field.get)(config).to_string()
    }

    fn metavar(&self) -> String {
        self.syntax.to_owned()
    }

    fn samples(&self) -> Vec<String> {
        self.samples.iter().map(|text| (*text).to_owned()).collect()
    }
}
