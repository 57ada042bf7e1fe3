//! A port that speaks LACP before it is a bond's, on a thread of its own: [`aggctl_engine::lacp`] says why and what.

use std::{
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use aggctl_common::{IfIndex, Mac};
use aggctl_engine::lacp::{self, ETHERTYPE, GROUP, Heard, Speaker};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    net::{RecvFlags, SendFlags, recv, send},
};
use tracing::debug;

use crate::{
    error::KernelError,
    packet::socket::{Membership, PacketSocket},
};

/// How long the partner may take to answer a marker: bonding does so at once.
const MARKER: Duration = Duration::from_secs(1);
/// How long one that answered may say nothing of LACP: to a silent partner it speaks every 30 s.
const LACPDU: Duration = Duration::from_secs(31);
/// How long it may take until the partner has in use, or gives up, what it was told: bonding looks every 100 ms.
const SETTLED: Duration = Duration::from_secs(5);
/// How often is spoken without reason: partners give up after three times that.
const RHYTHM: Duration = Duration::from_secs(1);
/// How often the thread looks whether there is something to be said.
const LOOK: Duration = Duration::from_millis(10);
/// Octets of a frame that are read: more than one of LACP has.
const MOST_OCTETS: usize = 256;

/// A port that speaks LACP until this is dropped.
#[derive(Debug)]
pub struct PortSpeaker {
    speaker: Arc<Mutex<Speaker>>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl PortSpeaker {
    /// Begins, in the present network namespace, if the partner has the port in use without having heard LACP; and
    /// waits until it has heard it.
    ///
    /// # Errors
    ///
    /// If there can be no socket or no thread.
    pub fn begin(index: IfIndex, mac: Mac, system_priority: u16) -> Result<Option<Self>, KernelError> {
        let refused = |call| move |error: io::Error| KernelError::refused(format!("interface {index}"), call, error);
        let socket = PacketSocket::open().map_err(refused("open a packet socket"))?;
        socket.ignore_outgoing().map_err(refused("leave out what is sent"))?;
        socket.bind(index, ETHERTYPE).map_err(refused("bind a packet socket"))?;
        socket.join(index, Membership::Group(GROUP)).map_err(refused("receive frames to a group"))?;
        if send(&socket, &lacp::marker_question(mac), SendFlags::DONTWAIT).is_err() {
            return Ok(None);
        }
        let Some(frame) = find(&socket, MARKER, |frame| lacp::is_marker_answer(frame) || Heard::read(frame).is_some())
        else {
            debug!(index = index.0, "no partner answers here");
            return Ok(None);
        };
        let heard = match Heard::read(&frame) {
            Some(heard) => Some(heard),
            None => find(&socket, LACPDU, |frame| Heard::read(frame).is_some()).and_then(|frame| Heard::read(&frame)),
        };
        let Some(heard) = heard.filter(Heard::carries_without_partner) else {
            debug!(index = index.0, "the partner would gain nothing by LACP on this port");
            return Ok(None);
        };
        let speaker = Arc::new(Mutex::new(Speaker::answer(heard, mac, system_priority)));
        let ends = Arc::<AtomicBool>::default();
        let worker = SpeakerWorker { socket, speaker: Arc::clone(&speaker), ends: Arc::clone(&ends) };
        let spawned = thread::Builder::new().name("lacp".to_owned()).spawn(move || worker.run());
        let thread = Some(spawned.map_err(refused("start a thread"))?);
        let begun = Self { speaker, ends, thread };
        begun.settle();
        Ok(Some(begun))
    }

    /// Says from now on that the port has the key of the bond's members.
    pub fn set_key(&self, key: u16) {
        lock(&self.speaker).set_key(key);
    }

    /// Has the partner send by other ports, and ends.
    pub fn leave(self) {
        lock(&self.speaker).leave();
        self.settle();
    }

    /// Waits until the partner does what it was told. One that does not in time has other reasons.
    fn settle(&self) {
        let until = Instant::now() + SETTLED;
        while !lock(&self.speaker).is_settled() && Instant::now() < until {
            thread::sleep(LOOK);
        }
    }
}

impl Drop for PortSpeaker {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It has nothing that could fail but itself.
            let _ = thread.join();
        }
    }
}

/// What the thread has.
struct SpeakerWorker {
    socket: PacketSocket,
    speaker: Arc<Mutex<Speaker>>,
    ends: Arc<AtomicBool>,
}

impl SpeakerWorker {
    fn run(self) {
        let mut next = Instant::now();
        while !self.ends.load(Ordering::Relaxed) {
            while let Some(frame) = receive(&self.socket) {
                if let Some(heard) = Heard::read(&frame) {
                    lock(&self.speaker).hear(heard);
                }
            }
            let due = lock(&self.speaker).is_due();
            if due || next <= Instant::now() {
                let frame = lock(&self.speaker).frame();
                // What cannot be sent now is sent again.
                let _ = send(&self.socket, &frame, SendFlags::DONTWAIT);
                next = Instant::now() + RHYTHM;
            }
            wait(&self.socket, LOOK);
        }
    }
}

fn lock(speaker: &Mutex<Speaker>) -> MutexGuard<'_, Speaker> {
    speaker.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The first frame within `limit` that is one of these.
fn find(socket: &PacketSocket, limit: Duration, is_it: impl Fn(&[u8]) -> bool) -> Option<Vec<u8>> {
    let until = Instant::now() + limit;
    loop {
        while let Some(frame) = receive(socket) {
            if is_it(&frame) {
                return Some(frame);
            }
        }
        let left = until.checked_duration_since(Instant::now())?;
        wait(socket, left);
    }
}

/// The beginning of the next frame; `None` if there is none at present.
fn receive(socket: &PacketSocket) -> Option<Vec<u8>> {
    let mut octets = [0_u8; MOST_OCTETS];
    let (_, length) = recv(socket, &mut octets, RecvFlags::DONTWAIT).ok()?;
    octets.get(..length).map(<[u8]>::to_vec)
}

/// Until something comes, or for this long.
fn wait(socket: &PacketSocket, limit: Duration) {
    // Interrupted or not, the next turn looks at everything.
    let _ = poll(&mut [PollFd::new(socket, PollFlags::IN)], Timespec::try_from(limit).ok().as_ref());
}
