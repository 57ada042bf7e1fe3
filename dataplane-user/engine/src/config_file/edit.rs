//! Changing a file so that it describes what runs, and leaving alone what says so already: places, order, comments.

use std::ops::Range;

use toml_edit::{Document, Item, Key, TableLike};

use super::{
    ConfigFile, Mistake, PORTS,
    read::entries,
    write::{line, options, port, port_table, text, value},
};
use crate::{
    config::{AggregateConfig, PortConfig},
    options::{GROUPS, HasOptions, OptionGroup, differences, find, same},
};

/// The text of a file, changed so that it describes this aggregate.
///
/// # Errors
///
/// If the file is wrong as it is.
pub fn edit(former: &str, config: &AggregateConfig) -> Result<String, Mistake> {
    if former.trim().is_empty() {
        return Ok(text(config));
    }
    let wrong = |why: &dyn std::fmt::Display| Mistake::at(former, None, why);
    let was = ConfigFile::read(former)?.config(&config.name).map_err(|why| wrong(&why))?;
    let document = Document::parse(former).map_err(|error| wrong(&error.message()))?;
    let mut edits = Edits { text: former, all: Vec::new() };
    edits.table(document.as_table(), &was, config, 0);
    edits.ports(document.as_table(), &was, config);
    let edited = edits.done();
    let says_so = ConfigFile::read(&edited).ok().and_then(|file| file.config(&config.name).ok());
    // Two ways to write an option may be mixed in ways that this does not know. Right without comments is better than
    // wrong with them.
    let is_right = says_so.is_some_and(|says| differences(&says, config).is_empty());
    Ok(if is_right { edited } else { text(config) })
}

/// What is to be changed in a text: bytes, and what comes in their place.
struct Edits<'a> {
    text: &'a str,
    all: Vec<(Range<usize>, String)>,
}

impl Edits<'_> {
    fn replace(&mut self, span: Option<Range<usize>>, new: String) {
        self.all.extend(span.map(|span| (span, new)));
    }

    /// The end of the line in which this byte is, with its line break.
    fn line_end(&self, at: usize) -> usize {
        self.text[at..].find('\n').map_or(self.text.len(), |end| at + end + 1)
    }

    /// The beginning of the line in which this byte is.
    fn line_start(&self, at: usize) -> usize {
        self.text[..at].rfind('\n').map_or(0, |end| end + 1)
    }

    /// Takes a key and its value out, with all that stands on their lines.
    fn remove(&mut self, key: &Key, item: &Item) {
        if let (Some(key), Some(item)) = (key.span(), item.span()) {
            let lines = self.line_start(key.start)..self.line_end(item.end);
            self.replace(Some(lines), String::new());
        }
    }

    /// Puts lines after the line in which this byte is, or before everything if it is the first.
    fn insert(&mut self, at: usize, lines: &str) {
        let at = if at == 0 { 0 } else { self.line_end(at) };
        let ends = at == 0 || self.text[..at].ends_with('\n');
        self.replace(Some(at..at), format!("{}{lines}", if ends { "" } else { "\n" }));
    }

    /// The options in a table. `at` is a byte of the line after which those are added that it has not, where it has
    /// none at all.
    fn table<C: HasOptions>(&mut self, table: &dyn TableLike, was: &C, is: &C, at: usize) {
        let differ = |name: &str| find::<C>(name).is_some_and(|row| row.kind.text(was) != row.kind.text(is));
        let (mut written, mut dissolved, mut last) = (Vec::new(), Vec::new(), at);
        for (key, item) in entries(table).into_iter().filter(|(key, _)| !same(key.get(), PORTS)) {
            match (find::<C>(key.get()), group(key)) {
                (_, Some(group)) => {
                    if members(group).any(differ) {
                        self.remove(key, item);
                        dissolved.extend(members(group));
                        continue;
                    }
                }
                (Some(row), None) => {
                    written.push(row.name);
                    if differ(row.name) {
                        self.replace(item.span(), value(row.kind, &row.kind.text(is)));
                    }
                }
                (None, None) => {}
            }
            last = item.span().map_or(last, |span| span.end);
        }
        let default = C::default();
        let is_missing = |name| !written.contains(&name) && (differ(name) || dissolved.contains(&name));
        let rows = C::rows().filter(|row| row.is_built() && is_missing(row.name));
        let lines: String =
            rows.filter(|row| row.kind.text(is) != row.kind.text(&default)).map(|row| line(row, is)).collect();
        if !lines.is_empty() {
            self.insert(last, &lines);
        }
    }

    fn ports(&mut self, root: &dyn TableLike, was: &AggregateConfig, is: &AggregateConfig) {
        let found = entries(root).into_iter().find(|(key, _)| same(key.get(), PORTS)).map(|(_, item)| item);
        let named = |config: &AggregateConfig, name: &str| config.ports.iter().find(|port| port.name == *name).cloned();
        if let Some(array) = found.filter(|item| item.is_array()) {
            let as_before = was.ports.len() == is.ports.len()
                && was.ports.iter().all(|port| named(is, &port.name).as_ref() == Some(port));
            if !as_before {
                let ports: Vec<_> = is.ports.iter().map(port).collect();
                self.replace(array.span(), format!("[{}]", ports.join(", ")));
            }
            return;
        }
        let tables = found.and_then(Item::as_table_like).map(entries).unwrap_or_default();
        for (name, item) in &tables {
            match (named(was, name.get()), named(is, name.get())) {
                (Some(was), Some(is)) => self.port(name, item, &was, &is),
                _ if item.is_value() => self.remove(name, item),
                _ => self.remove_table(name),
            }
        }
        for port in is.ports.iter().filter(|port| !tables.iter().any(|(name, _)| name.get() == port.name)) {
            self.insert(self.text.len(), &port_table(port, !self.text.is_empty()));
        }
    }

    fn port(&mut self, name: &Key, item: &Item, was: &PortConfig, is: &PortConfig) {
        match item.as_table_like() {
            Some(table) if !item.is_value() => self.table(table, was, is, name.span().map_or(0, |span| span.end)),
            _ if was != is => {
                let settings = options(is, &PortConfig::new(&is.name));
                let settings: Vec<_> = settings.lines().collect();
                self.replace(item.span(), format!("{{ {} }}", settings.join(", ")));
            }
            _ => {}
        }
    }

    /// Takes `[ports.NAME]` out, with what is in it.
    fn remove_table(&mut self, name: &Key) {
        let Some(header) = name.span() else { return };
        let start = self.line_start(header.start);
        let next = self.text[start..].match_indices("\n[").next();
        let end = next.map_or(self.text.len(), |(at, _)| start + at + 1);
        self.replace(Some(start..end), String::new());
    }

    /// The text with all of it changed.
    fn done(mut self) -> String {
        let mut text = self.text.to_owned();
        // What is added at one place stays in its order.
        self.all.sort_by_key(|(span, _)| (span.start, span.end));
        for (span, new) in self.all.into_iter().rev() {
            text.replace_range(span, &new);
        }
        text
    }
}

/// The group that a key names.
fn group(key: &Key) -> Option<&'static OptionGroup> {
    GROUPS.iter().find(|group| same(group.name, key.get()))
}

/// The options that a group may say something about.
fn members(group: &'static OptionGroup) -> impl Iterator<Item = &'static str> {
    group.keys.iter().map(|(_, option)| *option).chain(group.rest)
}
