//! The serial ports between agent and host.

/// Messages, see [`super::message`].
pub const CONTROL: &str = "control";
/// The command's standard output.
pub const STDOUT: &str = "stdout";
/// The command's standard error.
pub const STDERR: &str = "stderr";
