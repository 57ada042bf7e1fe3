//! Pings with a memory: which were sent, which came back, how often, and when.

use std::{
    net::{IpAddr, SocketAddr, UdpSocket},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use rustix::net::{AddressFamily, SocketType, ipproto};

use crate::{Namespace, holds_for, matrix::SOON, wait, wait_for};

/// How long an answer may be under way before its ping counts as lost.
const STRAGGLERS: Duration = Duration::from_secs(1);
/// Length of an echo message's header; the number of the ping follows.
const HEADER: usize = 8;

/// A ping.
#[derive(Clone, Copy, Debug)]
struct Probe {
    sent: Instant,
    answered: Option<Instant>,
    answers: u64,
}

/// Echo requests at a steady rhythm, until dropped.
#[derive(Debug)]
pub struct Ping {
    probes: Arc<Mutex<Vec<Probe>>>,
    ended: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// A moment in the life of a [`Ping`].
#[derive(Clone, Copy, Debug)]
pub struct Mark(usize);

/// What became of the pings of a period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// How many were sent.
    pub sent: u64,
    /// How many were answered.
    pub received: u64,
    /// How many were not.
    pub lost: u64,
    /// How many answers came more than once.
    pub doubled: u64,
    /// The longest time between two answers.
    pub longest_gap: Duration,
}

impl Ping {
    /// Pings `to` from `namespace`, `from` an address of its own if one is given, and waits for the first answer.
    ///
    /// # Panics
    ///
    /// If nobody answers.
    #[track_caller]
    pub fn start(namespace: &Namespace, to: &str, from: Option<&str>, interval: Duration) -> Self {
        let (to, from) = (to.parse::<IpAddr>().unwrap(), from.map(|from| from.parse::<IpAddr>().unwrap()));
        let socket = namespace.enter(|| open(to, from));
        let probes = Arc::new(Mutex::new(Vec::new()));
        let ended = Arc::new(AtomicBool::new(false));
        let receiver = std::thread::spawn({
            let (socket, probes, ended) = (socket.try_clone().unwrap(), Arc::clone(&probes), Arc::clone(&ended));
            move || receive(&socket, &probes, &ended)
        });
        let sender = std::thread::spawn({
            let (probes, ended) = (Arc::clone(&probes), Arc::clone(&ended));
            move || send(&socket, &probes, &ended, interval)
        });
        let ping = Self { probes, ended, threads: vec![receiver, sender] };
        ping.wait_for_answer(SOON);
        ping
    }

    fn probes(&self) -> MutexGuard<'_, Vec<Probe>> {
        self.probes.lock().unwrap()
    }

    /// Now.
    pub fn mark(&self) -> Mark {
        Mark(self.probes().len())
    }

    /// What became of the pings since `mark`, once the stragglers are in.
    pub fn since(&self, mark: Mark) -> Stats {
        let end = self.probes().len();
        wait::find(STRAGGLERS, || self.probes()[mark.0..end].iter().all(|probe| probe.answers > 0).then_some(()));
        Stats::of(&self.probes()[mark.0..end])
    }

    /// Whether a ping since `mark` was answered by now.
    pub fn answered_since(&self, mark: Mark) -> bool {
        self.probes()[mark.0..].iter().any(|probe| probe.answers > 0)
    }

    /// What became of all pings so far.
    pub fn total(&self) -> Stats {
        self.since(Mark(0))
    }

    /// What becomes of the pings that are sent while `work` is done.
    pub fn during<T>(&self, work: impl FnOnce() -> T) -> (T, Stats) {
        let mark = self.mark();
        let result = work();
        (result, self.since(mark))
    }

    /// Waits until `count` more pings are sent.
    #[track_caller]
    pub fn run(&self, count: usize) {
        let Mark(start) = self.mark();
        wait_for("pings sent", Duration::from_secs(60), || self.probes().len() >= start + count);
    }

    /// Waits until a ping that is sent from now on is answered.
    #[track_caller]
    pub fn wait_for_answer(&self, limit: Duration) {
        let Mark(start) = self.mark();
        wait_for("an answer to a ping", limit, || self.probes().iter().skip(start).any(|probe| probe.answers > 0));
    }

    /// Waits until pings go unanswered, and checks that they stay so for a while.
    #[track_caller]
    pub fn expect_silence(&self) {
        let many = 20 * wait::patience() as usize;
        let quiet =
            |probes: &[Probe]| probes.len() > many && probes.iter().rev().take(many).all(|probe| probe.answers == 0);
        wait_for("pings going unanswered", SOON, || quiet(&self.probes()));
        holds_for("no answer to pings", Duration::from_millis(200), || quiet(&self.probes()));
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
    fn of(probes: &[Probe]) -> Self {
        let sent = probes.len() as u64;
        let received = probes.iter().filter(|probe| probe.answers > 0).count() as u64;
        let mut answers: Vec<Instant> = probes.iter().filter_map(|probe| probe.answered).collect();
        answers.sort();
        let start = probes.first().map(|probe| probe.sent);
        let gaps = start.iter().chain(&answers).zip(&answers).map(|(before, after)| after.duration_since(*before));
        Self {
            sent,
            received,
            lost: sent - received,
            doubled: probes.iter().map(|probe| probe.answers.saturating_sub(1)).sum(),
            longest_gap: gaps.max().unwrap_or_default(),
        }
    }
}

/// An unprivileged ICMP socket (the kernel fills in identifier and checksum).
fn open(to: IpAddr, from: Option<IpAddr>) -> UdpSocket {
    let (family, protocol) = match to {
        IpAddr::V4(_) => (AddressFamily::INET, ipproto::ICMP),
        IpAddr::V6(_) => (AddressFamily::INET6, ipproto::ICMPV6),
    };
    let socket = rustix::net::socket(family, SocketType::DGRAM, Some(protocol)).unwrap();
    if let Some(from) = from {
        rustix::net::bind(&socket, &SocketAddr::new(from, 0)).unwrap();
    }
    rustix::net::connect(&socket, &SocketAddr::new(to, 0)).unwrap();
    let socket = UdpSocket::from(socket);
    socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    socket
}

/// Sends a ping every `interval`; one that cannot be sent is as lost as one that is not answered.
fn send(socket: &UdpSocket, probes: &Mutex<Vec<Probe>>, ended: &AtomicBool, interval: Duration) {
    let kind = if socket.local_addr().unwrap().is_ipv4() { 8 } else { 128 };
    while !ended.load(Ordering::Acquire) {
        let now = Instant::now();
        let number = {
            let mut probes = probes.lock().unwrap();
            probes.push(Probe { sent: now, answered: None, answers: 0 });
            probes.len() as u64 - 1
        };
        let mut message = [0; HEADER + 48];
        message[0] = kind;
        message[6..HEADER].copy_from_slice(&number.to_be_bytes()[6..]);
        message[HEADER..HEADER + 8].copy_from_slice(&number.to_be_bytes());
        let _ = socket.send(&message);
        wait::until(now + interval);
    }
}

/// Notes the answers. Errors that the network reports say no more than a missing answer.
fn receive(socket: &UdpSocket, probes: &Mutex<Vec<Probe>>, ended: &AtomicBool) {
    let mut message = [0; 256];
    while !ended.load(Ordering::Acquire) {
        let Ok(length) = socket.recv(&mut message) else { continue };
        let Some(number) = message[..length].get(HEADER..HEADER + 8) else { continue };
        let number = u64::from_be_bytes(number.try_into().unwrap());
        if let Some(probe) = probes.lock().unwrap().get_mut(usize::try_from(number).unwrap()) {
            probe.answers += 1;
            probe.answered.get_or_insert_with(Instant::now);
        }
    }
}
