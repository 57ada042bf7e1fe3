//! A TCP connection that is never idle: one end sends, the other sends it back, and every byte is compared.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context, Result};

use crate::netns::Namespace;
use aggctl_tools::environment;

/// Size of what is sent at a time.
const CHUNK: usize = 16 * 1024;
/// Pause between chunks, so that the stream leaves the machine time for what is measured beside it.
const PAUSE: Duration = Duration::from_millis(2);

/// The connection; it ends when this is dropped.
pub struct Stream {
    shared: Arc<Shared>,
    ends: [TcpStream; 2],
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    bytes: AtomicU64,
    failure: Mutex<Option<String>>,
}

impl Shared {
    /// Notes why a thread ended, unless it was asked to.
    fn ended(&self, result: io::Result<()>) {
        if let Err(error) = result
            && !self.stop.load(Ordering::Relaxed)
        {
            self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error.to_string());
        }
    }
}

impl Stream {
    /// Connects from `client` to `address`, which `server` has, and begins.
    ///
    /// # Errors
    ///
    /// When it cannot connect.
    pub fn start(server: &Namespace, client: &Namespace, address: Ipv4Addr) -> Result<Self> {
        let (near, far) = connect(server, client, address)?;
        let shared = Arc::new(Shared::default());
        let ends = [near.try_clone()?, far.try_clone()?];
        let echo = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.ended(echo(far)))
        };
        let talk = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.ended(talk(near, &shared)))
        };
        Ok(Self { shared, ends, threads: vec![echo, talk] })
    }

    /// How many bytes went there and came back unharmed so far.
    pub fn bytes(&self) -> u64 {
        self.shared.bytes.load(Ordering::Relaxed)
    }

    /// What ended the connection, if it ended.
    pub fn failure(&self) -> Option<String> {
        self.shared.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
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
/// When it cannot connect within five seconds, and more where [`environment::patience`] says so.
pub fn connect(server: &Namespace, client: &Namespace, address: Ipv4Addr) -> Result<(TcpStream, TcpStream)> {
    let listener = server.enter(|| Ok(TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0))?))?;
    let port = listener.local_addr()?.port();
    let near = client.enter(|| {
        let there = SocketAddr::from((address, port));
        TcpStream::connect_timeout(&there, Duration::from_secs(5) * environment::patience())
            .with_context(|| format!("cannot connect to {there}"))
    })?;
    let (far, _) = listener.accept()?;
    Ok((near, far))
}

fn talk(mut socket: TcpStream, shared: &Shared) -> io::Result<()> {
    let mut sent = vec![0; CHUNK];
    let mut returned = vec![0; CHUNK];
    for round in 0_u64.. {
        if shared.stop.load(Ordering::Relaxed) {
            break;
        }
        for (word, number) in sent.as_chunks_mut::<8>().0.iter_mut().zip(round..) {
            *word = number.to_be_bytes();
        }
        socket.write_all(&sent)?;
        socket.read_exact(&mut returned)?;
        if sent != returned {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "what came back is not what was sent"));
        }
        shared.bytes.fetch_add(CHUNK as u64, Ordering::Relaxed);
        thread::sleep(PAUSE);
    }
    Ok(())
}

fn echo(mut socket: TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        let length = socket.read(&mut buffer)?;
        if length == 0 {
            return Ok(());
        }
        socket.write_all(&buffer[..length])?;
    }
}
