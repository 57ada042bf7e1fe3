//! For tests: what a program sees of the ports.

use crate::{IfIndex, PortId, Ports, rule::PortsView};

/// A table of which the kernel says which ports are alive.
#[derive(Clone, Copy)]
pub struct PortsWithLiveness {
    /// The table.
    pub ports: Ports,
    /// A bit for each slot whose port is alive.
    pub alive: u64,
}

impl PortsView for PortsWithLiveness {
    fn usable(&self) -> u64 {
        self.ports.usable
    }

    fn accept(&self) -> u64 {
        self.ports.accept
    }

    fn active(&self) -> u32 {
        self.ports.active
    }

    fn count(&self) -> u32 {
        self.ports.count
    }

    fn order(&self, position: usize) -> u8 {
        self.ports.order[position]
    }

    fn ifindex(&self, slot: PortId) -> IfIndex {
        self.ports.ifindex[slot.index()]
    }

    fn mac(&self) -> u64 {
        self.ports.mac
    }

    fn former_mac(&self) -> u64 {
        self.ports.former_mac
    }

    fn is_alive(&self, slot: PortId) -> bool {
        self.alive & slot.bit() != 0
    }
}
