//! What commands print.

use std::{
    fmt::Display,
    io::{self, Write as _},
};

use crate::failure::Failure;

/// Prints lines. That their reader went away is a failure of its own kind, of which nobody needs to be told.
///
/// # Errors
/// If they cannot be printed.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout();
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::OutputClosed,
        _ => Failure::Refused(format!("cannot print: {error}")),
    })
}

/// Says on standard error what goes on, where standard output is for something else.
pub fn tell(line: &dyn Display) {
    let _ = writeln!(io::stderr(), "aggctl: {line}");
}

/// Says what the owner should know, on standard error. That it cannot be written is no failure of the command.
pub fn warn(warning: &dyn Display) {
    let _ = writeln!(io::stderr(), "aggctl: warning: {warning}");
}
