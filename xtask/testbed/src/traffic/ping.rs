//! Pings with a memory: which were sent, which came back, how often, and when.
//!
//! A ping that counts as lost was lost between the two ends, and nowhere else:
//!
//! - A thread that the machine does not let run sends nothing, so nothing of it is lost. Answers wait for the other in
//!   a buffer for a minute of the fastest rhythm, and an answer that finds the buffer full is an error.
//! - A request that the kernel refuses to send is told apart from one that is not answered.
//! - A request that arrived and that the kernel had no room to answer is told apart, too, and does not count as lost:
//!   see [`unsent`].
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

use super::unsent::{self, Unsent};
use crate::{netns::Namespace, sys, wait};

/// How long an answer may be under way before its ping counts as lost.
const STRAGGLERS: Duration = Duration::from_secs(1);
/// Octets of answers that may wait to be read: ten thousand or so.
const BUFFER: i32 = 8 << 20;
/// Length of an echo message's header; the number of the ping follows.
const HEADER: usize = 8;

/// A ping.
#[derive(Clone, Copy, Debug)]
struct Probe {
    sent: Instant,
    refused: bool,
    answered: Option<Instant>,
    answers: u64,
    /// Whether the kernel had no room to answer it.
    unsent: bool,
}

impl Probe {
    fn is_answered(&self) -> bool {
        self.answers > 0
    }

    fn is_unsent(&self) -> bool {
        self.unsent && !self.is_answered()
    }

    fn is_lost(&self) -> bool {
        !self.is_answered() && !self.unsent
    }

    /// When it was answered; when it was sent, if the kernel had no room to answer it and the network no part in that.
    fn silent_until(&self) -> Option<Instant> {
        self.answered.or(self.unsent.then_some(self.sent))
    }
}

/// Echo requests at a steady rhythm, until dropped.
#[derive(Debug)]
pub struct Ping {
    socket: UdpSocket,
    unsent: Unsent,
    begin: Mark,
    probes: Arc<Mutex<Vec<Probe>>>,
    ended: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// A moment in the life of a [`Ping`].
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    /// When it was.
    pub at: Instant,
    /// How many pings were sent before.
    sent: usize,
    /// What the machine had dropped before.
    machine_dropped: u64,
    /// What could not be answered before.
    unsent: unsent::Mark,
}

/// What became of the pings of a period.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// How many were sent, or should have been.
    pub sent: u64,
    /// How many were answered.
    pub received: u64,
    /// How many were not, but for those of `unsent`.
    pub lost: u64,
    /// How many arrived and were not answered because the answering kernel had no room for answers; see [`unsent`].
    pub unsent: u64,
    /// How many answers came more than once.
    pub doubled: u64,
    /// How many of the lost ones the kernel refused to send.
    pub refused: u64,
    /// The longest time without an answer, by when they arrived: also one that began before the period, or lasts.
    pub longest_gap: Duration,
    /// The longest time between two pings sent.
    pub longest_pause: Duration,
    /// The lost ones that were sent one after the other.
    pub holes: Vec<Hole>,
    /// Frames that the machine dropped since it began, of whomever, because a processor could not work them off in
    /// time.
    pub machine_dropped: u64,
}

/// Lost pings that were sent one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hole {
    /// When the first was sent, counted from the first ping of the period.
    pub at: Duration,
    /// How many there are.
    pub lost: u64,
}

