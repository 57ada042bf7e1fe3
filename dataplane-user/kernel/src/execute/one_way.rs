//! The steps that nothing takes back.

use aggctl_common::{IfIndex, MAX_PORTS, PortId, Ports};
use aggctl_engine::{
    plan::{OneWayStep, Subject},
    vlan::VlanConfig,
};
use tracing::debug;

use super::{ExecuteError, Executor, program::slot};
use crate::{announce, lacp::PortSpeaker, packet::PacketSender, sysctl};

impl Executor {
    /// Carries out a step that has no inverse.
    pub(super) fn act(&mut self, step: &OneWayStep) -> Result<(), ExecuteError> {
        match step {
            OneWayStep::Sysctls { link, values } => Ok(self.where_it_is(link, |_, target| {
                values.iter().try_for_each(|(key, value)| sysctl::set(&target.name, key, value))
            })?),
            OneWayStep::Select { link } => self.select(link),
            OneWayStep::Await { link, what } => Ok(self.wait(link, *what)?),
            OneWayStep::SpeakLacp { link, mac, system_priority } => {
                let index = self.find(link)?.index;
                // Without it the partner takes longer, and nothing fails.
                self.speaker = PortSpeaker::begin(index, *mac, *system_priority).unwrap_or_else(|error| {
                    debug!(%error, "a port cannot speak LACP");
                    None
                });
                Ok(())
            }
            OneWayStep::LeaveLacp { link } => {
                let Some(speaker) = self.speaker.take() else { return Ok(()) };
                speaker.leave();
                let index = self.find(link)?.index;
                Ok(self.drain(index)?)
            }
            OneWayStep::Announce { link } => {
                let link = self.find(link)?;
                // Through the interface itself: where a rule applies, the sending program does.
                Ok(announce::send(&mut self.netlink, &PacketSender::open()?, link.index, link.index, &VlanConfig::Off)?)
            }
        }
    }

    /// Makes this port the one that carries traffic.
    fn select(&mut self, link: &Subject) -> Result<(), ExecuteError> {
        let index = self.find(link)?.index;
        let port = slot(link)?;
        let table = self.dataplane.table()?;
        let former = table.load();
        table.publish(&only(&former, port, index));
        Ok(())
    }
}

/// The table with this port as the only one that carries traffic. The port that did so far still accepts: frames are on
/// their way to it until the switch has learnt better. The interfaces of the other slots stay.
fn only(table: &Ports, port: PortId, index: IfIndex) -> Ports {
    let mut ifindex = table.ifindex;
    ifindex[port.index()] = index;
    let mut order = [0; MAX_PORTS];
    order[0] = port.0;
    let accept = table.choose().filter(|former| *former != port).map_or(0, PortId::bit);
    Ports { usable: port.bit(), accept, active: port.0.into(), count: 1, order, ifindex, ..*table }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_selected_port_alone_carries_traffic_and_the_former_one_still_accepts() {
        let mut table = Ports { usable: 0b111, accept: 0, active: 2, count: 3, ..Ports::EMPTY };
        table.ifindex[0] = IfIndex(7);
        let selected = only(&table, PortId(1), IfIndex(9));
        assert_eq!(selected.choose(), Some(PortId(1)));
        // The former one, slot 2, goes on accepting.
        assert_eq!((selected.usable, selected.accept, selected.count), (0b10, 0b100, 1));
        assert_eq!(selected.ifindex[..3], [IfIndex(7), IfIndex(9), IfIndex(0)]);
    }
}
