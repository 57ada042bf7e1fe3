//! A TCP session whose client writes numbers and whose server writes them back, and every byte is checked.

use std::{
    error::Error,
    io::{Read, Write},
    net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use crate::{netns::NetworkNamespace, wait};

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(10);
/// How long the session may stand still before it counts as dead.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// Octets that are read at a time, at most.
const ROOM: usize = 1 << 16;

/// The session; it ends when this is dropped.
#[derive(Debug)]
pub struct TcpTransfer {
    shared: Arc<Shared>,
    ends: [TcpStream; 2],
    threads: Vec<JoinHandle<()>>,
}

/// What the threads of a session tell each other, and whoever looks at it.
#[derive(Debug, Default)]
struct Shared {
    ended: AtomicBool,
    checked: AtomicU64,
    failure: Mutex<Option<String>>,
}

impl Shared {
    /// Notes why a thread ended, unless it was asked to.
    fn note(&self, result: Result<(), Broken>) {
        if let Err(Broken(why)) = result
            && !self.ended.load(Ordering::Acquire)
        {
            self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(why);
        }
    }
}

impl TcpTransfer {
    /// Opens a session from `client` to `address`, which `server` has: `chunk` bytes (a multiple of 8) every `pause`.
    ///
    /// # Errors
    ///
    /// When it cannot connect.
    pub fn start(
        server: &NetworkNamespace,
        client: &NetworkNamespace,
        address: IpAddr,
        chunk: usize,
        pause: Duration,
    ) -> Result<Self> {
        let (near, far) = connect(server, client, address)?;
        for end in [&near, &far] {
            end.set_nodelay(true)?;
            end.set_read_timeout(Some(PATIENCE))?;
            end.set_write_timeout(Some(PATIENCE))?;
        }
        let shared = Arc::new(Shared::default());
        let work = |part: Part, stream: &TcpStream| -> Result<JoinHandle<()>> {
            let (stream, shared) = (stream.try_clone()?, Arc::clone(&shared));
            Ok(thread::spawn(move || {
                shared.note(match part {
                    Part::Echo => echo(stream),
                    Part::Write => write(stream, chunk, pause, &shared.ended),
                    Part::Check => check(stream, &shared.checked),
                });
            }))
        };
        let threads = vec![work(Part::Echo, &far)?, work(Part::Write, &near)?, work(Part::Check, &near)?];
        Ok(Self { shared, ends: [near, far], threads })
    }

    /// Bytes that came back as they were sent.
    pub fn checked(&self) -> u64 {
        self.shared.checked.load(Ordering::Acquire)
    }

    /// What ended the session, if it ended.
    pub fn failure(&self) -> Option<String> {
        self.shared.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for TcpTransfer {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Release);
        for end in &self.ends {
            // It may have ended by itself.
            let _ = end.shutdown(Shutdown::Both);
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Connects two namespaces; returns the client's end and the server's.
///
/// # Errors
///
/// When it cannot connect in time.
pub fn connect(
    server: &NetworkNamespace,
    client: &NetworkNamespace,
    address: IpAddr,
) -> Result<(TcpStream, TcpStream)> {
    let listener =
        server.enter(|| TcpListener::bind((address, 0)).with_context(|| format!("no server at {address}")))?;
    let there = SocketAddr::new(address, listener.local_addr()?.port());
    let near = client.enter(|| {
        TcpStream::connect_timeout(&there, wait::patient(CONNECT)).with_context(|| format!("cannot connect to {there}"))
    })?;
    let (far, _) = listener.accept()?;
    Ok((near, far))
}

/// What a thread of a session does.
#[derive(Clone, Copy)]
enum Part {
    Echo,
    Write,
    Check,
}

/// Why a session broke.
struct Broken(String);

impl<E: Error> From<E> for Broken {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// An end that reads no more.
fn closed() -> Broken {
    Broken("the other end closed the connection".to_owned())
}

/// Writes back what comes.
fn echo(mut stream: TcpStream) -> Result<(), Broken> {
    let mut bytes = vec![0; ROOM];
    loop {
        match stream.read(&mut bytes)? {
            0 => return Err(closed()),
            length => stream.write_all(&bytes[..length])?,
        }
    }
}

/// Writes the numbers 0, 1, 2, … as eight bytes each.
fn write(mut stream: TcpStream, chunk: usize, pause: Duration, ended: &AtomicBool) -> Result<(), Broken> {
    let mut number = 0_u64;
    while !ended.load(Ordering::Acquire) {
        let start = Instant::now();
        let bytes: Vec<u8> = (0..chunk as u64 / 8).flat_map(|i| (number + i).to_be_bytes()).collect();
        stream.write_all(&bytes)?;
        number += chunk as u64 / 8;
        wait::until(start + pause);
    }
    Ok(())
}

/// Reads the numbers 0, 1, 2, … and nothing else.
fn check(mut stream: TcpStream, checked: &AtomicU64) -> Result<(), Broken> {
    let mut bytes = vec![0; ROOM];
    loop {
        let length = stream.read(&mut bytes)?;
        if length == 0 {
            return Err(closed());
        }
        let start = checked.load(Ordering::Acquire);
        let expected = (start..).map(|position| (position / 8).to_be_bytes()[(position % 8) as usize]);
        if bytes[..length].iter().zip(expected).any(|(got, expected)| *got != expected) {
            return Err(Broken("what came back is not what was sent".to_owned()));
        }
        checked.store(start + length as u64, Ordering::Release);
    }
}
