//! Showing that the loop turns: to the guardian or service manager, who replaces a controller that does not, and to the
//! server, which tells commands.

use std::rc::Rc;

use aggctl_engine::supervise::Beat;

use super::Voice;
use crate::api::Alive;

/// What beats while the loop turns.
pub(super) struct Heart {
    voice: Rc<dyn Voice>,
    alive: Alive,
}

impl Heart {
    /// A heart whose beats both receive.
    pub fn new(voice: Rc<dyn Voice>, alive: Alive) -> Self {
        Self { voice, alive }
    }

    /// Whether a guardian receives them.
    pub fn has_guardian(&self) -> bool {
        self.voice.has_guardian()
    }

    /// The loop turned.
    pub fn turn(&self) {
        self.alive.turn();
        self.voice.beat(Beat::Turn);
    }

    /// What comes now may take long, until the loop turns again.
    pub fn long(&self) {
        if self.alive.long() {
            self.voice.beat(Beat::Long);
        }
    }
}
