//! The commands' end of a control socket.

use std::{
    io::{self, BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    path::Path,
    time::Duration,
};

use super::{Answer, Request};
use crate::failure::Failure;

/// How long a controller may take to answer. Adding a port waits for drivers.
const PATIENCE: Duration = Duration::from_secs(15);

/// A connection to a live controller.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<UnixStream>,
}

impl Client {
    /// Connects, if a controller listens.
    ///
    /// # Errors
    /// Anything but "nobody listens".
    pub fn connect(socket: &Path) -> Result<Option<Self>, Failure> {
        match UnixStream::connect(socket) {
            Ok(stream) => {
                stream.set_read_timeout(Some(PATIENCE))?;
                stream.set_write_timeout(Some(PATIENCE))?;
                Ok(Some(Self { stream: BufReader::new(stream) }))
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
                Ok(None)
            }
            Err(error) => Err(Failure::Refused(format!("cannot reach the controller: {error}"))),
        }
    }

    /// Asks, and waits for the answer. A refusal is a failure; warnings go to standard error.
    ///
    /// # Errors
    /// If the controller refuses, or does not answer.
    pub fn ask(&mut self, request: &Request) -> Result<Answer, Failure> {
        self.send(request)?;
        let answer = self.receive()?.ok_or_else(|| Failure::Refused("the controller went away".to_owned()))?;
        match answer {
            Answer::Refused { reason } => Err(Failure::Refused(reason)),
            Answer::Done { warnings } => {
                for warning in &warnings {
                    eprintln!("aggctl: warning: {warning}");
                }
                Ok(Answer::Done { warnings })
            }
            other => Ok(other),
        }
    }

    /// Sends a request.
    ///
    /// # Errors
    /// If the controller went away.
    pub fn send(&mut self, request: &Request) -> Result<(), Failure> {
        let mut line = serde_json::to_string(request).map_err(io::Error::from)?;
        line.push('\n');
        self.stream.get_mut().write_all(line.as_bytes()).map_err(unanswered)
    }

    /// Lets [`Client::receive`] wait for ever.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn wait_for_ever(&mut self) -> Result<(), Failure> {
        Ok(self.stream.get_ref().set_read_timeout(None)?)
    }

    /// The next answer; `None` when the controller closed the connection.
    ///
    /// # Errors
    /// If it does not answer in time, or in another language.
    pub fn receive(&mut self) -> Result<Option<Answer>, Failure> {
        let mut line = String::new();
        match self.stream.read_line(&mut line).map_err(unanswered)? {
            0 => Ok(None),
            _ => serde_json::from_str(&line).map(Some).map_err(|error| {
                Failure::Refused(format!("the controller speaks another version of the protocol ({error}); restart it"))
            }),
        }
    }
}

fn unanswered(error: io::Error) -> Failure {
    Failure::Refused(format!("the controller does not answer: {error}"))
}
