//! One of several words.

use std::fmt;

use super::{super::error, FieldAccess, Invalid, ValueKind};
use crate::options::{same, text::quote};

/// A choice.
#[derive(Debug)]
pub struct Choice<C: 'static, T: 'static> {
    /// Where it is kept.
    pub field: FieldAccess<C, T>,
    /// What can be chosen.
    pub words: &'static [NamedValue<T>],
    /// What cannot be chosen yet, by all its names.
    pub planned: &'static [&'static [&'static str]],
}

/// A value, and its names: its own, then those of bonding and teamd.
#[derive(Debug)]
pub struct NamedValue<T>(pub T, pub &'static [&'static str]);

impl<T> NamedValue<T> {
    fn name(&self) -> &'static str {
        self.1.first().copied().unwrap_or_default()
    }
}

impl<C: fmt::Debug, T: Clone + PartialEq + fmt::Debug + Sync> ValueKind<C> for Choice<C, T> {
    fn set(&self, config: &mut C, text: &str) -> Result<(), Invalid> {
        let is_called = |names: &[&str]| names.iter().any(|own| same(own, text));
        let known = || self.words.iter().map(NamedValue::name).collect::<Vec<_>>().join(", ");
        if text.is_empty() {
            return Err(Invalid::Missing { expected: known() });
        }
        if let Some(word) = self.words.iter().find(|word| is_called(word.1)) {
            (self.field.set)(config, word.0.clone());
            return Ok(());
        }
        if self.planned.iter().any(|names| is_called(names)) {
            return Err(Invalid::NotBuilt { typed: quote(text), known: format!("; there is {}", known()) });
        }
        let planned = error::planned(self.planned.iter().filter_map(|names| names.first().copied()));
        Err(Invalid::UnknownWord { typed: quote(text), known: known(), planned })
    }

    fn text(&self, config: &C) -> String {
        let value = (self.field.get)(config);
        self.words.iter().find(|word| word.0 == value).map_or_else(String::new, |word| word.name().to_owned())
    }

    fn metavar(&self) -> String {
        self.words.iter().map(NamedValue::name).collect::<Vec<_>>().join("|")
    }

    fn samples(&self) -> Vec<String> {
        self.words.iter().flat_map(|word| word.1).map(|name| (*name).to_owned()).collect()
    }

    fn synonyms(&self) -> Vec<(&'static [&'static str], bool)> {
        let built = self.words.iter().map(|word| (word.1, true));
        built.chain(self.planned.iter().map(|names| (*names, false))).collect()
    }
}
