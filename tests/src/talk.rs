//! Somebody who talks to everybody all the time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::{
    Namespace,
    frames::{LOCAL, frame},
    sys::PacketSocket,
    wait,
};

/// Time between two frames.
const PERIOD: Duration = Duration::from_millis(20);

/// Broadcast frames out of an interface, one after the other, until this is dropped.
#[derive(Debug)]
pub struct Talk {
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Talk {
    /// Begins to talk.
    pub fn start(namespace: &Namespace, interface: &str) -> Self {
        let socket = namespace.enter(|| PacketSocket::open(interface, 0)).unwrap();
        let ended = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let ended = Arc::clone(&ended);
            move || {
                while !ended.load(Ordering::Acquire) {
                    socket.send(&frame([0xff; 6], LOCAL, "talk")).unwrap();
                    wait::until(Instant::now() + PERIOD);
                }
            }
        });
        Self { ended, thread: Some(thread) }
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
