//! Numbered ICMP echo requests at a fixed rate, and what became of each.

use std::{
    net::{Ipv4Addr, SocketAddrV4},
    os::fd::OwnedFd,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, connect, ipproto, recv, send, socket_with, sockopt,
};

use crate::netns::Namespace;

const ECHO_REQUEST: u8 = 8;
const ECHO_REPLY: u8 = 0;

/// One request.
#[derive(Clone, Copy, Debug)]
struct Probe {
    sent: Instant,
    answered: Option<Instant>,
}

/// What became of the requests of a stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Requests that were sent.
    pub sent: usize,
    /// Those of them that were not answered.
    pub lost: usize,
    /// The longest time without an answer, the interval of the requests included.
    pub gap: Duration,
}

/// Sends requests until it is dropped.
pub struct Pinger {
    probes: Arc<Mutex<Vec<Probe>>>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Pinger {
    /// Begins to send a request every `interval` from `namespace` to `target`.
    ///
    /// # Errors
    ///
    /// When there is no raw socket for us.
    pub fn start(namespace: &Namespace, target: Ipv4Addr, interval: Duration) -> Result<Self> {
        let socket = Arc::new(namespace.enter(|| open(target))?);
        let probes = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let sender = {
            let (socket, probes, stop) = (Arc::clone(&socket), Arc::clone(&probes), Arc::clone(&stop));
            thread::spawn(move || send_all(&socket, &probes, &stop, interval))
        };
        let receiver = {
            let (probes, stop) = (Arc::clone(&probes), Arc::clone(&stop));
            thread::spawn(move || receive_all(&socket, &probes, &stop))
        };
        Ok(Self { probes, stop, threads: vec![sender, receiver] })
    }

    /// What became of the requests that were sent from `from` until `to`. The last of them need time to be answered.
    pub fn window(&self, from: Instant, to: Instant) -> Window {
        window(&lock(&self.probes), from, to)
    }
}

impl Drop for Pinger {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A thread that died has said why.
            let _ = thread.join();
        }
    }
}

fn window(probes: &[Probe], from: Instant, to: Instant) -> Window {
    let inside = |time: Instant| from <= time && time < to;
    let sent = probes.iter().filter(|probe| inside(probe.sent));
    let lost = sent.clone().filter(|probe| probe.answered.is_none()).count();
    let mut answers: Vec<Instant> = probes.iter().filter_map(|probe| probe.answered).collect();
    answers.sort_unstable();
    let mut last = answers.iter().copied().rfind(|answer| *answer < from).unwrap_or(from);
    let mut gap = Duration::ZERO;
    for answer in answers.into_iter().filter(|answer| inside(*answer)).chain([to]) {
        gap = gap.max(answer - last);
        last = answer;
    }
    Window { sent: sent.count(), lost, gap }
}

fn open(target: Ipv4Addr) -> Result<OwnedFd> {
    let socket = socket_with(AddressFamily::INET, SocketType::RAW, SocketFlags::CLOEXEC, Some(ipproto::ICMP))
        .context("cannot open a raw ICMP socket")?;
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(Duration::from_millis(100)))?;
    connect(&socket, &SocketAddrV4::new(target, 0)).with_context(|| format!("no route to {target}"))?;
    Ok(socket)
}

fn send_all(socket: &OwnedFd, probes: &Mutex<Vec<Probe>>, stop: &AtomicBool, interval: Duration) {
    let mut next = Instant::now();
    // The numbers of ICMP have 16 bits, which is minutes at any interval that is used here.
    for sequence in 0..=u16::MAX {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        lock(probes).push(Probe { sent: Instant::now(), answered: None });
        // What cannot be sent is as lost as what is not answered.
        let _ = send(socket, &request(sequence), SendFlags::empty());
        next += interval;
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}

fn receive_all(socket: &OwnedFd, probes: &Mutex<Vec<Probe>>, stop: &AtomicBool) {
    let mut packet = [0; 128];
    while !stop.load(Ordering::Relaxed) {
        // Timeouts and ICMP errors end the call early, and are no answers.
        let Ok((length, _)) = recv(socket, &mut packet, RecvFlags::empty()) else { continue };
        let now = Instant::now();
        let Some(sequence) = packet.get(..length).and_then(answered_sequence) else { continue };
        if let Some(probe) = lock(probes).get_mut(usize::from(sequence)) {
            probe.answered.get_or_insert(now);
        }
    }
}

/// Tells our requests from those of others.
fn identifier() -> [u8; 2] {
    let [.., high, low] = std::process::id().to_be_bytes();
    [high, low]
}

fn request(sequence: u16) -> [u8; 16] {
    let mut packet = [0; 16];
    packet[0] = ECHO_REQUEST;
    packet[4..6].copy_from_slice(&identifier());
    packet[6..8].copy_from_slice(&sequence.to_be_bytes());
    let sum = checksum(&packet);
    packet[2..4].copy_from_slice(&sum.to_be_bytes());
    packet
}

/// The number of the request that an IPv4 packet answers, if it is an answer to one of ours.
fn answered_sequence(packet: &[u8]) -> Option<u16> {
    let header = usize::from(packet.first()? & 0x0f) * 4;
    match packet.get(header..)? {
        [ECHO_REPLY, 0, _, _, a, b, high, low, ..] if [*a, *b] == identifier() => {
            Some(u16::from_be_bytes([*high, *low]))
        }
        _ => None,
    }
}

/// The Internet checksum of a packet of even length (RFC 1071).
fn checksum(packet: &[u8]) -> u16 {
    let words = packet.as_chunks::<2>().0.iter().map(|word| u32::from(u16::from_be_bytes(*word)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(u16::MAX)
}

fn lock(probes: &Mutex<Vec<Probe>>) -> MutexGuard<'_, Vec<Probe>> {
    // A poisoned list is as good as before: entries are written in one go.
    probes.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probes(begin: Instant, answered: &[Option<u64>]) -> Vec<Probe> {
        let at = |ms| begin + Duration::from_millis(ms);
        let sent = (0..).step_by(10);
        sent.zip(answered).map(|(sent, answer)| Probe { sent: at(sent), answered: answer.map(at) }).collect()
    }

    #[test]
    fn a_window_counts_what_was_lost_and_the_longest_silence() {
        let begin = Instant::now();
        let probes = probes(begin, &[Some(1), Some(11), None, None, Some(41), Some(51)]);
        let window = window(&probes, begin + Duration::from_millis(5), begin + Duration::from_millis(60));
        assert_eq!(window, Window { sent: 5, lost: 2, gap: Duration::from_millis(30) });
    }

    #[test]
    fn silence_that_lasts_is_counted_until_the_end() {
        let begin = Instant::now();
        let probes = probes(begin, &[Some(1), None, None]);
        let window = window(&probes, begin, begin + Duration::from_millis(100));
        assert_eq!(window, Window { sent: 3, lost: 2, gap: Duration::from_millis(99) });
    }

    #[test]
    fn an_answer_is_recognised_and_a_request_has_a_right_checksum() {
        let mut packet = [0_u8; 36];
        packet[0] = 0x45;
        packet[20..].copy_from_slice(&request(513));
        assert_eq!(checksum(&packet[20..]), 0);
        assert_eq!(answered_sequence(&packet), None, "a request is no answer");
        packet[20] = ECHO_REPLY;
        assert_eq!(answered_sequence(&packet), Some(513));
        assert_eq!(answered_sequence(&packet[..24]), None);
    }
}
