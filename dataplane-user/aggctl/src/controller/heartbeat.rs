//! Showing that the loop runs: to the guardian or service manager, which replaces a controller whose loop is stuck, and
//! to the server, which tells commands.

use std::rc::Rc;

use aggctl_engine::supervise::Beat;

use super::Supervisor;
use crate::api::Alive;

/// Tells supervisor and server that the loop turns.
pub(super) struct Heartbeat {
    supervisor: Rc<dyn Supervisor>,
    alive: Alive,
}

impl Heartbeat {
    /// Both are told.
    pub fn new(supervisor: Rc<dyn Supervisor>, alive: Alive) -> Self {
        Self { supervisor, alive }
    }

    /// Whether a guardian is told.
    pub fn has_guardian(&self) -> bool {
        self.supervisor.has_guardian()
    }

    /// The loop turned.
    pub fn turn(&self) {
        self.alive.turn();
        self.supervisor.beat(Beat::Turn);
    }

    /// What comes now may take long, until the loop turns again.
    pub fn long(&self) {
        if self.alive.long() {
            self.supervisor.beat(Beat::Long);
        }
    }
}
