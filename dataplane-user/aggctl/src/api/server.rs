//! The controller's end of its control socket, on a thread of its own: a loop that is stuck could not say that it is.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
    sync::Arc,
    thread,
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{
        UnixListener,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    runtime::Builder,
    sync::{Semaphore, broadcast, mpsc, oneshot},
    time::{sleep, timeout},
};
use tracing::{debug, warn};

use super::{Alive, Answer, Request};
use crate::failure::Failure;

/// Connections at a time.
const CONNECTIONS: usize = 64;
/// Octets of a request. The longest that a command makes, with settings of all ports, is a tenth of that.
const LONGEST: usize = 64 * 1024;
/// How long a client may keep its connection without a request, or without taking an answer.
const IDLE: Duration = Duration::from_secs(10);
/// How often a client is told that its request is not forgotten.
const REMINDER: Duration = Duration::from_millis(300);
/// Pause between two looks whether the loop turns again.
const PAUSE: Duration = Duration::from_millis(20);

/// How the refusal of a request begins that this version does not know. Every version says so.
pub const UNKNOWN_REQUEST: &str = "the controller does not know this request";

/// A request, and where its answer goes.
#[derive(Debug)]
pub struct PendingRequest {
    /// The request.
    pub request: Request,
    /// The answer.
    pub answer: oneshot::Sender<Answer>,
}

/// Answers. A client that did not wait has had its wish all the same.
pub fn reply(to: oneshot::Sender<Answer>, answer: Result<Answer, Failure>) {
    let _ = to.send(answer.unwrap_or_else(|failure| Answer::Refused { reason: failure.to_string() }));
}

/// Listens, and passes requests on to the loop one at a time.
#[derive(Debug)]
pub struct Server {
    requests: mpsc::Receiver<PendingRequest>,
    notices: broadcast::Sender<Answer>,
    /// Where to listen from now on.
    elsewhere: mpsc::Sender<std::os::unix::net::UnixListener>,
    /// The socket's device and inode.
    socket: (u64, u64),
}

/// What every conversation needs.
#[derive(Clone)]
struct ConversationContext {
    asked: mpsc::Sender<PendingRequest>,
    notices: broadcast::Sender<Answer>,
    alive: Alive,
}

/// What was read.
enum ReadLine {
    Whole(Vec<u8>),
    TooLong,
    End,
}

impl Server {
    /// Listens on `path`, for a loop that says by `alive` whether it turns. The caller holds the aggregate's lock, so a
    /// socket that is there belongs to nobody.
    ///
    /// # Errors
    /// If the socket or the thread cannot be made.
    pub fn listen(path: &Path, alive: Alive) -> io::Result<Self> {
        let (listener, socket) = bind(path)?;
        let (asked, requests) = mpsc::channel(8);
        let (elsewhere, next) = mpsc::channel(1);
        let notices = broadcast::Sender::new(256);
        let host = ConversationContext { asked, notices: notices.clone(), alive };
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let serve = move || {
            runtime.block_on(async {
                match UnixListener::from_std(listener) {
                    Ok(listener) => accept(listener, next, host).await,
                    Err(error) => warn!(%error, "cannot listen to commands"),
                }
            });
        };
        thread::Builder::new().name("control".to_owned()).spawn(serve)?;
        Ok(Self { requests, notices, elsewhere, socket })
    }

    /// Whether this is the socket that it listens on: nobody removed it, or put another in its place.
    pub fn is_at(&self, path: &Path) -> bool {
        fs::metadata(path).is_ok_and(|socket| (socket.dev(), socket.ino()) == self.socket)
    }

    /// Listens on a new socket, and no more on the former one. Connections stay.
    ///
    /// # Errors
    /// If the socket cannot be made.
    pub fn listen_again(&mut self, path: &Path) -> io::Result<()> {
        let (listener, socket) = bind(path)?;
        self.elsewhere.try_send(listener).map_err(io::Error::other)?;
        self.socket = socket;
        Ok(())
    }

    /// The next request.
    pub async fn next(&mut self) -> Option<PendingRequest> {
        self.requests.recv().await
    }

    /// Tells all monitors.
    pub fn notify(&self, notice: Answer) {
        // Nobody listening is the usual case.
        let _ = self.notices.send(notice);
    }
}

/// Makes a socket for this user alone. Returns its device and inode, too.
fn bind(path: &Path) -> io::Result<(std::os::unix::net::UnixListener, (u64, u64))> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = std::os::unix::net::UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    listener.set_nonblocking(true)?;
    let socket = fs::metadata(path)?;
    Ok((listener, (socket.dev(), socket.ino())))
}

