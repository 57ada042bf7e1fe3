//! Options that have a name and a meaning, but no code.

use serde_json::Value;

use super::{Invalid, ValueKind};
use crate::options::text::quote;

/// Every value is refused, saying so.
#[derive(Debug)]
pub struct Planned;

impl<C> ValueKind<C> for Planned {
    fn set(&self, _config: &mut C, text: &str) -> Result<(), Invalid> {
        Err(Invalid::NotBuilt { typed: quote(text), known: String::new() })
    }

    fn text(&self, _config: &C) -> String {
        String::new()
    }

    fn json(&self, _config: &C) -> Value {
        Value::Null
    }

    fn json_type(&self) -> &'static str {
        "null"
    }

    fn metavar(&self) -> String {
        "…".to_owned()
    }

    fn samples(&self) -> Vec<String> {
        Vec::new()
    }

    fn is_built(&self) -> bool {
        false
    }
}
