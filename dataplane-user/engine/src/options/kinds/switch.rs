//! On or off, where the name alone means on.

use std::fmt;

use serde_json::Value;

use super::{FieldAccess, Invalid, ValueKind};
use crate::options::{same, text::quote};

/// The words for on and off.
const WORDS: [(&[&str], bool); 2] = [(&["on", "yes", "true", "1"], true), (&["off", "no", "false", "0"], false)];

/// A switch.
#[derive(Debug)]
pub struct Switch<C: 'static> {
    /// Where it is kept.
    pub field: FieldAccess<C, bool>,
}

impl<C: fmt::Debug> ValueKind<C> for Switch<C> {
    fn set(&self, config: &mut C, text: &str) -> Result<(), Invalid> {
        let known = String::from("on, off");
        if text.is_empty() {
            return Err(Invalid::Missing { expected: known });
        }
        let found = WORDS.iter().find(|(names, _)| names.iter().any(|own| same(own, text)));
        let unknown = || Invalid::UnknownWord { typed: quote(text), known, planned: String::new() };
        (self.field.set)(config, found.ok_or_else(unknown)?.1);
        Ok(())
    }

    fn text(&self, config: &C) -> String {
        let [on, off] = ["on", "off"];
        if (self.field.get)(config) { on } else { off }.to_owned()
    }

    fn json(&self, config: &C) -> Value {
        (self.field.get)(config).into()
    }

    fn json_type(&self) -> &'static str {
        "boolean"
    }

    fn metavar(&self) -> String {
        "on|off".to_owned()
    }

    fn samples(&self) -> Vec<String> {
        WORDS.iter().flat_map(|(names, _)| *names).map(|name| (*name).to_owned()).collect()
    }

    fn bare(&self) -> Option<[&'static str; 2]> {
        Some(["on", "off"])
    }
}
