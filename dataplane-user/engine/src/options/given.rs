//! What was said about options, and what they are.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{
    GROUPS, HasOptions, Invalid, Live, LiveRequests, OptionRow, ShowPart, Shown, error::planned, find, same,
    text::quote,
};
use crate::config::{AggregateConfig, PortConfig};

/// An option by its own name, and a value that it takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// The name.
    pub key: String,
    /// The value, as it was typed.
    pub value: String,
}

/// What was said about an aggregate: each option at most once, each value one that it takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GivenOptions {
    /// Options.
    pub options: Vec<Assignment>,
    /// What shall be done when all of them are in place.
    pub orders: LiveRequests,
    ordered: Vec<Assignment>,
}

impl GivenOptions {
    /// Takes in an option of `attach`, or a group of them.
    ///
    /// # Errors
    ///
    /// A name that is unknown or was said already, a value that is wrong.
    pub fn option(&mut self, key: &str, value: &str) -> Result<(), Invalid> {
        named(key, value)?.into_iter().try_for_each(|(row, value)| self.take(key, row, value))
    }

    /// Takes in `KEY=VALUE` of `set`.
    ///
    /// # Errors
    ///
    /// As [`GivenOptions::option`], and an option that cannot be changed live.
    pub fn change(&mut self, text: &str) -> Result<(), Invalid> {
        let (key, value) = text.split_once('=').ok_or_else(|| Invalid::NoAssignment { typed: quote(text) })?;
        if let Some(row) = find::<LiveRequests>(key) {
            let taken = note(&mut self.ordered, &mut self.orders, row, value);
            return taken.map_err(|why| why.of(key, value));
        }
        for (row, value) in named(key, value)? {
            if row.live == Live::No && row.is_built() {
                return Err(Invalid::NotLive { key: row.name });
            }
            self.take(key, row, value)?;
        }
        Ok(())
    }

    /// Whether an option, by its own name, was said.
    #[must_use]
    pub fn says(&self, name: &str) -> bool {
        self.options.iter().any(|option| option.key == name)
    }

    /// Notes an option that was said by this name, or by that of a group.
    fn take(&mut self, key: &str, row: &'static OptionRow<AggregateConfig>, value: &str) -> Result<(), Invalid> {
        let key = if row.is_called(key) { key } else { row.name };
        note(&mut self.options, &mut AggregateConfig::default(), row, value).map_err(|why| why.of(key, value))
    }
}

/// What was said about a port: `IF[,KEY=VALUE]…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenPort {
    /// The interface.
    pub name: String,
    /// Its settings, each at most once.
    pub options: Vec<Assignment>,
}

impl GivenPort {
    /// A port of which nothing was said but its name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), options: Vec::new() }
    }

    /// Takes in a setting.
    ///
    /// # Errors
    ///
    /// A key that is unknown or was said already, a value that is wrong.
    pub fn option(&mut self, key: &str, value: &str) -> Result<(), Invalid> {
        let row = find::<PortConfig>(key).ok_or_else(|| unknown::<PortConfig>(key))?;
        note(&mut self.options, &mut Default::default(), row, value).map_err(|why| why.of(key, value))
    }

    /// Reads it.
    ///
    /// # Errors
    ///
    /// No name, a key that is unknown or was said already, a value that is wrong.
    pub fn read(text: &str) -> Result<Self, Invalid> {
        let (name, settings) = text.split_once(',').map_or((text, None), |(name, rest)| (name, Some(rest)));
        if name.is_empty() {
            return Err(Invalid::Missing { expected: "the name of an interface".to_owned() });
        }
        let mut words = Self::new(name);
        for part in settings.into_iter().flat_map(|settings| settings.split(',')) {
            words.setting(part)?;
        }
        Ok(words)
    }

    /// Takes in `KEY=VALUE`, `KEY` or `noKEY`.
    fn setting(&mut self, part: &str) -> Result<(), Invalid> {
        let (key, value) = part.split_once('=').map_or((part, None), |(key, value)| (key, Some(value)));
        let negated = key.strip_prefix("no").and_then(|rest| switch(rest)).filter(|_| value.is_none());
        let (row, value) = match (find::<PortConfig>(key), negated) {
            (Some(row), _) => (row, value.or_else(|| row.kind.bare().map(|[on, _]| on)).unwrap_or_default()),
            (None, Some((row, off))) => (row, off),
            (None, None) => {
                return Err(unknown::<PortConfig>(part));
            }
        };
        note(&mut self.options, &mut Default::default(), row, value).map_err(|why| why.of(key, value))
    }

    /// A port with these settings; the others have their defaults.
    ///
    /// # Errors
    ///
    /// None, after [`GivenPort::read`].
    pub fn config(&self) -> Result<PortConfig, Invalid> {
        let mut config = PortConfig::new(&self.name);
        apply(&mut config, &self.options)?;
        Ok(config)
    }
}