impl Ping {
    /// Pings `to`, an address of `answering`, from `namespace`, `from` an address of its own if one is given.
    ///
    /// # Errors
    ///
    /// When there is no such socket for us, or no way to the address.
    pub fn start(
        namespace: &Namespace,
        answering: &Namespace,
        to: IpAddr,
        from: Option<IpAddr>,
        interval: Duration,
    ) -> Result<Self> {
        let socket = namespace.enter(|| open(to, from).with_context(|| format!("cannot ping {to}")))?;
        let unsent = Unsent::of(answering, to)?;
        let begin = Mark { at: Instant::now(), sent: 0, machine_dropped: machine_dropped()?, unsent: unsent.mark()? };
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
    pub fn begin(&self) -> Mark {
        self.begin
    }

    /// Now.
    ///
    /// # Errors
    ///
    /// When the machine does not say what it drops, or what it did not answer.
    pub fn mark(&self) -> Result<Mark> {
        let (at, sent) = (Instant::now(), self.sent());
        Ok(Mark { at, sent, machine_dropped: machine_dropped()?, unsent: self.unsent.mark()? })
    }

    /// What became of the pings between two marks, once the stragglers are in.
    ///
    /// # Errors
    ///
    /// If an answer came and had no place in the socket's buffer: nobody knows then what was lost.
    pub fn between(&self, from: Mark, to: Mark) -> Result<Stats> {
        wait::find(STRAGGLERS, || self.probes()[from.sent..to.sent].iter().all(Probe::is_answered).then_some(()));
        let unread = sys::overflow(&self.socket)?;
        ensure!(unread == 0, "{unread} answers that were not read in time");
        let machine_dropped = machine_dropped()? - from.machine_dropped;
        self.take_unsent(from, to)?;
        Ok(Stats { machine_dropped, ..Stats::of(&self.probes(), from, to) })
    }

    /// Finds those between two marks that the kernel had no room to answer. It does not say which these were: the first
    /// ones without an answer are taken for them.
    fn take_unsent(&self, from: Mark, to: Mark) -> Result<()> {
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
    pub fn answered_since(&self, mark: Mark) -> bool {
        self.answered_after(mark.sent)
    }

    /// Whether the last so many pings, which are not the first, went unanswered so far.
    pub fn silent_for(&self, count: usize) -> bool {
        let probes = self.probes();
        probes.len() > count && probes.iter().rev().take(count).all(|probe| probe.answers == 0)
    }
}

impl Drop for Ping {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Stats {
    fn of(all: &[Probe], from: Mark, to: Mark) -> Self {
        let probes = &all[from.sent..to.sent];
        let count = |such: fn(&Probe) -> bool| probes.iter().filter(|probe| such(probe)).count() as u64;
        Self {
            sent: probes.len() as u64,
            received: count(Probe::is_answered),
            lost: count(Probe::is_lost),
            unsent: count(Probe::is_unsent),
            doubled: probes.iter().map(|probe| probe.answers.saturating_sub(1)).sum(),
            refused: count(|probe| probe.refused && probe.is_lost()),
            longest_gap: longest_gap(&answers(all, from.at, to.at)),
            longest_pause: longest_gap(&probes.iter().map(|probe| probe.sent).collect::<Vec<_>>()),
            holes: holes(probes),
            machine_dropped: 0,
        }
    }
}

/// When answers came from one moment to another, with the last one before them, or the first moment if there was none,
/// and with the second moment.
fn answers(probes: &[Probe], from: Instant, to: Instant) -> Vec<Instant> {
    let mut all: Vec<Instant> = probes.iter().filter_map(Probe::silent_until).collect();
    all.sort_unstable();
    let first = all.iter().copied().rfind(|answer| *answer < from).unwrap_or(from);
    let inside = all.into_iter().filter(|answer| from <= *answer && *answer < to);
    std::iter::once(first).chain(inside).chain([to]).collect()
}

/// The longest time between two moments that follow each other.
fn longest_gap(moments: &[Instant]) -> Duration {
    moments.windows(2).map(|pair| pair[1].saturating_duration_since(pair[0])).max().unwrap_or_default()
}

/// The lost ones of these, put together where they follow each other.
fn holes(probes: &[Probe]) -> Vec<Hole> {
    let runs = probes.chunk_by(|one, other| one.is_lost() == other.is_lost());
    runs.filter(|run| run[0].is_lost())
        .map(|run| Hole { at: run[0].sent.duration_since(probes[0].sent), lost: run.len() as u64 })
        .collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Pings every 10 ms, answered at these milliseconds or not.
    fn probes(begin: Instant, answered: &[Option<u64>]) -> Vec<Probe> {
        let at = |ms| begin + Duration::from_millis(ms);
        let one = |(sent, answer): (u64, &Option<u64>)| Probe {
            sent: at(sent),
            refused: false,
            answered: answer.map(at),
            answers: u64::from(answer.is_some()),
            unsent: false,
        };
        (0..).step_by(10).zip(answered).map(one).collect()
    }

    /// What became of those that were sent from one moment to another.
    fn stats(probes: &[Probe], begin: Instant, [from, to]: [u64; 2]) -> Stats {
        let [from, to] = [from, to].map(|ms| {
            let at = begin + Duration::from_millis(ms);
            let sent = probes.iter().filter(|probe| probe.sent < at).count();
            Mark { at, sent, machine_dropped: 0, unsent: unsent::Mark::default() }
        });
        Stats::of(probes, from, to)
    }

    #[test]
    fn what_was_lost_is_counted_with_the_longest_silence() {
        let begin = Instant::now();
        let probes = probes(begin, &[Some(1), Some(11), None, None, Some(41), Some(51)]);
        let stats = stats(&probes, begin, [5, 60]);
        assert_eq!((stats.sent, stats.received, stats.lost), (5, 3, 2));
        assert_eq!((stats.longest_gap, stats.longest_pause), (Duration::from_millis(30), Duration::from_millis(10)));
        assert_eq!(stats.holes, [Hole { at: Duration::from_millis(10), lost: 2 }]);
    }

    #[test]
    fn what_there_was_no_room_to_answer_is_neither_lost_nor_silence() {
        let begin = Instant::now();
        let mut probes = probes(begin, &[Some(1), None, None, None, Some(41)]);
        probes[1].unsent = true;
        probes[2].unsent = true;
        let stats = stats(&probes, begin, [0, 50]);
        assert_eq!((stats.sent, stats.received, stats.lost, stats.unsent), (5, 2, 1, 2));
        assert_eq!(stats.longest_gap, Duration::from_millis(21));
        assert_eq!(stats.holes, [Hole { at: Duration::from_millis(30), lost: 1 }]);
    }

    #[test]
    fn silence_that_lasts_is_counted_until_the_end() {
        let begin = Instant::now();
        let probes = probes(begin, &[Some(1), None, None]);
        let stats = stats(&probes, begin, [0, 100]);
        assert_eq!((stats.sent, stats.lost, stats.longest_gap), (3, 2, Duration::from_millis(99)));
    }

    #[test]
    fn silence_that_began_before_is_counted_from_its_beginning() {
        let begin = Instant::now();
        let probes = probes(begin, &[Some(1), None, None, Some(32)]);
        assert_eq!(stats(&probes, begin, [15, 40]).longest_gap, Duration::from_millis(31));
    }
}
