//! Writing the file.

use super::PORTS;
use crate::{
    config::{AggregateConfig, PortConfig},
    options::{HasOptions, OptionRow, ValueKind, assignments, find},
};

/// The text of a file that describes this aggregate: what has not its default, and the ports.
#[must_use]
pub fn text(config: &AggregateConfig) -> String {
    let mut text = options(config, &AggregateConfig::new(&config.name, Vec::new()));
    for port in &config.ports {
        text += &port_table(port, !text.is_empty());
    }
    text
}

/// `[ports.NAME]` and its settings, after a blank line if something is before it.
pub(super) fn port_table(port: &PortConfig, follows: bool) -> String {
    let blank = if follows { "\n" } else { "" };
    format!("{blank}[{PORTS}.{}]\n{}", key(&port.name), options(port, &PortConfig::new(&port.name)))
}

/// A port as on the command line, in quotation marks.
pub(super) fn port(port: &PortConfig) -> String {
    let said = assignments(port, &PortConfig::new(&port.name)).into_iter();
    let words = std::iter::once(port.name.clone()).chain(said.map(|said| format!("{}={}", said.key, said.value)));
    quoted(&words.collect::<Vec<_>>().join(","))
}

/// A line for each option that has not its default.
pub(super) fn options<C: HasOptions>(config: &C, default: &C) -> String {
    let rows = assignments(config, default).into_iter().filter_map(|said| find::<C>(&said.key));
    rows.map(|row| line(row, config)).collect()
}

/// The line of an option.
pub(super) fn line<C>(row: &OptionRow<C>, config: &C) -> String {
    format!("{} = {}\n", key(row.name), value(row.kind, &row.kind.text(config)))
}

/// A key, in quotation marks where it needs them.
pub(super) fn key(name: &str) -> String {
    let is_bare = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if is_bare { name.to_owned() } else { quoted(name) }
}

/// A value: a switch is true or false, a number a number, all else a text.
pub(super) fn value<C>(kind: &dyn ValueKind<C>, text: &str) -> String {
    match kind.bare() {
        Some([on, _]) if text == on => "true".to_owned(),
        Some([_, off]) if text == off => "false".to_owned(),
        _ if text.parse::<i64>().is_ok_and(|number| number.to_string() == text) => text.to_owned(),
        _ => quoted(text),
    }
}

/// A basic string of TOML: what must be escaped in JSON is escaped in the same way there.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007F")
}
