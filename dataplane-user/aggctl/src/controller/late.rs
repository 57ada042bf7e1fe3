//! What others add to ports whose addresses have just moved: they could not know of the move yet.

use std::time::{Duration, Instant};

use aggctl_common::IfIndex;
use aggctl_kernel::{gather, left::Leftovers};
use tracing::{info, warn};

use super::Controller;
use crate::failure::Failure;

/// So long after an attach, or after a port was added, what is added to a port goes to the aggregate too.
const LATE: Duration = Duration::from_secs(1);

impl Controller {
    /// Begins to listen for what others do, ahead of a plan that moves addresses and routes.
    pub(super) fn listen(&mut self) -> Result<(), Failure> {
        if self.late.is_some() {
            self.gather();
        }
        Ok(self.executor.listen()?)
    }

    /// Goes on listening for a while.
    pub(super) fn await_late(&mut self) {
        if self.executor.listener.is_none()
            && let Err(error) = self.executor.listen()
        {
            warn!(%error, "what comes to the ports by now stays there");
        }
        self.gather();
        self.late = Some(Instant::now() + LATE);
    }

    /// Moves to the aggregate what came to a port since. To be called after any change, and when the time is over.
    pub(super) fn take_late(&mut self) {
        self.executor.receive_events(false);
        if self.port_changes.is_under_way() {
            // The events received until now are for the plan that is being made.
            return;
        }
        let Some(until) = self.late else {
            // A plan that was refused, or a port that was removed.
            self.executor.listener = None;
            return;
        };
        let ports: Vec<IfIndex> = self.record.ports.iter().filter_map(|port| port.index).collect();
        let complete = self.executor.arrivals().is_empty_on(&ports) || self.gather();
        if until <= Instant::now() {
            if !complete {
                warn!("addresses or routes still come to the ports; from now on they stay there");
            }
            self.end_late();
        }
    }

    /// Listens no longer. What came to a port and was flushed with an address that moved is given back to it.
    pub(super) fn end_late(&mut self) {
        if self.late.take().is_some() {
            let mut left = Leftovers::default();
            gather::restore(&self.record, &self.record.ports, &mut self.executor, &mut left);
            left.into_errors().iter().for_each(|error| warn!(error, "cannot give back to a port what came to it"));
        }
        self.executor.listener = None;
    }

    /// Moves what came so far; the loop must go on, so more than that waits. Says whether nothing came since.
    fn gather(&mut self) -> bool {
        let steps = self.record.journal.len();
        let gathered = gather::to_aggregate(&self.store, &mut self.record, &mut self.executor, 2);
        if self.record.journal.len() > steps {
            info!("moved to the aggregate what came to its ports meanwhile");
            self.mirror.touch();
            self.write_record();
        }
        match gathered {
            Ok(gathered) => {
                gathered.left.iter().for_each(|left| warn!("{left}"));
                gathered.complete
            }
            Err(error) => {
                warn!(%error, "what came to the ports stays there");
                false
            }
        }
    }
}
