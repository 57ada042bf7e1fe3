//! Two hosts with several cables between them, and flows of numbered frames that one of them sends.
//!
//! ```text
//!   near                            far
//!  +----------------------+       +----------------------+
//!  |  agg0 ┬ eth0 ─────────────────── eth0               |
//!  |       ├ eth1 ─────────────────── eth1               |
//!  |       └ eth2 ─────────────────── eth2               |
//!  +----------------------+       +----------------------+
//! ```
//!
//! There is no switch that floods: what comes out of a cable was sent into it.

use std::{
    collections::BTreeMap,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use etherparse::PacketBuilder;

use crate::{Case, Namespace, matrix::SOON, sys::PacketSocket, wait, wait_for};

/// The near host's address.
pub const NEAR: &str = "10.8.0.1";
/// The far host's address.
pub const FAR: &str = "10.8.0.2";
/// The UDP port that flows go to.
const SINK: u16 = 7777;
/// Where the number of a frame stands: behind Ethernet, IPv4 and UDP.
const NUMBER: usize = 14 + 20 + 8;
/// Octets of each frame.
const LENGTH: usize = NUMBER + 8;
/// How long the wires must be silent before all counts as received.
const SILENCE: Duration = Duration::from_millis(300);

/// The drawing above.
#[derive(Debug)]
pub struct Group {
    /// The case that this is.
    pub case: Case,
    /// Where the aggregate is.
    pub near: Namespace,
    /// The other end.
    pub far: Namespace,
    ports: usize,
}

impl Group {
    /// The drawing above with this many cables; the addresses are on the first.
    pub fn new(case: Case, ports: usize) -> Self {
        let group = Self { case, near: Namespace::new("n"), far: Namespace::new("f"), ports };
        for port in 0..ports {
            let far = group.far.name();
            group.near.ip(&format!("link add eth{port} type veth peer name eth{port} netns {far}"));
        }
        for (host, address) in [(&group.near, NEAR), (&group.far, FAR)] {
            host.set_sysctl("net/ipv6/conf/default/accept_dad", "0");
            for port in 0..ports {
                host.ip(&format!("link set eth{port} up"));
                host.keep_queues_short(&format!("eth{port}"));
            }
            host.ip(&format!("addr add {address}/24 dev eth0"));
        }
        for port in 0..ports {
            wait_for("a port with carrier", SOON, || group.near.has_carrier(&format!("eth{port}")));
        }
        for host in [&group.near, &group.far] {
            wait_for("addresses that are settled", SOON, || !host.ip("-6 addr show").contains("tentative"));
        }
        group
    }

    /// Joins all ports of an end into `agg0`.
    #[track_caller]
    pub fn attach(&self, end: &Namespace, options: &str) {
        let ports: Vec<_> = (0..self.ports).map(|port| format!("--port eth{port}")).collect();
        let (hook, device, wiring) = (self.case.hook.name(), self.case.device(), self.case.wiring.name());
        let line =
            format!("attach agg0 {} --hook {hook} --device {device} --wiring {wiring} {options}", ports.join(" "));
        end.aggctl(&line).ok();
        end.wait_for_show("agg0", "all ports usable", |show| {
            (0..self.ports).all(|port| show.port(&format!("eth{port}"))["usable"] == true)
        });
    }

    /// Cuts a cable.
    #[track_caller]
    pub fn cut(&self, port: usize) {
        self.far.ip(&format!("link set eth{port} down"));
        self.near.wait_for_show("agg0", "the port is lost", |show| show.port(&format!("eth{port}"))["usable"] == false);
    }

    /// Mends a cable.
    #[track_caller]
    pub fn restore(&self, port: usize) {
        self.far.ip(&format!("link set eth{port} up"));
        self.near.wait_for_show("agg0", "the port is back", |show| show.port(&format!("eth{port}"))["usable"] == true);
    }

    /// Counts the flows' frames that come out of each cable, from now on.
    pub fn listen(&self) -> Receivers {
        Receivers { receivers: (0..self.ports).map(|port| Receiver::open(&self.far, &format!("eth{port}"))).collect() }
    }

    /// Counts the flows' frames that reach the far host's `agg0`, from now on.
    pub fn listen_behind(&self) -> Receivers {
        Receivers { receivers: vec![Receiver::open(&self.far, "agg0")] }
    }

    /// Sends frames of flows from the aggregate.
    pub fn sender(&self) -> Sender {
        let socket = self.near.enter(|| PacketSocket::open("agg0", 0)).unwrap();
        Sender { socket, next: 0 }
    }
}

/// Sends numbered frames.
#[derive(Debug)]
pub struct Sender {
    socket: PacketSocket,
    next: u64,
}

impl Sender {
    /// Sends the next frame, as one of this flow.
    pub fn send(&mut self, flow: u16) {
        let mut frame = Vec::with_capacity(LENGTH);
        PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
            .ipv4([10, 8, 0, 1], [10, 8, 0, 2], 64)
            .udp(flow, SINK)
            .write(&mut frame, &self.next.to_be_bytes())
            .unwrap();
        self.socket.send(&frame).unwrap();
        self.next += 1;
    }

    /// Sends a frame of each of these flows, no faster than the queues on the way bear it.
    pub fn send_all(&mut self, flows: impl IntoIterator<Item = u16>) {
        for (count, flow) in flows.into_iter().enumerate() {
            self.send(flow);
            if count % 50 == 49 {
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    }

    /// Sends so many frames a second of these flows in turn while something happens, and says how many it were. A busy
    /// machine may send fewer a second.
    pub fn during(&mut self, rate: u32, flows: u16, happens: impl FnOnce()) -> u64 {
        let (begin, ended) = (self.next, AtomicBool::new(false));
        std::thread::scope(|scope| {
            // Also where what happens panics: the scope ends with the thread.
            let _end = End(&ended);
            scope.spawn(|| self.send_until(&ended, rate, flows));
            happens();
        });
        self.next - begin
    }

    fn send_until(&mut self, ended: &AtomicBool, rate: u32, flows: u16) {
        /// How often frames are sent, times a second.
        const BEATS: u32 = 500;
        let mut next = Instant::now();
        while !ended.load(Ordering::Acquire) {
            for _ in 0..rate / BEATS {
                let flow = u16::try_from(self.next % u64::from(flows)).unwrap();
                self.send(1000 + flow);
            }
            // What this thread was not let send in time it does not send at once: queues on the way hold so many.
            next = (next + Duration::from_secs(1) / BEATS).max(Instant::now());
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
        }
    }
}

/// Ends a sender when it is dropped.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// What came out of the cables.
#[derive(Debug)]
pub struct Receivers {
    receivers: Vec<Receiver>,
}

impl Receivers {
    /// The flow and the number of each frame that came out of each cable, once nothing more comes.
    pub fn received(&self) -> Vec<Vec<(u16, u64)>> {
        let mut before = usize::MAX;
        while self.count() != before {
            before = self.count();
            std::thread::sleep(wait::patient(SILENCE));
        }
        self.receivers.iter().map(|receiver| receiver.received.lock().unwrap().clone()).collect()
    }

    /// How many frames came out of all cables.
    fn count(&self) -> usize {
        self.receivers.iter().map(|receiver| receiver.received.lock().unwrap().len()).sum()
    }

    /// Waits until so many more frames came out of the cables.
    ///
    /// # Panics
    ///
    /// If they do not come soon.
    #[track_caller]
    pub fn wait_for_more(&self, frames: usize) {
        let enough = self.count() + frames;
        wait_for(&format!("{frames} more frames"), SOON, || self.count() >= enough);
    }

    /// The cable that each flow came out of.
    ///
    /// # Panics
    ///
    /// If a flow came out of two.
    #[track_caller]
    pub fn cables(&self) -> BTreeMap<u16, usize> {
        let mut cables = BTreeMap::new();
        for (cable, received) in self.received().into_iter().enumerate() {
            for (flow, _) in received {
                assert_eq!(*cables.entry(flow).or_insert(cable), cable, "flow {flow} took two cables");
            }
        }
        cables
    }

    /// Forgets what was received.
    pub fn clear(&self) {
        self.receivers.iter().for_each(|receiver| receiver.received.lock().unwrap().clear());
    }
}

/// One end of a cable.
#[derive(Debug)]
struct Receiver {
    received: Arc<Mutex<Vec<(u16, u64)>>>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Receiver {
    fn open(host: &Namespace, interface: &str) -> Self {
        let socket = host.enter(|| PacketSocket::open(interface, 0x0800)).unwrap();
        let (received, ended) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let thread = std::thread::spawn({
            let (received, ended) = (Arc::clone(&received), Arc::clone(&ended));
            move || {
                let mut frame = [0; LENGTH];
                while !ended.load(Ordering::Acquire) {
                    match socket.read(Duration::from_millis(50), &mut frame) {
                        Ok(Some(LENGTH)) => received.lock().unwrap().extend(understand(&frame)),
                        Ok(_) => {}
                        // The interface went down: it comes back.
                        Err(error) if error.raw_os_error() == Some(libc::ENETDOWN) => {}
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            }
        });
        Self { received, ended, thread: Some(thread) }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The flow and the number of a frame, if it is one of ours.
fn understand(frame: &[u8; LENGTH]) -> Option<(u16, u64)> {
    let word = |at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
    let ours = word(12) == 0x0800 && frame[23] == 17 && word(36) == SINK;
    ours.then(|| (word(34), u64::from_be_bytes(*frame[NUMBER..].first_chunk().unwrap())))
}
