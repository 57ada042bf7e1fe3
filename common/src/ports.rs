//! The table of ports: the one map value that decides where frames go, and the rule that reads it.

use core::mem::offset_of;

use bytemuck::{Pod, Zeroable};

use crate::{
    IfIndex, PortId,
    rule::{self, PortsView},
};

/// The most ports that an aggregate can have: one bit each in a 64-bit mask.
pub const MAX_PORTS: usize = 64;

/// All slots, in order.
pub fn slots() -> impl Iterator<Item = PortId> {
    (0..=u8::MAX).take(MAX_PORTS).map(PortId)
}

/// The value of the map `PORTS` (an array of one entry).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct PortsMap {
    /// The table.
    pub ports: Ports,
    /// Where the kernel has the device of each slot's interface, for programs that ask it ([`crate::device`]); 0: not
    /// known. Written whenever the slot becomes usable or gets another interface.
    pub device: [u64; MAX_PORTS],
}

/// The table of ports: what the controller decides.
///
/// Written by the controller, read by the programs for every frame. Each of `usable`, `accept` and `active` is one
/// aligned word that is written by one atomic store, so a program sees either the old or the new value. `order` and
/// `ifindex` are only rewritten for slots that are not usable at that moment, or when the order of preference changes;
/// `active` keeps frames away from them meanwhile.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct Ports {
    /// A bit for each slot whose port may carry traffic now.
    pub usable: u64,
    /// A bit for each slot that also accepts unicast although it is not the active port: the port that was active
    /// until a moment ago, so that a change by hand loses nothing that is still on its way.
    pub accept: u64,
    /// The slot of the active port, or of the designated one. Meaningful only if its bit in `usable` is set.
    pub active: u32,
    /// How many entries of `order` are in use.
    pub count: u32,
    /// All slots in use, the most preferred first: where the programs fall back to.
    pub order: [u8; MAX_PORTS],
    /// The interface of each slot; [`IfIndex::NONE`] where the slot is free.
    pub ifindex: [IfIndex; MAX_PORTS],
    /// The aggregate's MAC as [`crate::Destination::word`] has it; 0 where no program needs it.
    pub mac: u64,
    /// The MAC that the aggregate had before, in the same form: unicast to it is taken as sent to `mac`. 0: none.
    pub former_mac: u64,
}

// As docs/maps.md has it.
const _: () = assert!(
    size_of::<Ports>() == 360
        && offset_of!(Ports, usable) == 0
        && offset_of!(Ports, accept) == 8
        && offset_of!(Ports, active) == 16
        && offset_of!(Ports, count) == 20
        && offset_of!(Ports, order) == 24
        && offset_of!(Ports, ifindex) == 88
        && offset_of!(Ports, mac) == 344
        && offset_of!(Ports, former_mac) == 352
        && size_of::<PortsMap>() == 872
        && offset_of!(PortsMap, ports) == 0
        && offset_of!(PortsMap, device) == 360
);

impl PortsMap {
    /// A table without ports.
    pub const EMPTY: Self = Self { ports: Ports::EMPTY, device: [0; MAX_PORTS] };
}

impl Ports {
    /// A table without ports.
    pub const EMPTY: Self = Self {
        usable: 0,
        accept: 0,
        active: 0,
        count: 0,
        order: [0; MAX_PORTS],
        ifindex: [IfIndex::NONE; MAX_PORTS],
        mac: 0,
        former_mac: 0,
    };

    /// The port that carries traffic now, by [`rule::choose`].
    #[must_use]
    pub fn choose(&self) -> Option<PortId> {
        rule::choose(self)
    }

    /// The table as it would be if this port could not carry traffic.
    #[must_use]
    pub fn without(&self, port: PortId) -> Self {
        Self { usable: self.usable & !port.bit(), ..*self }
    }

    /// Whether a frame that port `slot` received goes to the aggregate while one port is active, by [`rule::accept`];
    /// `group` says that its destination is a group address.
    #[must_use]
    pub fn accepts(&self, slot: PortId, group: bool) -> bool {
        rule::accept(self, slot, group).is_ok()
    }
}

impl PortsView for Ports {
    fn usable(&self) -> u64 {
        self.usable
    }

    fn accept(&self) -> u64 {
        self.accept
    }

    fn active(&self) -> u32 {
        self.active
    }

    fn count(&self) -> u32 {
        self.count
    }

    fn order(&self, position: usize) -> u8 {
        self.order[position]
    }

    fn ifindex(&self, slot: PortId) -> IfIndex {
        self.ifindex[slot.index()]
    }

    fn mac(&self) -> u64 {
        self.mac
    }

    fn former_mac(&self) -> u64 {
        self.former_mac
    }

    /// Nobody asks the kernel here: the table alone decides.
    fn is_alive(&self, _: PortId) -> bool {
        true
    }
}

impl Default for Ports {
    fn default() -> Self {
        Self::EMPTY
    }
}
