//! A cable between two tap interfaces. Unlike veth, a tap is an ordinary device to the kernel: the loss of its carrier
//! is reported in batches.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use aggctl_testbed::tap::Tap;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::Namespace;

/// How long a shuttle waits for frames before it looks whether it shall end.
const TURN: Duration = Duration::from_millis(50);

/// Two tap interfaces and the thread that carries frames between them.
#[derive(Debug)]
pub struct Shuttle {
    ends: Arc<[Tap; 2]>,
    plugged: Arc<AtomicBool>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Shuttle {
    /// Makes both interfaces and joins them.
    pub fn new(ends: [(&Namespace, &str); 2]) -> Self {
        let ends = Arc::new(ends.map(|(namespace, name)| namespace.enter(|| Tap::new(name)).unwrap()));
        let (plugged, ended) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
        let thread = thread::spawn({
            let (ends, plugged, ended) = (Arc::clone(&ends), Arc::clone(&plugged), Arc::clone(&ended));
            move || carry(&ends, &plugged, &ended)
        });
        Self { ends, plugged, ended, thread: Some(thread) }
    }

    /// Cuts the cable (frames stop, then both ends lose carrier) or mends it.
    pub fn plug(&self, plugged: bool) {
        self.plugged.store(plugged, Ordering::Release);
        for end in &*self.ends {
            end.set_carrier(plugged).unwrap();
        }
    }
}

impl Drop for Shuttle {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Carries frames both ways until told to end. What cannot be delivered is lost, as on a cable.
fn carry(ends: &[Tap; 2], plugged: &AtomicBool, ended: &AtomicBool) {
    let mut frame = vec![0; 1 << 16];
    let turn = Timespec::try_from(TURN).unwrap();
    while !ended.load(Ordering::Acquire) {
        let mut waiting = [PollFd::new(&ends[0], PollFlags::IN), PollFd::new(&ends[1], PollFlags::IN)];
        if poll(&mut waiting, Some(&turn)).is_err() {
            continue;
        }
        for (from, to) in [(0, 1), (1, 0)] {
            while let Ok(Some(length)) = ends[from].read(&mut frame) {
                if plugged.load(Ordering::Acquire) {
                    let _ = ends[to].write(&frame[..length]);
                }
            }
        }
    }
}
