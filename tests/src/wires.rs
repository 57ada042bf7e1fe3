//! What the switch receives on both cables of a lab with two ports.

use std::{ops::Deref, time::Duration};

use crate::{
    Capture, Lab,
    matrix::SOON,
    sys::Captured,
    wait::{self, wait_for},
};

/// After so long without a frame there is silence: longer than the pause between two rounds of announcements.
pub const QUIET: Duration = Duration::from_millis(600);

/// A capture of each cable, in the order of the ports.
#[derive(Debug)]
pub struct Wires([Capture; 2]);

impl Wires {
    /// Keeps the frames that the switch receives and `wanted` wants.
    pub fn start(lab: &Lab, wanted: fn(&Captured) -> bool) -> Self {
        let such = move |captured: &Captured| !captured.outgoing && wanted(captured);
        Self(["sw0", "sw1"].map(|end| Capture::start(&lab.switch, end, such)))
    }

    /// How many frames there are so far.
    pub fn total(&self) -> usize {
        self.iter().map(|wire| wire.count(|_| true)).sum()
    }

    /// Waits until nothing more comes, and forgets what did.
    #[track_caller]
    pub fn wait_for_silence(&self) {
        wait_for("silence", SOON, || {
            let before = self.total();
            wait::quiet(QUIET, || (self.total() != before).then_some(())).is_none()
        });
        self.clear();
    }

    /// Forgets what came so far.
    pub fn clear(&self) {
        self.iter().for_each(Capture::clear);
    }
}

impl Deref for Wires {
    type Target = [Capture; 2];

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}
