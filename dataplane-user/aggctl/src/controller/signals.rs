//! Signals that ask this process to end.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Listens from its making on: until then such a signal ends the process at once.
#[derive(Debug)]
pub(super) struct Signals {
    end: Signal,
    interrupt: Signal,
    /// The end of a terminal, which means nothing to a controller.
    hangup: Signal,
}

impl Signals {
    /// Begins to listen. To be called in a runtime.
    pub fn listen() -> io::Result<Self> {
        let [end, interrupt, hangup] =
            [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()].map(signal);
        Ok(Self { end: end?, interrupt: interrupt?, hangup: hangup? })
    }

    /// Waits until one comes. May be given up and called again without losing one.
    pub async fn next(&mut self) {
        loop {
            tokio::select! {
                _ = self.end.recv() => return,
                _ = self.interrupt.recv() => return,
                _ = self.hangup.recv() => {}
            }
        }
    }
}
