//! Where a file is wrong.

use std::{fmt, ops::Range};

/// What is wrong with a file, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Mistake {
    /// The line, from 1.
    pub line: usize,
    /// The character of the line, from 1.
    pub column: usize,
    /// What is wrong there.
    pub why: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, column, why } = self;
        write!(f, "line {line}, column {column}: {why}")
    }
}

impl Mistake {
    /// Of what stands at these bytes of a text; at its beginning where that is not known.
    pub(super) fn at(text: &str, span: Option<Range<usize>>, why: impl fmt::Display) -> Self {
        let start = span.map_or(0, |span| span.start).min(text.len());
        // In the middle of a character: at that character.
        let start = (0..=start).rev().find(|start| text.is_char_boundary(*start)).unwrap_or_default();
        let before = &text[..start];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().map_or(0, |rest| rest.chars().count()) + 1;
        Self { line, column, why: why.to_string() }
    }
}
