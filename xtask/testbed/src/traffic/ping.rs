//! Pings with a memory: which were sent, which came back, how often, and when.
//!
//! A ping that counts as lost was lost between the two ends, and nowhere else:
//!
//! - A thread that the machine does not let run sends nothing, so nothing of it is lost. Answers wait for the other in
//!   a buffer for a minute of the fastest rhythm, and an answer that finds the buffer full is an error.
//! - A request that the kernel refuses to send is told apart from one that is not answered.
//! - A request that arrived and that the kernel had no room to answer is told apart, too, and does not count as lost:
//!   see [`super::unsent`].
//! - The queue of frames that a processor could not work off in time belongs to the machine, and everybody on it shares
//!   it: what it dropped is told with what was lost.

use std::{
    fs,
    net::{IpAddr, SocketAddr, UdpSocket},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context, Result, ensure};
use rustix::net::{AddressFamily, SocketType, bind, connect, ipproto, socket};

pub use super::ping_stats::{Hole, PingMark, Stats};
use super::{ping_stats::Probe, unsent::Unsent};
use crate::{netns::NetworkNamespace, sys, wait};

/// How long an answer may be under way before its ping counts as lost.
const STRAGGLERS: Duration = Duration::from_secs(1);
/// Octets of answers that may wait to be read: ten thousand or so.
const BUFFER: i32 = 8 << 20;
/// Length of an echo message's header; the number of the ping follows.
const HEADER: usize = 8;

/// Echo requests at a steady rhythm, until dropped.
#[derive(Debug)]
pub struct PingStream {
    socket: UdpSocket,
    unsent: Unsent,
    begin: PingMark,
    probes: Arc<Mutex<Vec<Probe>>>,
    ended: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl PingStream {
    /// Pings `to`, an address of `answering`, from `namespace`, `from` an address of its own if one is given.
    ///
    /// # Errors
    ///
    /// When there is no such socket for us, or no way to the address.
    pub fn start(
        namespace: &NetworkNamespace,
        answering: &NetworkNamespace,
        to: IpAddr,
        from: Option<IpAddr>,
        interval: Duration,
    ) -> Result<Self> {
        let socket = namespace.enter(|| open(to, from).with_context(|| format!("cannot ping {to}")))?;
        let unsent = Unsent::of(answering, to)?;
        let begin =
            PingMark { at: Instant::now(), sent: 0, machine_dropped: machine_dropped()?, unsent: unsent.mark()? };
        let probes = Arc::new(Mutex::new(Vec::new()));
        let ended = Arc::new(AtomicBool::new(false));
        let receiver = thread::spawn({
            let (socket, probes, ended) = (socket.try_clone()?, Arc::clone(&probes), Arc::clone(&ended));
            move || receive(&socket, &probes, &ended)
        });
        let sender = thread::spawn({
            let (socket, probes, ended) = (socket.try_clone()?, Arc::clone(&probes), Arc::clone(&ended));
            let kind = if to.is_ipv4() { 8 } else { 128 };
            move || send(&socket, kind, &probes, &ended, interval)
        });
        Ok(Self { socket, unsent, begin, probes, ended, threads: vec![receiver, sender] })
    }

    fn probes(&self) -> MutexGuard<'_, Vec<Probe>> {
        lock(&self.probes)
    }

    /// How many were sent so far.
    pub fn sent(&self) -> usize {
        self.probes().len()
    }

    /// Before the first was sent.
    pub fn begin(&self) -> PingMark {
        self.begin
    }

    /// Now.
    ///
    /// # Errors
    ///
    /// When the machine does not say what it drops, or what it did not answer.
    pub fn mark(&self) -> Result<PingMark> {
        let (at, sent) = (Instant::now(), self.sent());
        Ok(PingMark { at, sent, machine_dropped: machine_dropped()?, unsent: self.unsent.mark()? })
    }

    /// What became of the pings between two marks, once the stragglers are in.
    ///
    /// # Errors
    ///
    /// If an answer came and had no place in the socket's buffer: nobody knows then what was lost.
    pub fn between(&self, from: PingMark, to: PingMark) -> Result<Stats> {
        wait::find(STRAGGLERS, || self.probes()[from.sent..to.sent].iter().all(Probe::is_answered).then_some(()));
        let unread = sys::overflow(&self.socket)?;
        ensure!(unread == 0, "{unread} answers that were not read in time");
        let machine_dropped = machine_dropped()? - from.machine_dropped;
        self.take_unsent(from, to)?;
        Ok(Stats { machine_dropped, ..Stats::of(&self.probes(), from, to) })
    }

