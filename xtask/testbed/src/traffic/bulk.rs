//! As much traffic as goes, for a fixed time.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, Shutdown, TcpStream, UdpSocket},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use rustix::net::sockopt;

use crate::netns::NetworkNamespace;

use super::tcp;

/// Size of one write and of one read.
const CHUNK: usize = 128 * 1024;
/// Octets in a datagram that fills the smallest frame of Ethernet.
const DATAGRAM: usize = 18;
/// After so many datagrams somebody looks at a clock, which costs something.
const BATCH: u32 = 64;
/// Octets that a receiver of datagrams can be behind, as the kernel counts them.
const RECEIVE_BUFFER: usize = 256 << 20;
/// When nothing comes for so long, nothing comes any more.
const QUIET: Duration = Duration::from_millis(200);

/// Sends over one TCP connection for `time`. Returns bits per second, counted by the receiver.
///
/// # Errors
///
/// When the connection cannot be made or breaks.
pub fn tcp(
    server: &NetworkNamespace,
    client: &NetworkNamespace,
    address: Ipv4Addr,
    to_server: bool,
    time: Duration,
) -> Result<f64> {
    let (near, far) = tcp::connect(server, client, address.into())?;
    let (sender, receiver) = if to_server { (near, far) } else { (far, near) };
    let sending = thread::spawn(move || push(sender, time));
    let begin = Instant::now();
    let bytes = drain(receiver).context("TCP receiver")?;
    let took = begin.elapsed();
    match sending.join() {
        Ok(sent) => sent.context("TCP sender")?,
        Err(_) => bail!("the thread that sends died"),
    }
    Ok(bytes * 8.0 / took.as_secs_f64())
}

fn push(mut socket: TcpStream, time: Duration) -> Result<()> {
    let chunk = vec![0x5a; CHUNK];
    let end = Instant::now() + time;
    while Instant::now() < end {
        socket.write_all(&chunk)?;
    }
    socket.shutdown(Shutdown::Write)?;
    Ok(())
}

fn drain(mut socket: TcpStream) -> Result<f64> {
    let mut buffer = vec![0; CHUNK];
    let mut bytes = 0.0;
    loop {
        match u32::try_from(socket.read(&mut buffer)?)? {
            0 => return Ok(bytes),
            length => bytes += f64::from(length),
        }
    }
}

/// Sends datagrams that fill the smallest frame, for `time`. Returns how many of them a second arrive, until the last
/// one does.
///
/// # Errors
///
/// When they cannot be sent, or none arrives.
pub fn datagrams(
    server: &NetworkNamespace,
    client: &NetworkNamespace,
    address: Ipv4Addr,
    to_server: bool,
    time: Duration,
) -> Result<f64> {
    let (near, far) = sockets(server, client, address)?;
    near.send(&[0])?;
    far.connect(far.recv_from(&mut [0])?.1)?;
    let (sender, receiver) = if to_server { (near, far) } else { (far, near) };
    // Where both ends share a processor the receiver may have to wait for its turn.
    sockopt::set_socket_recv_buffer_size_force(&receiver, RECEIVE_BUFFER)?;
    receiver.set_read_timeout(Some(QUIET))?;
    let begin = Instant::now();
    let sending = thread::spawn(move || -> Result<()> {
        while begin.elapsed() < time {
            for _ in 0..BATCH {
                sender.send(&[0; DATAGRAM])?;
            }
        }
        Ok(())
    });
    let mut batches = 0.0;
    let mut last = Duration::ZERO;
    // It is over when nothing has come for a while, even where some were lost.
    while (0..BATCH).all(|_| receiver.recv(&mut [0; DATAGRAM]).is_ok()) {
        batches += 1.0;
        last = begin.elapsed();
    }
    match sending.join() {
        Ok(sent) => sent.context("UDP sender")?,
        Err(_) => bail!("the thread that sends died"),
    }
    ensure!(!last.is_zero(), "no datagrams arrived");
    Ok(batches * f64::from(BATCH) / last.as_secs_f64())
}

/// Two sockets, the first one connected to the second one.
fn sockets(server: &NetworkNamespace, client: &NetworkNamespace, address: Ipv4Addr) -> Result<(UdpSocket, UdpSocket)> {
    let far = server.enter(|| Ok(UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?))?;
    let near = client.enter(|| Ok(UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?))?;
    near.connect((address, far.local_addr()?.port()))?;
    for socket in [&near, &far] {
        socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    }
    Ok((near, far))
}

/// Sends a small datagram, waits for it to come back, sends the next, for `time`. Returns round trips per second.
///
/// # Errors
///
/// When a datagram does not come back within a second.
pub fn round_trips(
    server: &NetworkNamespace,
    client: &NetworkNamespace,
    address: Ipv4Addr,
    time: Duration,
) -> Result<f64> {
    let (near, far) = sockets(server, client, address)?;
    let echo = thread::spawn(move || {
        let mut packet = [0; 64];
        // An empty datagram says that it is over; silence for a second, that something went wrong at the other end.
        while let Ok((1.., sender)) = far.recv_from(&mut packet) {
            if far.send_to(&packet, sender).is_err() {
                break;
            }
        }
    });
    let counted = count_round_trips(&near, time);
    near.send(&[])?;
    if echo.join().is_err() {
        bail!("the thread that answers died");
    }
    counted
}

fn count_round_trips(socket: &UdpSocket, time: Duration) -> Result<f64> {
    let begin = Instant::now();
    let mut packet = [0; 64];
    let mut count = 0.0;
    while begin.elapsed() < time {
        socket.send(&packet)?;
        socket.recv(&mut packet).context("a datagram did not come back")?;
        count += 1.0;
    }
    Ok(count / begin.elapsed().as_secs_f64())
}
