//! Names, and what was typed.

/// The most characters of something typed that are said back.
const LIMIT: usize = 60;

/// Whether two names mean the same: bonding and teamd write `_` where we write `-`.
#[must_use]
pub fn same(one: &str, other: &str) -> bool {
    let dash = |byte: u8| if byte == b'_' { b'-' } else { byte };
    one.len() == other.len() && one.bytes().map(dash).eq(other.bytes().map(dash))
}

/// What was typed, cut where it is too long to be read.
#[must_use]
pub fn shorten(text: &str) -> String {
    shorten_to(text, LIMIT)
}

/// A text, cut behind so many characters.
#[must_use]
pub fn shorten_to(text: &str, limit: usize) -> String {
    match text.char_indices().nth(limit) {
        Some((end, _)) => format!("{}… ({} characters)", &text[..end], text.chars().count()),
        None => text.to_owned(),
    }
}

/// A message that says back what was typed, with its words cut.
pub(super) fn short_words(message: &str) -> String {
    message.split(' ').map(shorten).collect::<Vec<_>>().join(" ")
}

/// What was typed, between quotation marks.
pub(super) fn quote(text: &str) -> String {
    format!("'{}'", shorten(text))
}
