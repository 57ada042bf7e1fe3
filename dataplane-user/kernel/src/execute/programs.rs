//! The steps about programs and maps.

use aggctl_common::{IfIndex, PortId, Ports};
use aggctl_engine::{
    config::Device,
    plan::{Step, Subject},
};

use super::Executor;
use crate::{
    dataplane::{DataplaneError, Ends},
    error::KernelError,
};

impl Executor {
    /// Carries out a step about programs or maps. What is taken off need not be there, nor need its interface.
    pub(super) fn change_programs(&mut self, step: &Step) -> Result<(), KernelError> {
        match step {
            Step::CreateMaps => self.dataplane.create()?,
            Step::DeleteMaps => self.dataplane.remove()?,
            Step::Select { link } => {
                let index = self.find(link)?.index;
                self.select(slot(link)?, index)?;
            }
            Step::AttachTx { device, hook } => {
                let (aggregate, hidden) = self.pair()?;
                self.dataplane.attach_tx(&self.ends(*device, aggregate, hidden), *hook)?;
            }
            Step::DetachTx { device, hook } => {
                let ends = self.ends_or_none(*device)?;
                self.dataplane.detach_tx(&ends, *hook)?;
            }
            Step::AttachRelay { hook } => {
                let (aggregate, hidden) = self.pair()?;
                self.dataplane.attach_relay(&self.ends(Device::Auto, aggregate, hidden), *hook)?;
            }
            Step::DetachRelay { hook } => {
                let ends = self.ends_or_none(Device::Auto)?;
                self.dataplane.detach_relay(&ends, *hook)?;
            }
            Step::AttachRx { link, hook } => {
                let (aggregate, hidden) = self.pair()?;
                let index = self.find(link)?.index;
                self.dataplane.attach_rx(slot(link)?, index, &self.ends(Device::Auto, aggregate, hidden), *hook)?;
            }
            Step::DetachRx { link, hook } => {
                let index = self.index_or_none(link)?;
                self.dataplane.detach_rx(slot(link)?, index, *hook)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// The pair with these numbers, as the data path wants it. The device matters to the sending program alone.
    #[must_use]
    pub fn ends(&self, device: Device, aggregate: IfIndex, hidden: IfIndex) -> Ends {
        Ends { wiring: self.wiring, device, aggregate, hidden, namespace: self.apart().cloned() }
    }

    /// The pair, as far as it is there.
    fn ends_or_none(&mut self, device: Device) -> Result<Ends, KernelError> {
        let aggregate = self.index_or_none(&Subject::Aggregate)?;
        let hidden = self.index_or_none(&Subject::Hidden)?;
        Ok(self.ends(device, aggregate, hidden))
    }

    /// The index of an interface, or the one that stands for none: its pins must go all the same.
    fn index_or_none(&mut self, subject: &Subject) -> Result<IfIndex, KernelError> {
        match self.find(subject) {
            Ok(target) => Ok(target.index),
            Err(KernelError::Gone(_)) => Ok(IfIndex::NONE),
            Err(error) => Err(error),
        }
    }

    /// Makes `port` the one that carries traffic.
    fn select(&self, port: PortId, index: IfIndex) -> Result<(), DataplaneError> {
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
    let mut order = [0; aggctl_common::MAX_PORTS];
    order[0] = port.0;
    let accept = table.choose().filter(|former| *former != port).map_or(0, PortId::bit);
    Ports { usable: port.bit(), accept, active: port.0.into(), count: 1, order, ifindex, mac: table.mac }
}

/// The slot of a port.
fn slot(subject: &Subject) -> Result<PortId, KernelError> {
    match subject {
        Subject::Port { id, .. } => Ok(*id),
        Subject::Aggregate | Subject::Hidden => {
            Err(KernelError::Malformed { subject: "receiving program".into(), what: "step (it is for ports only)" })
        }
    }
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
