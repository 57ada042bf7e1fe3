//! What a key of the file has behind it, as it would be typed on the command line.

use std::ops::Range;

use toml_edit::{Item, Value};

use crate::options::ValueKind;

/// A value as text, and where it stands.
pub struct Typed {
    /// The text.
    pub text: String,
    /// Its bytes in the file.
    pub span: Option<Range<usize>>,
}

/// Why something in the file is no value of an option.
#[derive(Debug, thiserror::Error)]
#[error("{found} is no value of an option: write a text, a number, true, false, or an array of them")]
pub struct NoValue {
    /// What stands there.
    found: &'static str,
    /// Its bytes in the file.
    pub span: Option<Range<usize>>,
}

/// The values of a key: one, or those of an array.
///
/// # Errors
///
/// If there is something else.
pub fn typed<C>(item: &Item, kind: Option<&dyn ValueKind<C>>) -> Result<Vec<Typed>, NoValue> {
    match item.as_value() {
        Some(Value::Array(array)) => array.iter().map(|value| scalar(value, kind)).collect(),
        Some(value) => Ok(vec![scalar(value, kind)?]),
        None => Err(NoValue { found: item.type_name(), span: item.span() }),
    }
}

/// One value. `true` and `false` are what the option's name alone, and with a `no` before it, mean.
fn scalar<C>(value: &Value, kind: Option<&dyn ValueKind<C>>) -> Result<Typed, NoValue> {
    let text = match value {
        Value::String(text) => text.value().clone(),
        Value::Integer(number) => number.value().to_string(),
        Value::Boolean(is_on) => {
            let [on, off] = kind.and_then(ValueKind::bare).unwrap_or(["on", "off"]);
            if *is_on.value() { on } else { off }.to_owned()
        }
        Value::Float(_) | Value::Datetime(_) | Value::Array(_) | Value::InlineTable(_) => {
            return Err(NoValue { found: value.type_name(), span: value.span() });
        }
    };
    Ok(Typed { text, span: value.span() })
}
