//! Watches beyond the link, at work: on a thread of their own, so that they keep their time whatever else the
//! controller is busy with.
//!
//! Each port that asks has a packet socket. It receives before any program on the port's hooks does, so also on ports
//! whose programs drop what they receive; a filter lets nothing but ARP and neighbour discovery wake the thread.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
    time::{Duration, Instant, SystemTime},
};

use aggctl_common::{IfIndex, PortId};
use aggctl_engine::{
    probe,
    prober::{Counted, PortFindings, ProbeWish, ProbedPort, Prober, WatchReport},
    watches::{Counts, WatchConfig},
};
use rustix::{
    event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll},
    fd::OwnedFd,
    io::Errno,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tracing::debug;

use crate::{error::KernelError, netlink::Netlink};

mod filter;
mod sample;
mod socket;

pub use sample::FrameSample;
use socket::{ProbeSocket, Purpose};

/// How often a socket that could not be opened is tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// Frames that are read of a socket in one go: more than its buffer has room for.
const MOST: usize = 1024;

/// What all watches have seen, port by port.
type Report = BTreeMap<PortId, Vec<WatchReport>>;

/// The watches at work. They end when it is dropped.
#[derive(Debug)]
pub struct Probing {
    wishes: mpsc::Sender<ProbeWish>,
    wake: Arc<OwnedFd>,
    findings: UnboundedReceiver<PortFindings>,
    report: Arc<Mutex<Report>>,
    /// What was wished for last.
    wished: ProbeWish,
}

impl Probing {
    /// Begins, in the network namespace of this thread, with nothing to watch.
    ///
    /// # Errors
    ///
    /// If there can be no thread.
    pub fn begin() -> Result<Self, KernelError> {
        let refused = |call| move |errno: Errno| KernelError::refused("watches", call, errno);
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        let wake = Arc::new(eventfd(0, flags).map_err(refused("make an event counter"))?);
        let (wishes, wished) = mpsc::channel();
        let (tell, findings) = unbounded_channel();
        let report = Arc::default();
        let worker = Worker {
            prober: Prober::default(),
            clock: Instant::now(),
            wishes: wished,
            wake: Arc::clone(&wake),
            tell,
            report: Arc::clone(&report),
            sockets: BTreeMap::new(),
            netlink: Netlink::open()?,
            retry: None,
        };
        let spawned = thread::Builder::new().name("watches".to_owned()).spawn(move || worker.run());
        spawned.map_err(|error| KernelError::refused("watches", "start a thread", error))?;
        Ok(Self { wishes, wake, findings, report, wished: ProbeWish::default() })
    }

    /// Watches this from now on.
    pub fn watch(&mut self, wish: ProbeWish) {
        if wish != self.wished {
            self.wished = wish.clone();
            // Without its thread nothing is told either, which says so.
            let _ = self.wishes.send(wish);
            self.wake();
        }
    }

    /// What watches say, as soon as one says something else than before; never, if they ended. May be given up and
    /// called again.
    pub async fn findings(&mut self) -> PortFindings {
        match self.findings.recv().await {
            Some(findings) => findings,
            None => std::future::pending().await,
        }
    }

    /// What all watches have seen.
    #[must_use]
    pub fn report(&self) -> Report {
        self.report.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn wake(&self) {
        // A counter that is full wakes, too.
        let _ = rustix::io::write(&*self.wake, &1_u64.to_ne_bytes());
    }
}

impl Drop for Probing {
    fn drop(&mut self) {
        let (nobody, _) = mpsc::channel();
        drop(std::mem::replace(&mut self.wishes, nobody));
        self.wake();
    }
}

/// What the thread has.
struct Worker {
    prober: Prober,
    clock: Instant,
    wishes: mpsc::Receiver<ProbeWish>,
    wake: Arc<OwnedFd>,
    tell: UnboundedSender<PortFindings>,
    report: Arc<Mutex<Report>>,
    sockets: BTreeMap<PortId, ProbeSocket>,
    netlink: Netlink,
    /// The sockets that could not be opened, and when to try again.
    retry: Option<(Vec<(PortId, Purpose)>, Instant)>,
}

impl Worker {
    /// Works until nobody wants it any more.
    fn run(mut self) {
        loop {
            loop {
                match self.wishes.try_recv() {
                    Ok(wish) => self.take(wish),
                    Err(mpsc::TryRecvError::Empty) => break,
                    Err(mpsc::TryRecvError::Disconnected) => return,
                }
            }
            self.work();
            self.sleep();
        }
    }