    /// Finds those between two marks that the kernel had no room to answer. It does not say which these were: the first
    /// ones without an answer are taken for them.
    fn take_unsent(&self, from: PingMark, to: PingMark) -> Result<()> {
        let mut probes = self.probes();
        let missing: Vec<&mut Probe> =
            probes[from.sent..to.sent].iter_mut().filter(|probe| probe.is_lost() && !probe.refused).collect();
        let count = self.unsent.take(from.unsent, missing.len() as u64)?;
        for probe in missing.into_iter().take(usize::try_from(count)?) {
            probe.unsent = true;
        }
        Ok(())
    }

    /// Whether a ping of those after the first `sent` was answered by now.
    pub fn answered_after(&self, sent: usize) -> bool {
        self.probes().iter().skip(sent).any(Probe::is_answered)
    }

    /// Whether a ping since `mark` was answered by now.
    pub fn answered_since(&self, mark: PingMark) -> bool {
        self.answered_after(mark.sent)
    }

    /// Whether the last so many pings, which are not the first, went unanswered so far.
    pub fn silent_for(&self, count: usize) -> bool {
        let probes = self.probes();
        probes.len() > count && probes.iter().rev().take(count).all(|probe| probe.answers == 0)
    }
}

impl Drop for PingStream {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// How many frames this machine has dropped because a processor's queue of received frames was full: the second column
/// of `softnet_stat`, a line for each processor. The queues are those of all namespaces.
fn machine_dropped() -> Result<u64> {
    let text = fs::read_to_string("/proc/net/softnet_stat").context("/proc/net/softnet_stat")?;
    let dropped = text.lines().map(|line| line.split_ascii_whitespace().nth(1).context("a line without columns"));
    dropped.map(|number| Ok(u64::from_str_radix(number?, 16)?)).sum()
}

/// An unprivileged ICMP socket (the kernel fills in identifier and checksum).
fn open(to: IpAddr, from: Option<IpAddr>) -> Result<UdpSocket> {
    let (family, protocol) = match to {
        IpAddr::V4(_) => (AddressFamily::INET, ipproto::ICMP),
        IpAddr::V6(_) => (AddressFamily::INET6, ipproto::ICMPV6),
    };
    let socket = socket(family, SocketType::DGRAM, Some(protocol))?;
    if let Some(from) = from {
        bind(&socket, &SocketAddr::new(from, 0))?;
    }
    connect(&socket, &SocketAddr::new(to, 0))?;
    let socket = UdpSocket::from(socket);
    socket.set_read_timeout(Some(Duration::from_millis(50)))?;
    sys::set_receive_buffer(&socket, BUFFER)?;
    // From the first question on the kernel notes when messages arrive.
    let _ = sys::arrival(&socket);
    Ok(socket)
}

/// Sends a ping every `interval`; one that cannot be sent is as lost as one that is not answered. After a pause that
/// the machine forced upon this thread nothing is made up for.
fn send(socket: &UdpSocket, kind: u8, probes: &Mutex<Vec<Probe>>, ended: &AtomicBool, interval: Duration) {
    while !ended.load(Ordering::Acquire) {
        let now = Instant::now();
        let place = {
            let mut probes = lock(probes);
            probes.push(Probe { sent: now, refused: false, answered: None, answers: 0, unsent: false });
            probes.len() - 1
        };
        let number = (place as u64).to_be_bytes();
        let mut message = [0; HEADER + 48];
        message[0] = kind;
        message[6..HEADER].copy_from_slice(&number[6..]);
        message[HEADER..HEADER + number.len()].copy_from_slice(&number);
        if socket.send(&message).is_err() {
            lock(probes)[place].refused = true;
        }
        wait::until(now + interval);
    }
}

/// Notes the answers. Errors that the network reports say no more than a missing answer.
fn receive(socket: &UdpSocket, probes: &Mutex<Vec<Probe>>, ended: &AtomicBool) {
    let mut message = [0; 256];
    while !ended.load(Ordering::Acquire) {
        let Ok(length) = socket.recv(&mut message) else { continue };
        let arrived = arrived(socket);
        let Some(number) = message[..length].get(HEADER..).and_then(<[u8]>::first_chunk) else { continue };
        let Ok(place) = usize::try_from(u64::from_be_bytes(*number)) else { continue };
        if let Some(probe) = lock(probes).get_mut(place) {
            probe.answers += 1;
            probe.answered.get_or_insert(arrived);
        }
    }
}

/// When the message that was read last arrived, which may be a while ago.
fn arrived(socket: &UdpSocket) -> Instant {
    let waited = sys::arrival(socket).ok().and_then(|arrival| SystemTime::now().duration_since(arrival).ok());
    let now = Instant::now();
    now.checked_sub(waited.unwrap_or_default()).unwrap_or(now)
}

fn lock(probes: &Mutex<Vec<Probe>>) -> MutexGuard<'_, Vec<Probe>> {
    // A poisoned list is as good as before: entries are written in one go.
    probes.lock().unwrap_or_else(PoisonError::into_inner)
}
