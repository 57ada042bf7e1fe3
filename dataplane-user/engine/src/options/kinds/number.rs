//! Numbers in a range.

use std::fmt;

use serde_json::Value;

use super::{super::text::quote, FieldAccess, Invalid, ValueKind};
use crate::options::Unit;

/// A number.
#[derive(Debug)]
pub struct Number<C: 'static, T: 'static> {
    /// Where it is kept.
    pub field: FieldAccess<C, T>,
    /// The smallest.
    pub min: T,
    /// The largest.
    pub max: T,
    /// What it counts.
    pub unit: Unit,
    /// Which numbers of the range; `None`: all.
    pub only: Option<Only<T>>,
}

/// A part of a range.
pub struct Only<T> {
    /// What these numbers are: `a power of two`.
    pub name: &'static str,
    /// Whether a number is one of them.
    pub holds: fn(T) -> bool,
}

impl<T> fmt::Debug for Only<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl<C: fmt::Debug, T> ValueKind<C> for Number<C, T>
where
    T: Copy + fmt::Debug + PartialOrd + Into<i64> + TryFrom<i64> + Sync,
{
    fn set(&self, config: &mut C, text: &str) -> Result<(), Invalid> {
        let range = self.range_here();
        let read = self.unit.read(text, &range)?.and_then(|number| T::try_from(number).ok());
        let fits = |number: &T| {
            (self.min..=self.max).contains(number) && self.only.as_ref().is_none_or(|only| (only.holds)(*number))
        };
        let number = read.filter(fits).ok_or_else(|| Invalid::OutOfRange { typed: quote(text), range })?;
        (self.field.set)(config, number);
        Ok(())
    }

    fn text(&self, config: &C) -> String {
        (self.field.get)(config).into().to_string()
    }

    fn words(&self, config: &C) -> String {
        self.text(config) + self.unit.suffix()
    }

    fn json(&self, config: &C) -> Value {
        (self.field.get)(config).into().into()
    }

    fn json_type(&self) -> &'static str {
        "number"
    }

    fn metavar(&self) -> String {
        self.unit.metavar().to_owned()
    }

    fn range(&self) -> String {
        self.range_here()
    }

    fn samples(&self) -> Vec<String> {
        [self.min, self.max].map(|number| number.into().to_string()).to_vec()
    }
}

impl<C, T: Copy + Into<i64>> Number<C, T> {
    fn range_here(&self) -> String {
        let only = self.only.as_ref().map_or_else(String::new, |only| format!("{} from ", only.name));
        format!("{only}{} to {}{}", self.min.into(), self.max.into(), self.unit.suffix())
    }
}
