//! Ways to write several options at once: `--watch link,up-delay=100,poll=5`, `--announce count=3,interval=100`.

use super::{Invalid, OptionRow, find, same, text::quote};
use crate::config::AggregateConfig;

/// Options that are written as one, each by a shorter name.
#[derive(Debug)]
pub struct OptionGroup {
    /// Its name: `--NAME` of `attach`, `NAME=` of `set`.
    pub name: &'static str,
    /// What it is, in a line.
    pub help: &'static str,
    /// What its text begins with; empty: with the first key.
    pub heads: &'static [Head],
    /// The option that a text with any other head is a value of, whole.
    pub rest: Option<&'static str>,
    /// Its keys, and the option that each is.
    pub keys: &'static [(&'static str, &'static str)],
    /// The option that a text without key is the value of.
    pub bare: Option<&'static str>,
}

/// A word that a group's text begins with.
#[derive(Debug)]
pub struct Head {
    /// The word, by all its names.
    pub names: &'static [&'static str],
    /// The option that `HEAD=VALUE` sets; `None`: it takes no value.
    pub value: Option<&'static str>,
}

/// An option of the aggregate, and a value that was said.
type Said<'a> = (&'static OptionRow<AggregateConfig>, &'a str);

/// What the first part of a group's text says.
enum TextHead<'a> {
    /// These options, and keys may follow.
    Own(Vec<Said<'a>>),
    /// That the whole is a value of this option.
    Other(&'static OptionRow<AggregateConfig>),
}

impl OptionGroup {
    /// `link,up-delay=MS,…`
    #[must_use]
    pub fn syntax(&self) -> String {
        let key = |(key, option): &(&str, &str)| {
            let metavar = find::<AggregateConfig>(option).map_or_else(String::new, |row| row.kind.metavar());
            format!("{key}={metavar}")
        };
        let keys: Vec<_> = self.keys.iter().map(key).collect();
        match self.heads.first().and_then(|head| head.names.first()) {
            Some(head) => format!("{head}[,{}]", keys.join("][,")),
            None => keys.join("[,") + &"]".repeat(keys.len().saturating_sub(1)),
        }
    }

    /// The options that its text stands for, with their values.
    ///
    /// # Errors
    ///
    /// An unknown head or key, or a value that is missing.
    pub fn read<'a>(&self, text: &'a str) -> Result<Vec<Said<'a>>, Invalid> {
        if text.is_empty() {
            return Err(Invalid::Missing { expected: self.syntax() });
        }
        let mut parts: Vec<_> = text.split(',').collect();
        let mut said = Vec::new();
        if !self.heads.is_empty() {
            match self.head(parts.remove(0))? {
                TextHead::Own(options) => said.extend(options),
                TextHead::Other(row) => return Ok(vec![(row, text)]),
            }
        } else if let (Some(bare), [only]) = (self.bare, parts.as_slice())
            && !only.contains('=')
        {
            said.extend(find(bare).map(|row| (row, *only)));
            return Ok(said);
        }
        for part in parts {
            let (key, value) = part.split_once('=').ok_or_else(|| self.unknown(part))?;
            said.push((self.option(key).ok_or_else(|| self.unknown(key))?, value));
        }
        Ok(said)
    }

    /// What the first part of its text says.
    fn head<'a>(&self, text: &'a str) -> Result<TextHead<'a>, Invalid> {
        let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
        let rest = self.rest.and_then(find::<AggregateConfig>);
        let Some(head) = self.heads.iter().find(|head| head.names.iter().any(|own| same(own, name))) else {
            return rest.map(TextHead::Other).ok_or_else(|| self.unknown(text));
        };
        let own = rest.and_then(|row| Some((row, *self.heads.first()?.names.first()?)));
        let value = match (value, head.value) {
            (None, _) => None,
            (Some(_), None) => return Err(Invalid::NoValue { typed: quote(name) }.of(self.name, text)),
            (Some(value), Some(option)) => find(option).map(|row| (row, value)),
        };
        Ok(TextHead::Own(own.into_iter().chain(value).collect()))
    }

    /// The option that a key is, by its short name, its own, or one of bonding's and teamd's.
    fn option(&self, key: &str) -> Option<&'static OptionRow<AggregateConfig>> {
        self.keys.iter().find_map(|(short, option)| {
            let row: &OptionRow<AggregateConfig> = find(option)?;
            (same(short, key) || row.is_called(key)).then_some(row)
        })
    }

    fn unknown(&self, typed: &str) -> Invalid {
        let known: Vec<_> = self.keys.iter().map(|(key, _)| *key).collect();
        Invalid::UnknownKey {
            typed: quote(typed),
            what: "setting of it",
            known: known.join("=…, ") + "=…",
            planned: String::new(),
        }
    }
}
