//! Doing what the engine says.

use aggctl_common::{IfIndex, PortId};
use aggctl_engine::{Action, Event, action::Notice};
use aggctl_kernel::{error::KernelError, execute::ExecuteError, netlink::Netlink};
use rustix::io::Errno;
use tracing::{info, warn};

use super::{Controller, clock::now_ms};
use crate::api::Answer;

impl Controller {
    /// Carries out one action. A failure is logged, not fatal: the next report of the subject shows the engine that the
    /// action had no effect. Of what it must know at once an event is returned.
    pub(super) fn act(&mut self, action: &Action) -> Option<Event> {
        let error = self.try_act(action).err()?;
        warn!(%error, ?action, "an action failed");
        match action {
            Action::SetPortMtu { port, mtu } if error.errno() != Some(Errno::NODEV) => {
                Some(Event::MtuRefused { port: *port, mtu: *mtu, why: error.to_string() })
            }
            // What follows goes by the new one already.
            Action::SetAggregateMac { .. } => {
                let report = self.executor.netlink.report(self.record.index).ok().flatten()?;
                Some(Event::Aggregate(report.aggregate_state()))
            }
            _ => None,
        }
    }

    fn try_act(&mut self, action: &Action) -> Result<(), ExecuteError> {
        match action {
            Action::Publish(table) => {
                self.table.publish(table);
                Ok(())
            }
            Action::PublishFallbackOrders(fallback_orders) => {
                Ok(self.executor.dataplane.publish_fallback_orders(fallback_orders)?)
            }
            Action::PublishBuckets(table) => Ok(self.executor.dataplane.publish_buckets(table)?),
            Action::PublishRotation(rotation) => Ok(self.executor.dataplane.publish_rotation(rotation)?),
            // The only handle on the aggregate's carrier is the administrative state of its other end.
            Action::SetCarrier(on) => Ok(self.executor.set_carrier(self.record.peer_index, *on)?),
            Action::SetPromisc { port, on } => {
                self.on_port(*port, |this, index| this.executor.netlink.set_promisc(index, *on))
            }
            Action::SetAllmulti { port, on } => {
                self.on_port(*port, |this, index| this.executor.netlink.set_allmulti(index, *on))
            }
            Action::KeepOwnFlags { port, own } => {
                self.change_record(|record| {
                    if let Some(port) = record.ports.iter_mut().find(|known| known.id == *port) {
                        (port.before.promisc, port.before.allmulti) = (own.promisc, own.allmulti);
                    }
                });
                Ok(())
            }
            Action::SetPortMac { port, mac } => {
                // Where it changes with the active port, that must not lose its link by it.
                let lives = self.record.config.mac_policy.needs_all_frames();
                let set = if lives { Netlink::set_living_mac } else { Netlink::set_mac };
                self.on_port(*port, |this, index| set(&mut this.executor.netlink, index, *mac))
            }
            // The record follows when it is reported: the table must not wait for the disk.
            Action::SetAggregateMac { mac } => Ok(self.executor.netlink.set_living_mac(self.record.index, *mac)?),
            Action::SetPortMtu { port, mtu } => {
                self.on_port(*port, |this, index| this.executor.netlink.set_mtu(index, *mtu))
            }
            Action::SetAggregateMtu { mtu } => Ok(self.executor.netlink.set_mtu(self.record.index, *mtu)?),
            Action::SetDriverActive { port } => {
                self.on_port(*port, |this, index| this.executor.netlink.set_driver_active(this.record.index, index))
            }
            Action::Announce { port, announcement } => {
                self.on_port(*port, |this, index| this.announce(index, *announcement))
            }
            Action::Notice(notice) => {
                self.notify(notice.clone());
                Ok(())
            }
        }
    }

    /// Tells all who listen.
    pub(super) fn notify(&self, notice: Notice) {
        info!(notice = %serde_json::to_string(&notice).unwrap_or_default());
        self.server.notify(Answer::Notice { at_ms: now_ms(), notice });
    }

    /// Does something to the interface of a port; nothing if it has none.
    fn on_port(
        &mut self,
        port: PortId,
        act: impl FnOnce(&mut Self, IfIndex) -> Result<(), KernelError>,
    ) -> Result<(), ExecuteError> {
        match self.index_of(port) {
            Some(index) => Ok(act(self, index)?),
            None => Ok(()),
        }
    }
}