    fn now(&self) -> Duration {
        self.clock.elapsed()
    }

    /// Opens and closes sockets, and watches what is wished for.
    fn take(&mut self, wish: ProbeWish) {
        let wanted: BTreeMap<_, _> =
            wish.ports.iter().filter_map(|port| Some((port.id, purpose(port, &wish)?))).collect();
        self.sockets.retain(|id, socket| wanted.get(id) == Some(socket.purpose()));
        let missing = wanted.into_iter().filter(|(id, _)| !self.sockets.contains_key(id)).collect();
        self.open(missing);
        self.prober.set(self.now(), wish);
    }

    /// Opens these sockets; those that cannot be opened are tried again.
    fn open(&mut self, missing: Vec<(PortId, Purpose)>) {
        let mut failed = Vec::new();
        for (port, purpose) in missing {
            match ProbeSocket::open(purpose.clone()) {
                Ok(socket) => {
                    self.sockets.insert(port, socket);
                }
                Err(error) => {
                    debug!(%error, port = port.0, "a port cannot ask its neighbours; trying again");
                    failed.push((port, purpose));
                }
            }
        }
        self.retry = (!failed.is_empty()).then(|| (failed, Instant::now() + AGAIN));
    }

    /// Takes in what has come, does what is due, and tells what changed.
    fn work(&mut self) {
        if let Some((missing, _)) = self.retry.take_if(|(_, at)| *at <= Instant::now()) {
            self.open(missing);
        }
        for (port, socket) in &self.sockets {
            for _ in 0..MOST {
                let Some(frame) = socket.receive() else { break };
                if let Some(received) = probe::parse(frame.octets(), frame.tci()) {
                    self.prober.on_received(self.clock.elapsed(), *port, &received);
                }
            }
        }
        let now = self.now();
        if self.prober.wants_counters(now) {
            let counters = self.count();
            self.prober.counted(now, &counters);
        }
        for question in self.prober.turn(now) {
            if let Some(socket) = self.sockets.get(&question.port) {
                socket.send(&question.frame);
            }
        }
        for findings in self.prober.findings() {
            // The loop may have ended.
            let _ = self.tell.send(findings);
        }
        let now_ms = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
        let seen = self.prober.reports(self.now(), u64::try_from(now_ms).unwrap_or(u64::MAX));
        *self.report.lock().unwrap_or_else(PoisonError::into_inner) = seen;
    }

    /// The counters of all ports that have a link.
    fn count(&mut self) -> BTreeMap<PortId, Counted> {
        let ports: Vec<_> = self.prober.counting().collect();
        let counted = ports.into_iter().filter_map(|(port, index)| {
            let counters = self.netlink.counters(index).ok().flatten()?;
            let errors = counters.rx_errors.saturating_add(counters.tx_errors);
            Some((port, Counted { received: counters.rx_packets, errors }))
        });
        counted.collect()
    }

    /// Until something comes, or is due.
    fn sleep(&self) {
        let due = self.prober.deadline().map(|at| at.saturating_sub(self.now()));
        let retry = self.retry.as_ref().map(|(_, at)| at.saturating_duration_since(Instant::now()));
        let timeout = [due, retry].into_iter().flatten().min();
        // Rounded up: it is due when the kernel wakes us.
        let timeout = timeout.and_then(|time| Timespec::try_from(time).ok());
        let mut fds: Vec<_> = self.sockets.values().map(|socket| PollFd::new(socket, PollFlags::IN)).collect();
        fds.push(PollFd::new(&*self.wake, PollFlags::IN));
        // Interrupted or not, the next turn looks at everything.
        let _ = poll(&mut fds, timeout.as_ref());
        let mut counter = [0; 8];
        let _ = rustix::io::read(&*self.wake, &mut counter);
    }
}

/// What a port needs a socket for, if it asks.
fn purpose(port: &ProbedPort, wish: &ProbeWish) -> Option<Purpose> {
    let asking: Vec<_> = port.watches.iter().filter(|watch| watch.kind.asks()).collect();
    let strict = |watch: &&WatchConfig| [true, false].iter().all(|role| watch.validate.on(*role) != Counts::Protocol);
    let as_host = asking.iter().any(|watch| watch.source.is_some());
    (port.ifindex != IfIndex::NONE && !asking.is_empty()).then(|| Purpose {
        index: port.ifindex,
        mac: port.mac,
        also: as_host.then_some(wish.mac).into_iter().collect(),
        all: !asking.iter().all(strict),
    })
}

#[cfg(test)]
mod tests;
