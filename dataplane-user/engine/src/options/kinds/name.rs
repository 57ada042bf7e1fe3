//! Names of ports.

use std::fmt;

use serde_json::Value;

use super::{FieldAccess, Invalid, ValueKind};
use crate::{names, options::text::short_words};

/// The name of a port, or that there is none.
#[derive(Debug)]
pub struct Name<C: 'static> {
    /// Where it is kept.
    pub field: FieldAccess<C, Option<String>>,
    /// Whether there may be none.
    pub absent: Absent,
}

/// Whether a name may be none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// `none` is a value.
    None,
    /// There must be one.
    Never,
}

impl<C: fmt::Debug> ValueKind<C> for Name<C> {
    fn set(&self, config: &mut C, text: &str) -> Result<(), Invalid> {
        if text.is_empty() {
            return Err(Invalid::Missing { expected: format!("the name of a port{}", self.or_none()) });
        }
        if self.absent == Absent::None && text == "none" {
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
        match self.absent {
            Absent::None => "IF|none",
            Absent::Never => "IF",
        }
        .to_owned()
    }

    fn samples(&self) -> Vec<String> {
        vec!["eth0".to_owned()]
    }
}

impl<C> Name<C> {
    fn or_none(&self) -> &'static str {
        match self.absent {
            Absent::None => ", or none",
            Absent::Never => "",
        }
    }
}
