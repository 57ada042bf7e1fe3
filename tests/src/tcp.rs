//! A TCP session that must live: the client writes numbers, the host writes them back, and every byte is checked.

use std::{
    io::{Read, Write},
    net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use crate::{Namespace, wait, wait_for};

/// How long the session may stand still before it counts as dead.
const PATIENCE: Duration = Duration::from_secs(30);

/// The session.
#[derive(Debug)]
pub struct TcpSession {
    checked: Arc<AtomicU64>,
    broken: Arc<AtomicBool>,
    ended: Arc<AtomicBool>,
    client: TcpStream,
    server: TcpStream,
    threads: Vec<JoinHandle<()>>,
}

impl TcpSession {
    /// Opens a session from `client` to `address` of `host`: `chunk` bytes (a multiple of 8) every `pause`.
    pub fn start(host: &Namespace, client: &Namespace, address: &str, chunk: usize, pause: Duration) -> Self {
        let address = SocketAddr::new(address.parse::<IpAddr>().unwrap(), 4000);
        let listener = host.enter(|| TcpListener::bind(address)).unwrap();
        let client = client.enter(|| TcpStream::connect_timeout(&address, Duration::from_secs(10))).unwrap();
        let (server, _) = listener.accept().unwrap();
        for end in [&client, &server] {
            end.set_nodelay(true).unwrap();
            end.set_read_timeout(Some(PATIENCE)).unwrap();
            end.set_write_timeout(Some(PATIENCE)).unwrap();
        }
        let checked = Arc::new(AtomicU64::new(0));
        let broken = Arc::new(AtomicBool::new(false));
        let ended = Arc::new(AtomicBool::new(false));
        let work = |part: Part, stream: &TcpStream| {
            let (stream, checked) = (stream.try_clone().unwrap(), Arc::clone(&checked));
            let (broken, ended) = (Arc::clone(&broken), Arc::clone(&ended));
            std::thread::spawn(move || {
                let result = match part {
                    Part::Echo => echo(stream),
                    Part::Write => write(stream, chunk, pause, &ended),
                    Part::Check => check(stream, &checked),
                };
                if result.is_err() && !ended.load(Ordering::Acquire) {
                    broken.store(true, Ordering::Release);
                }
            })
        };
        let threads = vec![work(Part::Echo, &server), work(Part::Write, &client), work(Part::Check, &client)];
        let session = Self { checked, broken, ended, client, server, threads };
        session.expect_alive();
        session
    }

    /// Bytes that came back as they were sent.
    pub fn checked(&self) -> u64 {
        self.checked.load(Ordering::Acquire)
    }

    /// Checks that more bytes come back.
    ///
    /// # Panics
    ///
    /// If the session broke, a byte was wrong, or nothing more comes.
    #[track_caller]
    pub fn expect_alive(&self) {
        let before = self.checked();
        wait_for("bytes on the TCP session", PATIENCE, || {
            assert!(!self.broken.load(Ordering::Acquire), "the TCP session broke or changed bytes");
            self.checked() > before
        });
    }
}

impl Drop for TcpSession {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        for end in [&self.client, &self.server] {
            let _ = end.shutdown(Shutdown::Both);
        }
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// What a thread of a session does.
#[derive(Clone, Copy)]
enum Part {
    Echo,
    Write,
    Check,
}

/// Something that a session did not survive.
struct Broken;

impl<E: std::error::Error> From<E> for Broken {
    fn from(_: E) -> Self {
        Self
    }
}

/// Writes back what comes.
fn echo(mut stream: TcpStream) -> Result<(), Broken> {
    let mut bytes = vec![0; 1 << 16];
    loop {
        match stream.read(&mut bytes)? {
            0 => return Err(Broken),
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
    let mut bytes = vec![0; 1 << 16];
    loop {
        let length = stream.read(&mut bytes)?;
        let start = checked.load(Ordering::Acquire);
        let expected = (start..).map(|position| (position / 8).to_be_bytes()[(position % 8) as usize]);
        if length == 0 || bytes[..length].iter().zip(expected).any(|(got, expected)| *got != expected) {
            return Err(Broken);
        }
        checked.store(start + length as u64, Ordering::Release);
    }
}
