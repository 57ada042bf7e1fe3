//! Flap damping: off, or a rule made of settings.

use std::fmt;

use serde_json::Value;

use super::{FieldAccess, Invalid, ValueKind};
use crate::{
    hold_down::HoldDown,
    options::{given::json, hold_down_text},
};

/// Flap damping.
#[derive(Debug)]
pub struct FlapDamping<C: 'static> {
    /// Where it is kept.
    pub field: FieldAccess<C, HoldDown>,
}

impl<C: fmt::Debug> ValueKind<C> for FlapDamping<C> {
    fn set(&self, config: &mut C, text: &str) -> Result<(), Invalid> {
        if text.is_empty() {
            return Err(Invalid::Missing { expected: hold_down_text::syntax() });
        }
        (self.field.set)(config, text.parse()?);
        Ok(())
    }

    fn text(&self, config: &C) -> String {
        (self.field.get)(config).to_string()
    }

    fn nested_json(&self, config: &C) -> Option<Value> {
        Some(match (self.field.get)(config) {
            HoldDown::Off => Value::Null,
            HoldDown::By(rule) => json(&rule).into(),
        })
    }

    fn nested_json_type(&self) -> Option<&'static str> {
        Some("object or null")
    }

    fn metavar(&self) -> String {
        hold_down_text::syntax()
    }

    fn samples(&self) -> Vec<String> {
        ["off", "changes=2,window=1,for=1", "changes=255,window=3600,for=86400"].map(str::to_owned).to_vec()
    }
}
