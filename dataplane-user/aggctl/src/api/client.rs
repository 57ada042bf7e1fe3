//! The commands' end of a control socket.

use std::{
    io::{self, BufRead, BufReader, Write},
    os::unix::net::UnixStream,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with,
    sockopt::{Timeout, set_socket_timeout},
};

use super::{Answer, Request};
use crate::failure::Failure;

/// How long a controller may say nothing. Its guardian has replaced it by then, if it was stopped.
const PATIENCE: Duration = Duration::from_millis(1500);
/// Pause before a controller is looked for again that went away.
const PAUSE: Duration = Duration::from_millis(20);

/// Why there is no answer.
#[derive(Debug)]
pub enum Unanswered {
    /// Nobody listens.
    Nobody,
    /// Somebody listens, and says nothing.
    Silent,
    /// It went away while it was at it.
    Gone,
    /// Anything else.
    Failed(Failure),
}

/// A connection to a live controller.
#[derive(Debug)]
pub struct Client {
    stream: BufReader<UnixStream>,
}

impl Client {
    /// Asks, and waits for the answer as long as the controller shows that it is at it. One that went away before it
    /// had received the request may have a successor, which is asked then.
    ///
    /// # Errors
    /// If there is no answer.
    pub fn ask(socket: &Path, request: &Request) -> Result<(Self, Answer), Unanswered> {
        let until = Instant::now() + PATIENCE;
        let mut lost = false;
        loop {
            let unanswered = match Self::attempt(socket, request, until) {
                Ok(answered) => return Ok(answered),
                Err(Unanswered::Gone) if request.may_be_repeated() => Unanswered::Silent,
                Err(unanswered) => unanswered,
            };
            match unanswered {
                Unanswered::Nobody if !lost => return Err(Unanswered::Nobody),
                Unanswered::Nobody | Unanswered::Silent if Instant::now() < until => lost = true,
                other => return Err(other),
            }
            thread::sleep(PAUSE);
        }
    }

    fn attempt(socket: &Path, request: &Request, until: Instant) -> Result<(Self, Answer), Unanswered> {
        let mut client = Self::connect(socket, until)?;
        let mut line =
            serde_json::to_string(request).map_err(|error| Unanswered::Failed(io::Error::from(error).into()))?;
        line.push('\n');
        client.limit(until)?;
        client.stream.get_mut().write_all(line.as_bytes()).map_err(unanswered)?;
        let (mut until, mut received) = (until, false);
        loop {
            client.limit(until)?;
            match client.receive()? {
                Some(Answer::Received) => (until, received) = (Instant::now() + PATIENCE, true),
                Some(answer) => return Ok((client, answer)),
                None if received => return Err(Unanswered::Gone),
                None => return Err(Unanswered::Silent),
            }
        }
    }

    fn connect(socket: &Path, until: Instant) -> Result<Self, Unanswered> {
        let connected = || -> io::Result<UnixStream> {
            let fd = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
            // Nobody may accept any more, and others may wait already.
            set_socket_timeout(&fd, Timeout::Send, Some(left(until)))?;
            connect(&fd, &SocketAddrUnix::new(socket)?)?;
            Ok(UnixStream::from(fd))
        };
        connected().map(|stream| Self { stream: BufReader::new(stream) }).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Unanswered::Nobody,
            _ => unanswered(error),
        })
    }

    /// Nothing may take longer than until then.
    fn limit(&self, until: Instant) -> Result<(), Unanswered> {
        let stream = self.stream.get_ref();
        let limited = stream.set_read_timeout(Some(left(until)));
        limited.and_then(|()| stream.set_write_timeout(Some(left(until)))).map_err(unanswered)
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
    pub fn receive(&mut self) -> Result<Option<Answer>, Unanswered> {
        let mut line = String::new();
        match self.stream.read_line(&mut line) {
            Ok(0) => Ok(None),
            Ok(_) => serde_json::from_str(&line).map(Some).map_err(|error| {
                let reason = format!("the controller speaks another version of the protocol ({error}); restart it");
                Unanswered::Failed(Failure::Refused(reason))
            }),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(None),
            Err(error) => Err(unanswered(error)),
        }
    }
}

/// The time that is left, which is never nothing: for sockets that means for ever.
fn left(until: Instant) -> Duration {
    until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
}

fn unanswered(error: io::Error) -> Unanswered {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Unanswered::Silent,
        // It went away while we spoke.
        io::ErrorKind::BrokenPipe => Unanswered::Silent,
        _ => Unanswered::Failed(Failure::Refused(format!("cannot reach the controller: {error}"))),
    }
}
