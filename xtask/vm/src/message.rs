//! What host and agent say to each other: one JSON value per line.

use std::io::{self, Write};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// From the agent to the host.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FromGuest {
    /// Everything is prepared and the command starts now.
    Ready,
    /// Something could not be prepared; the command was not started.
    Failed(String),
    /// The answer to [`ToGuest::Ping`].
    Alive,
    /// A request to the machine monitor.
    Ask {
        /// Returns with the answer.
        id: u64,
        /// A command of QMP.
        request: Value,
    },
    /// The command ended; all it wrote is on its way.
    Exit {
        /// Its exit status, as a shell would report it.
        status: u8,
        /// How many bytes it wrote to standard output.
        stdout: u64,
        /// How many bytes it wrote to standard error.
        stderr: u64,
    },
}

/// From the host to the agent.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ToGuest {
    /// Is anyone there?
    Ping,
    /// What the machine monitor answered.
    Answer {
        /// Of the request.
        id: u64,
        /// An object with `return` or `error`, as QMP answers.
        answer: Value,
    },
}

/// Writes a message.
///
/// # Errors
///
/// When the other side is gone.
pub fn send(to: &mut impl Write, message: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    to.write_all(&line)?;
    to.flush()
}

#[cfg(test)]
mod tests {
    use super::{FromGuest, ToGuest, send};

    #[test]
    fn a_message_is_one_line_and_can_be_read_back() {
        let message = FromGuest::Exit { status: 7, stdout: 1 << 40, stderr: 0 };
        let mut line = Vec::new();
        send(&mut line, &message).unwrap();
        assert_eq!(line, b"{\"exit\":{\"status\":7,\"stdout\":1099511627776,\"stderr\":0}}\n");
        assert_eq!(serde_json::from_slice::<FromGuest>(&line).unwrap(), message);
        assert_eq!(serde_json::from_str::<ToGuest>("\"ping\"").unwrap(), ToGuest::Ping);
    }
}
