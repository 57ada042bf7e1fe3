//! How clap's error messages quote what was typed.

use clap::error::{ContextKind, ContextValue, Error};

use aggctl_engine::options::shorten;

/// What clap puts into a message as it was typed.
const TYPED: [ContextKind; 5] = [
    ContextKind::InvalidArg,
    ContextKind::InvalidValue,
    ContextKind::InvalidSubcommand,
    ContextKind::SuggestedArg,
    ContextKind::PriorArg,
];

/// The same error, with what was typed cut where it is too long to be read.
pub fn shortened(mut error: Error) -> Error {
    for kind in TYPED {
        let short = match error.get(kind) {
            Some(ContextValue::String(text)) if is_long(text) => ContextValue::String(shorten(text)),
            Some(ContextValue::Strings(texts)) if texts.iter().any(|text| is_long(text)) => {
                ContextValue::Strings(texts.iter().map(|text| shorten(text)).collect())
            }
            _ => continue,
        };
        error.insert(kind, short);
        // A tip would say it once more, whole.
        error.insert(ContextKind::Suggested, ContextValue::None);
    }
    error
}

fn is_long(text: &str) -> bool {
    shorten(text) != text
}
