//! Announcements that wait for their turn: there may be thousands, and meanwhile a port may fail.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use aggctl_common::IfIndex;
use aggctl_engine::downstream::LIMIT;
use aggctl_kernel::packet::{PacketSender, SendError};

/// Frames sent in one go.
const BATCH: usize = 64;
/// Frames that may wait: those of several rounds, where one round follows the other that fast.
const MOST: usize = 4 * LIMIT;
/// Time between two batches. Every switch on the way floods these frames to all its ports, and none shall be lost in a
/// queue that is too short.
const PAUSE: Duration = Duration::from_millis(1);
/// How often in a row the queue may be full until the frames are given up: the port has come to a stand.
const PATIENCE: u32 = 1000;

/// Frames that wait to be sent, all out of one interface.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    frames: VecDeque<Vec<u8>>,
    through: IfIndex,
    refused: u32,
    /// When the last batch was sent.
    sent: Option<Instant>,
}

impl Outgoing {
    /// Adds frames for an interface. Those that still wait for another one are out of date. Returns how many are too
    /// many, and left out.
    pub fn add(&mut self, through: IfIndex, frames: Vec<Vec<u8>>) -> usize {
        if through != self.through {
            self.clear();
            self.through = through;
        }
        let room = MOST.saturating_sub(self.frames.len()).min(frames.len());
        let left_out = frames.len() - room;
        self.frames.extend(frames.into_iter().take(room));
        left_out
    }

    /// Forgets what waits.
    pub fn clear(&mut self) {
        self.frames.clear();
        self.refused = 0;
    }

    /// When to send the next batch, if one waits.
    pub fn due(&self) -> Option<Instant> {
        let next = || self.sent.map_or_else(Instant::now, |sent| sent + PAUSE);
        (!self.frames.is_empty()).then(next)
    }

    /// The interface that it waits for.
    pub fn through(&self) -> IfIndex {
        self.through
    }

    /// Sends a batch. An interface that is down is sent nothing: nobody can receive it.
    ///
    /// # Errors
    ///
    /// Why not all of it could be sent; the rest is forgotten.
    pub fn send(&mut self, sender: &PacketSender) -> Result<(), SendError> {
        self.sent = Some(Instant::now());
        for _ in 0..BATCH {
            let Some(frame) = self.frames.front() else { break };
            match sender.send(self.through, frame) {
                Ok(()) => {
                    self.frames.pop_front();
                    self.refused = 0;
                }
                Err(SendError::Full(_)) if self.refused < PATIENCE => {
                    self.refused += 1;
                    break;
                }
                Err(SendError::Down(_)) => self.clear(),
                Err(error) => {
                    self.clear();
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}
