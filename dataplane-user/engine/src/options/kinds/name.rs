//! Names of ports.

use std::fmt;

use serde_json::Value;

use super::{FieldAccess, Invalid, ValueKind};
use crate::{names, options::text::short_words};

/// The name of a port, or `none`.
#[derive(Debug)]
pub struct Name<C: 'static> {
    /// Where it is kept.
    pub field: FieldAccess<C, Option<String>>,
}

impl<C: fmt::Debug> ValueKind<C> for Name<C> {
    fn set(&self, config: &mut C, text: &str) -> Result<(), Invalid> {
        if text.is_empty() {
            return Err(Invalid::Missing { expected: "the name of a port, or none".to_owned() });
        }
        if text == "none" {
            (self.field.set)(config, None);
            return Ok(());
        }
        names::check_possible(text).map_err(|invalid| Invalid::Syntax(short_words(&invalid.to_string())))?;
        (self.field.set)(config, Some(text.to_owned()));
        Ok(())
    }

    fn text(&self, config: &C) -> String {
        (self.field.get)(config).unwrap_or_else(|| "none".to_owned())
    }

    fn json(&self, config: &C) -> Value {
        (self.field.get)(config).into()
    }

    fn json_type(&self) -> &'static str {
        "string or null"
    }

    fn metavar(&self) -> String {
        "IF|none".to_owned()
    }

    fn samples(&self) -> Vec<String> {
        vec!["eth0".to_owned()]
    }
}
