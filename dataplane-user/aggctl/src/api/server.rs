//! The controller's end of its control socket.

use std::{fs, io, os::unix::fs::PermissionsExt, path::Path};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{
        UnixListener, UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{broadcast, mpsc, oneshot},
};
use tracing::debug;

use super::{Answer, Request};

/// How the refusal of a request begins that this version does not know. Every version says so.
pub const UNKNOWN_REQUEST: &str = "the controller does not know this request";

/// A request, and where its answer goes.
#[derive(Debug)]
pub struct Asked {
    /// The request.
    pub request: Request,
    /// The answer.
    pub answer: oneshot::Sender<Answer>,
}

/// Listens, and passes requests on to the loop one at a time.
#[derive(Debug)]
pub struct Server {
    requests: mpsc::Receiver<Asked>,
    notices: broadcast::Sender<Answer>,
}

impl Server {
    /// Listens on `path`. The caller holds the aggregate's lock, so a socket that is there belongs to nobody.
    ///
    /// # Errors
    /// If the socket cannot be made.
    pub fn listen(path: &Path) -> io::Result<Self> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        let (asked, requests) = mpsc::channel(8);
        let notices = broadcast::Sender::new(256);
        let subscribe = notices.clone();
        tokio::spawn(async move {
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => {
                        tokio::spawn(serve(stream, asked.clone(), subscribe.clone()));
                    }
                    Err(error) => {
                        // Out of file descriptors, most likely: do not spin.
                        debug!(%error, "accept failed");
                        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                    }
                }
            }
        });
        Ok(Self { requests, notices })
    }

    /// The next request.
    pub async fn next(&mut self) -> Option<Asked> {
        self.requests.recv().await
    }

    /// Tells all monitors.
    pub fn notify(&self, notice: Answer) {
        // Nobody listening is the usual case.
        let _ = self.notices.send(notice);
    }
}

async fn serve(stream: UnixStream, asked: mpsc::Sender<Asked>, notices: broadcast::Sender<Answer>) {
    let (reader, mut writer) = stream.into_split();
    if let Err(error) = converse(reader, &mut writer, &asked, &notices).await {
        debug!(%error, "a client went away");
    }
}

async fn converse(
    reader: OwnedReadHalf,
    writer: &mut OwnedWriteHalf,
    asked: &mpsc::Sender<Asked>,
    notices: &broadcast::Sender<Answer>,
) -> io::Result<()> {
    let mut lines = BufReader::new(reader).lines();
    while let Some(line) = lines.next_line().await? {
        let request = match serde_json::from_str(&line) {
            Ok(request) => request,
            Err(error) => {
                send(writer, &Answer::Refused { reason: format!("{UNKNOWN_REQUEST}: {error}") }).await?;
                continue;
            }
        };
        if matches!(request, Request::Monitor) {
            let mut following = notices.subscribe();
            send(writer, &Answer::Done { warnings: Vec::new() }).await?;
            loop {
                tokio::select! {
                    notice = following.recv() => match notice {
                        Ok(notice) => send(writer, &notice).await?,
                        Err(broadcast::error::RecvError::Lagged(_)) => {}
                        Err(broadcast::error::RecvError::Closed) => return Ok(()),
                    },
                    line = lines.next_line() => if line?.is_none() { return Ok(()) },
                }
            }
        }
        let (answer, answered) = oneshot::channel();
        if asked.send(Asked { request, answer }).await.is_err() {
            return Ok(());
        }
        if let Ok(answer) = answered.await {
            send(writer, &answer).await?;
        }
    }
    Ok(())
}

async fn send(writer: &mut OwnedWriteHalf, answer: &Answer) -> io::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    writer.write_all(&line).await
}
