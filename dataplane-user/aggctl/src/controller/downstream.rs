//! Announcing: the aggregate's own addresses at once, and where all is that it carries as soon as that is known.

use std::collections::VecDeque;

use aggctl_common::IfIndex;
use aggctl_engine::action::Announcement;
use aggctl_kernel::{announce, error::KernelError};
use tracing::warn;

use super::{Controller, host_read::HostRead};
use crate::failure::Failure;

/// What is known of the rounds that tell the switches where all is that the aggregate carries.
#[derive(Debug, Default)]
pub(super) struct Downstream {
    /// Looks what there is to announce.
    look: HostRead<Vec<Vec<u8>>>,
    /// The interface that the rounds are sent through.
    through: IfIndex,
    /// Whether the look under way began for a round through another interface: then it is for nobody.
    stale: bool,
    /// Rounds that wait for the look under way to end.
    waiting: VecDeque<Look>,
}

/// What is to be looked for.
#[derive(Clone, Copy, Debug)]
struct Look {
    /// The aggregate.
    of: IfIndex,
    announcement: Announcement,
}

impl Downstream {
    /// The frames of the next round, as soon as they are known. May be given up and called again.
    pub async fn seen(&mut self) -> Result<Vec<Vec<u8>>, Failure> {
        self.look.result().await
    }

    /// A round through this interface is due. Those that wait to be sent through another one are out of date.
    fn ask(&mut self, through: IfIndex, look: Look) {
        if self.through != through {
            (self.through, self.stale) = (through, self.look.is_under_way());
            self.waiting.clear();
        }
        if self.look.is_under_way() {
            self.waiting.push_back(look);
        } else {
            self.begin(look);
        }
    }

    /// The look under way has ended. Begins with the next round, if one waits. Returns whether what was seen is to be
    /// sent.
    fn conclude(&mut self) -> bool {
        let is_wanted = !std::mem::take(&mut self.stale);
        if let Some(next) = self.waiting.pop_front() {
            self.begin(next);
        }
        is_wanted
    }

    fn begin(&mut self, Look { of, announcement }: Look) {
        self.look.begin("downstream", move |netlink| Ok(announce::downstream(netlink, of, announcement)?));
    }
}

impl Controller {
    /// Tells the neighbours where the aggregate is now, and begins to tell the switches where all is that it carries.
    pub(super) fn announce(&mut self, index: IfIndex, announcement: Announcement) -> Result<(), KernelError> {
        let of = self.record.index;
        if announcement.addresses && announcement.own {
            let rule = &self.record.config.vlan;
            announce::send(&mut self.executor.netlink, &self.sender, of, index, rule)?;
        }
        self.downstream.ask(index, Look { of, announcement });
        Ok(())
    }

    /// Begins to tell the switches where all is that the aggregate carries, if a port carries the traffic.
    pub(super) fn on_downstream(&mut self, frames: Result<Vec<Vec<u8>>, Failure>) {
        let is_wanted = self.downstream.conclude();
        let through = self.engine.table().choose().and_then(|port| self.index_of(port));
        let Some(through) = through.filter(|_| is_wanted) else { return };
        let frames = frames.unwrap_or_else(|error| {
            warn!(%error, "cannot tell what the aggregate carries: it is not announced");
            Vec::new()
        });
        let rule = &self.record.config.vlan;
        let left_out = self.outgoing.add(through, frames.into_iter().filter_map(|frame| rule.on_wire(frame)).collect());
        if left_out > 0 {
            warn!(left_out, "more MACs to announce than time to do so");
        }
        self.send_outgoing();
    }

    /// Sends the next of the announcements that wait, unless another port carries the traffic by now: it must not look
    /// as if it came by this one.
    pub(super) fn send_outgoing(&mut self) {
        let active = self.engine.table().choose().and_then(|port| self.index_of(port));
        if active != Some(self.outgoing.through()) {
            self.outgoing.clear();
        } else if let Err(error) = self.outgoing.send(&self.sender) {
            warn!(%error, "cannot announce all that is downstream");
        }
    }
}
