//! Pings with a memory: which were sent, which came back, how often, and when.
//!
//! A ping that counts as lost was lost between the two ends, and nowhere else:
//!
//! - A thread that the machine does not let run sends nothing, so nothing of it is lost. Answers wait for the other in
//!   a buffer for a minute of the fastest rhythm, and an answer that finds the buffer full is an error of the test.
//! - A request that the kernel refuses to send is told apart from one that is not answered.
//! - The queue of frames that a processor could not work off in time belongs to the machine, and all tests share it:
//!   what it dropped is told with what was lost.

use std::{
    fs,
    net::{IpAddr, SocketAddr, UdpSocket},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant, SystemTime},
};

use rustix::net::{AddressFamily, SocketType, ipproto};

use crate::{Namespace, holds_for, matrix::SOON, sys, wait, wait_for};

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
}

/// Echo requests at a steady rhythm, until dropped.
#[derive(Debug)]
pub struct Ping {
    socket: UdpSocket,
    start: Mark,
    probes: Arc<Mutex<Vec<Probe>>>,
    ended: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// A moment in the life of a [`Ping`].
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    /// How many pings were sent before.
    sent: usize,
    /// What the machine had dropped before.
    machine_dropped: u64,
}

/// What became of the pings of a period.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// How many were sent, or should have been.
    pub sent: u64,
    /// How many were answered.
    pub received: u64,
    /// How many were not.
    pub lost: u64,
    /// How many answers came more than once.
    pub doubled: u64,
    /// How many of the lost ones the kernel refused to send.
    pub refused: u64,
    /// The longest time between two answers, by when they arrived.
    pub longest_gap: Duration,
    /// The longest time between two pings sent.
    pub longest_pause: Duration,
    /// The lost ones that were sent one after the other.
    pub holes: Vec<Hole>,
    /// Frames that the machine dropped meanwhile, of whatever test, because a processor could not work them off in
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
            let (socket, probes, ended) = (socket.try_clone().unwrap(), Arc::clone(&probes), Arc::clone(&ended));
            move || send(&socket, &probes, &ended, interval)
        });
        let start = Mark { sent: 0, machine_dropped: machine_dropped() };
        let ping = Self { socket, start, probes, ended, threads: vec![receiver, sender] };
        ping.wait_for_answer(SOON);
        ping
    }

    fn probes(&self) -> MutexGuard<'_, Vec<Probe>> {
        self.probes.lock().unwrap()
    }

    /// Now.
    pub fn mark(&self) -> Mark {
        Mark { sent: self.probes().len(), machine_dropped: machine_dropped() }
    }

    /// What became of the pings since `mark`, once the stragglers are in.
    ///
    /// # Panics
    ///
    /// If an answer came and had no place in the socket's buffer: nobody knows then what was lost.
    #[track_caller]
    pub fn since(&self, mark: Mark) -> Stats {
        let end = self.probes().len();
        wait::find(STRAGGLERS, || self.probes()[mark.sent..end].iter().all(|probe| probe.answers > 0).then_some(()));
        assert_eq!(sys::overflow(&self.socket).unwrap(), 0, "answers that were not read in time");
        let dropped = machine_dropped() - mark.machine_dropped;
        Stats { machine_dropped: dropped, ..Stats::of(&self.probes()[mark.sent..end]) }
    }

    /// Whether a ping since `mark` was answered by now.
    pub fn answered_since(&self, mark: Mark) -> bool {
        self.probes()[mark.sent..].iter().any(|probe| probe.answers > 0)
    }

    /// What became of all pings so far.
    pub fn total(&self) -> Stats {
        self.since(self.start)
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
        let start = self.probes().len();
        wait_for("pings sent", Duration::from_secs(60), || self.probes().len() >= start + count);
    }

    /// Waits until a ping that is sent from now on is answered.
    #[track_caller]
    pub fn wait_for_answer(&self, limit: Duration) {
        let start = self.probes().len();
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
        let count = |such: fn(&Probe) -> bool| probes.iter().filter(|probe| such(probe)).count() as u64;
        let sent: Vec<Instant> = probes.iter().map(|probe| probe.sent).collect();
        let mut answers: Vec<Instant> = probes.iter().filter_map(|probe| probe.answered).collect();
        answers.sort();
        let start = sent.first().copied();
        let received = count(|probe| probe.answers > 0);
        Self {
            sent: probes.len() as u64,
            received,
            lost: probes.len() as u64 - received,
            doubled: probes.iter().map(|probe| probe.answers.saturating_sub(1)).sum(),
            refused: count(|probe| probe.refused && probe.answers == 0),
            longest_gap: longest_gap(start.into_iter().chain(answers)),
            longest_pause: longest_gap(sent.into_iter()),
            holes: holes(probes),
            machine_dropped: 0,
        }
    }
}

/// The longest time between two moments that follow each other.
fn longest_gap(moments: impl Iterator<Item = Instant> + Clone) -> Duration {
    let gaps = moments.clone().zip(moments.skip(1)).map(|(before, after)| after.saturating_duration_since(before));
    gaps.max().unwrap_or_default()
}

/// The lost ones of these, put together where they follow each other.
fn holes(probes: &[Probe]) -> Vec<Hole> {
    let runs = probes.chunk_by(|one, other| (one.answers > 0) == (other.answers > 0));
    runs.filter(|run| run[0].answers == 0)
        .map(|run| Hole { at: run[0].sent.duration_since(probes[0].sent), lost: run.len() as u64 })
        .collect()
}

/// How many frames this machine has dropped because a processor's queue of received frames was full: the second column
/// of `softnet_stat`, a line for each processor. The queues are those of all namespaces.
fn machine_dropped() -> u64 {
    let text = fs::read_to_string("/proc/net/softnet_stat").unwrap();
    let dropped = text.lines().map(|line| line.split_ascii_whitespace().nth(1).unwrap());
    dropped.map(|number| u64::from_str_radix(number, 16).unwrap()).sum()
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
    sys::set_receive_buffer(&socket, BUFFER).unwrap();
    // From the first question on the kernel notes when messages arrive.
    let _ = sys::arrival(&socket);
    socket
}

/// Sends a ping every `interval`; one that cannot be sent is as lost as one that is not answered. After a pause that
/// the machine forced upon this thread nothing is made up for.
fn send(socket: &UdpSocket, probes: &Mutex<Vec<Probe>>, ended: &AtomicBool, interval: Duration) {
    let kind = if socket.local_addr().unwrap().is_ipv4() { 8 } else { 128 };
    while !ended.load(Ordering::Acquire) {
        let now = Instant::now();
        let place = {
            let mut probes = probes.lock().unwrap();
            probes.push(Probe { sent: now, refused: false, answered: None, answers: 0 });
            probes.len() - 1
        };
        let number = place as u64;
        let mut message = [0; HEADER + 48];
        message[0] = kind;
        message[6..HEADER].copy_from_slice(&number.to_be_bytes()[6..]);
        message[HEADER..HEADER + 8].copy_from_slice(&number.to_be_bytes());
        if socket.send(&message).is_err() {
            probes.lock().unwrap()[place].refused = true;
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
        let Some(number) = message[..length].get(HEADER..HEADER + 8) else { continue };
        let number = u64::from_be_bytes(number.try_into().unwrap());
        if let Some(probe) = probes.lock().unwrap().get_mut(usize::try_from(number).unwrap()) {
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