/// The row of a switch, and the value that `noNAME` stands for.
fn switch(name: &str) -> Option<(&'static OptionRow<PortConfig>, &'static str)> {
    let row = find::<PortConfig>(name)?;
    row.kind.bare().map(|[_, off]| (row, off))
}

/// The options that `key` stands for, with their values: one, or those of a group.
fn named<'a>(key: &str, value: &'a str) -> Result<Vec<(&'static OptionRow<AggregateConfig>, &'a str)>, Invalid> {
    if let Some(group) = GROUPS.iter().find(|group| same(group.name, key)) {
        return group.read(value).map_err(|why| why.of(key, value));
    }
    match find::<AggregateConfig>(key) {
        Some(row) => Ok(vec![(row, value)]),
        None => Err(unknown::<AggregateConfig>(key)),
    }
}

fn unknown<C: HasOptions>(typed: &str) -> Invalid {
    let known: Vec<_> = C::rows().filter(|row| row.is_built()).map(|row| row.name).collect();
    let planned = planned(C::rows().filter(|row| !row.is_built()).map(|row| row.name));
    Invalid::UnknownKey { typed: quote(typed), what: C::OPTION, known: known.join(", "), planned }
}

/// Notes an option and its value, which `scratch` must take.
fn note<C>(
    said: &mut Vec<Assignment>,
    scratch: &mut C,
    row: &'static OptionRow<C>,
    value: &str,
) -> Result<(), Invalid> {
    let earlier = said.iter_mut().find(|earlier| earlier.key == row.name);
    let value = match (&earlier, row.kind.between()) {
        (None, _) => value.to_owned(),
        (Some(earlier), Some(between)) => format!("{}{between}{value}", earlier.value),
        (Some(_), None) => return Err(Invalid::Twice { key: row.name }),
    };
    row.kind.set(scratch, &value)?;
    match earlier {
        Some(earlier) => earlier.value = value,
        None => said.push(Assignment { key: row.name.to_owned(), value }),
    }
    Ok(())
}

/// Takes over what was said.
///
/// # Errors
///
/// If it is not understood: it was said to another version of this program.
pub fn apply<C: HasOptions>(config: &mut C, said: &[Assignment]) -> Result<(), Invalid> {
    for Assignment { key, value } in said {
        let row = find::<C>(key).ok_or_else(|| unknown::<C>(key))?;
        row.kind.set(config, value).map_err(|why| why.of(key, value))?;
    }
    Ok(())
}

/// Whether each option has a value that could have been typed. What comes by another way (the control socket, a record)
/// is held to the same rules by this.
///
/// # Errors
///
/// The first option that has not.
pub fn check<C: HasOptions>(config: &C) -> Result<(), Invalid> {
    let mut scratch = config.clone();
    for row in C::rows().filter(|row| row.is_built()) {
        let text = row.kind.text(config);
        row.kind.set(&mut scratch, &text).map_err(|why| why.of(row.name, &text))?;
    }
    Ok(())
}

/// The options, for programs. Beside one whose value is made of settings stand those, in `…_settings`.
pub fn json<C: HasOptions>(config: &C) -> Map<String, Value> {
    let mut object = Map::new();
    for row in C::rows().filter(|row| !row.json.is_empty() && config.has(row)) {
        let (place, key) = match row.json.split_once('.') {
            None => (&mut object, row.json),
            Some((level, key)) => match object.entry(level).or_insert_with(|| Map::new().into()) {
                Value::Object(inner) => (inner, key),
                _ => continue,
            },
        };
        place.insert(key.to_owned(), row.kind.json(config));
        place.extend(row.kind.nested_json(config).map(|settings| (format!("{key}_settings"), settings)));
    }
    object
}

/// The options that a part of the text of `show` has, for people.
pub fn shown<C: HasOptions>(config: &C, part: ShowPart) -> Vec<String> {
    C::rows()
        .filter(|row| matches!(row.shown, Shown::In(place, when) if place == part && when(config)))
        .map(|row| format!("{} {}", row.name, row.kind.words(config)))
        .collect()
}
