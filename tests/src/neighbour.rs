//! A neighbour that answers ARP requests in its own way: late, or in a VLAN.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::{Namespace, frames::STRANGER, sys::PacketSocket};

/// `ETH_P_ALL`: frames of every protocol.
const ALL: u16 = 0x0003;
/// How long it waits for frames before it looks what else is to be done.
const TURN: Duration = Duration::from_millis(5);
/// An ARP request for an IPv4 address, up to who asks.
const REQUEST: [u8; 10] = [8, 6, 0, 1, 8, 0, 6, 4, 0, 1];
/// The answer to it.
const REPLY: [u8; 10] = [8, 6, 0, 1, 8, 0, 6, 4, 0, 2];

/// It answers until this is dropped.
#[derive(Debug)]
pub struct Neighbour {
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Neighbour {
    /// Answers for `address` at an interface, `delay` after each question, in a VLAN or without tag.
    pub fn start(namespace: &Namespace, interface: &str, address: [u8; 4], vlan: Option<u16>, delay: Duration) -> Self {
        let socket = namespace.enter(|| PacketSocket::open(interface, ALL)).unwrap();
        let ended = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let ended = Arc::clone(&ended);
            move || {
                let mut waiting: VecDeque<(Instant, Vec<u8>)> = VecDeque::new();
                while !ended.load(Ordering::Acquire) {
                    if let Some(frame) = socket.receive(TURN).unwrap().filter(|frame| !frame.outgoing) {
                        let due = Instant::now() + delay;
                        waiting.extend(answer(&frame.bytes, address, vlan).map(|answer| (due, answer)));
                    }
                    while let Some((_, answer)) = waiting.pop_front_if(|(due, _)| *due <= Instant::now()) {
                        socket.send(&answer).unwrap();
                    }
                }
            }
        });
        Self { ended, thread: Some(thread) }
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The answer to a question for this address in this VLAN.
fn answer(question: &[u8], address: [u8; 4], vlan: Option<u16>) -> Option<Vec<u8>> {
    let tag: Vec<u8> = vlan.into_iter().flat_map(|vlan| [0x8100, vlan]).flat_map(u16::to_be_bytes).collect();
    let request = question.get(12..)?.strip_prefix(&tag[..])?.strip_prefix(&REQUEST)?;
    // Who asks (MAC and address), a MAC that is not known, and who is asked for.
    let (asker, asked) = (request.get(..10)?, request.get(16..20)?);
    let to = &asker[..6];
    (asked == address).then(|| [to, &STRANGER, &tag, &REPLY, &STRANGER, &address, asker].concat())
}