async fn accept(
    mut listener: UnixListener,
    mut next: mpsc::Receiver<std::os::unix::net::UnixListener>,
    host: ConversationContext,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(next) = next.recv() => {
                match UnixListener::from_std(next) {
                    Ok(next) => listener = next,
                    Err(error) => warn!(%error, "cannot listen to commands"),
                }
                continue;
            }
        };
        match accepted {
            Ok((stream, _)) => {
                let place = places.clone().try_acquire_owned();
                let host = host.clone();
                tokio::spawn(async move {
                    let (reader, writer) = stream.into_split();
                    let served = match place {
                        Ok(_place) => host.converse(reader, writer).await,
                        Err(_) => refuse_all(writer).await,
                    };
                    if let Err(error) = served {
                        debug!(%error, "a client went away");
                    }
                });
            }
            Err(error) => {
                // Out of file descriptors, most likely: do not spin.
                debug!(%error, "accept failed");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn refuse_all(mut writer: OwnedWriteHalf) -> io::Result<()> {
    let reason = format!("the controller has {CONNECTIONS} connections already: end some (`aggctl monitor`?) first");
    send(&mut writer, &Answer::Refused { reason }).await
}

impl ConversationContext {
    async fn converse(self, reader: OwnedReadHalf, mut writer: OwnedWriteHalf) -> io::Result<()> {
        let mut reader = BufReader::new(reader);
        loop {
            let line = match timeout(IDLE, read_line(&mut reader)).await.map_err(|_| io::ErrorKind::TimedOut)?? {
                ReadLine::Whole(line) => line,
                ReadLine::TooLong => {
                    let reason = format!("a request has at most {LONGEST} octets");
                    return send(&mut writer, &Answer::Refused { reason }).await;
                }
                ReadLine::End => return Ok(()),
            };
            match serde_json::from_slice(&line) {
                Ok(Request::Monitor) => return self.follow(reader, writer).await,
                Ok(request) => self.carry_out(request, &mut writer).await?,
                Err(error) => {
                    let reason = format!("{UNKNOWN_REQUEST}: {error}");
                    send(&mut writer, &Answer::Refused { reason }).await?;
                }
            }
        }
    }

    /// Passes a request on. If the loop does not turn it waits; whoever has gone away until then has not asked.
    async fn carry_out(&self, request: Request, writer: &mut OwnedWriteHalf) -> io::Result<()> {
        while !self.alive.is_turning() {
            sleep(PAUSE).await;
        }
        send(writer, &Answer::Received).await?;
        let (answer, mut answered) = oneshot::channel();
        if self.asked.send(PendingRequest { request, answer }).await.is_err() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        loop {
            match timeout(REMINDER, &mut answered).await {
                Ok(Ok(answer)) => return send(writer, &answer).await,
                // The loop has ended.
                Ok(Err(_)) => return Err(io::ErrorKind::BrokenPipe.into()),
                Err(_) if self.alive.is_turning() => send(writer, &Answer::Received).await?,
                Err(_) => {}
            }
        }
    }

    /// Tells a monitor everything, until it goes away.
    async fn follow(&self, mut reader: BufReader<OwnedReadHalf>, mut writer: OwnedWriteHalf) -> io::Result<()> {
        let mut following = self.notices.subscribe();
        send(&mut writer, &Answer::Done { warnings: Vec::new() }).await?;
        let mut ignored = [0; 512];
        loop {
            tokio::select! {
                notice = following.recv() => match notice {
                    Ok(notice) => send(&mut writer, &notice).await?,
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return Ok(()),
                },
                read = reader.read(&mut ignored) => if read? == 0 { return Ok(()) },
            }
        }
    }
}

/// One line, of which no more is kept than a request may have.
async fn read_line(reader: &mut BufReader<OwnedReadHalf>) -> io::Result<ReadLine> {
    let mut line = Vec::new();
    let limit = u64::try_from(LONGEST).unwrap_or(u64::MAX);
    let read = reader.take(limit + 1).read_until(b'\n', &mut line).await?;
    Ok(match read {
        0 => ReadLine::End,
        _ if line.len() > LONGEST => ReadLine::TooLong,
        _ => ReadLine::Whole(line),
    })
}

async fn send(writer: &mut OwnedWriteHalf, answer: &Answer) -> io::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    timeout(IDLE, writer.write_all(&line)).await.map_err(|_| io::ErrorKind::TimedOut)?
}
