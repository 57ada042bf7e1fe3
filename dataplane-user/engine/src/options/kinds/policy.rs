//! Hash policies.

use std::fmt;

use super::{FieldAccess, Invalid, ValueKind};
use crate::{
    config::{HashPolicy, NAMED},
    options::{
        same,
        text::{quote, short_words},
    },
};

/// A policy by its name, or a list of fields.
#[derive(Debug)]
pub struct Policies<C: 'static> {
    /// Where it is kept.
    pub field: FieldAccess<C, HashPolicy>,
    /// Policies that cannot be chosen yet, by all their names.
    pub planned: &'static [&'static [&'static str]],
}

impl<C: fmt::Debug> ValueKind<C> for Policies<C> {
    fn set(&self, config: &mut C, text: &str) -> Result<(), Invalid> {
        if text.is_empty() {
            return Err(Invalid::Missing { expected: self.metavar() });
        }
        if self.planned.iter().any(|names| names.iter().any(|name| same(name, text))) {
            let known = format!("; there is {}", self.metavar());
            return Err(Invalid::NotBuilt { typed: quote(text), known });
        }
        let policy = text.parse().map_err(|error| Invalid::Syntax(short_words(&format!("{error}"))))?;
        (self.field.set)(config, policy);
        Ok(())
    }

    fn text(&self, config: &C) -> String {
        (self.field.get)(config).to_string()
    }

    fn metavar(&self) -> String {
        let names = NAMED.map(|(policy, _)| policy.name()).join("|");
        format!("{names}|FIELD,…")
    }

    fn samples(&self) -> Vec<String> {
        let names = NAMED.iter().flat_map(|(_, names)| *names).copied();
        names.chain(["vlan", "src-ip/24,dst-ip/24,symmetric", "l3,l4,mark"]).map(str::to_owned).collect()
    }

    fn synonyms(&self) -> Vec<(&'static [&'static str], bool)> {
        let built = NAMED.iter().map(|(_, names)| (*names, true));
        built.chain(self.planned.iter().map(|names| (*names, false))).collect()
    }
}
