//! The rule: which port a frame takes, and what becomes of a frame that a port receives.
//!
//! It reads the table through [`PortsView`], because the programs and the controller share the table: a program must
//! load each word once, at the moment of the decision, while a test or the controller has a copy of its own.

use core::hint::cold_path;

use crate::{Destination, DropReason, IfIndex, MAX_PORTS, MacAddresses, PortId, control::Control, programs::RxPolicy};

/// A table of ports that the rule can read, word by word. See [`crate::Ports`] for the meaning of the words.
pub trait PortsView {
    /// The mask of ports that may carry traffic now.
    fn usable(&self) -> u64;
    /// The mask of ports that also accept unicast.
    fn accept(&self) -> u64;
    /// The slot of the active port.
    fn active(&self) -> u32;
    /// How many entries of the order are in use.
    fn count(&self) -> u32;
    /// The slot at `position` (below [`MAX_PORTS`]) of the order of preference.
    fn order(&self, position: usize) -> u8;
    /// The interface of a slot below [`MAX_PORTS`].
    fn ifindex(&self, slot: PortId) -> IfIndex;
    /// The aggregate's MAC as a word.
    fn mac(&self) -> u64;
    /// The one that it had before; 0: none.
    fn former_mac(&self) -> u64;
    /// Whether the port can carry traffic as far as the kernel says at this moment, whatever the table says. Where the
    /// kernel cannot be asked, or it is not known which device the port is: yes, the table alone decides.
    fn is_alive(&self, slot: PortId) -> bool;
    /// [`another`] of this table, wherever the code for that is best kept: it is not what happens to most frames.
    #[inline(always)]
    fn another(&self) -> Option<PortId>
    where
        Self: Sized,
    {
        another(self)
    }
    /// [`alive`] of this table, likewise.
    #[inline(always)]
    fn alive(&self) -> u64
    where
        Self: Sized,
    {
        alive(self)
    }
}

/// What becomes of a frame that a port receives, unless it is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// It goes to the aggregate.
    Aggregate,
    /// It stays with the port's own sockets.
    Port,
    /// It stays with the port's own sockets, and a copy goes to the aggregate.
    PortAndAggregate {
        /// Whether it is a link-local control frame: then no rule about VLANs applies to the copy.
        control: bool,
    },
}

/// The port that carries traffic now, where one does; where all do, the designated port: the active one if it is
/// usable and alive, else the first in the order of preference that is. If no usable port is alive, the table alone
/// decides. `None` if no port is usable.
#[inline(always)]
#[must_use]
pub fn choose(table: &impl PortsView) -> Option<PortId> {
    match usable_active(table) {
        Some(active) if table.is_alive(active) => Some(active),
        _ => table.another(),
    }
}

/// The active port, if it is usable.
#[allow(clippy::cast_possible_truncation, reason = "slots are below 64")]
#[inline(always)]
fn usable_active(table: &impl PortsView) -> Option<PortId> {
    let (usable, active) = (table.usable(), PortId((table.active() & 63) as u8));
    if usable & active.bit() != 0 { Some(active) } else { None }
}

/// What [`choose`] says if the active port is not usable or not alive. The table is read anew.
#[allow(clippy::cast_possible_truncation, reason = "positions are below 64")]
#[inline(always)]
#[must_use]
pub fn another(table: &impl PortsView) -> Option<PortId> {
    let usable = table.usable();
    if usable == 0 {
        return None;
    }
    let mut by_table = usable_active(table);
    let count = table.count();
    let mut position = 0;
    while position < MAX_PORTS && (position as u32) < count {
        let slot = PortId(table.order(position) & 63);
        if usable & slot.bit() != 0 {
            if table.is_alive(slot) {
                return Some(slot);
            }
            by_table = by_table.or(Some(slot));
        }
        position += 1;
    }
    by_table
}

/// Those of the usable ports that are alive, as far as they are in the order of preference; all usable ones if none is:
/// then the table alone decides.
#[allow(clippy::cast_possible_truncation, reason = "positions are below 64")]
#[inline(always)]
#[must_use]
pub fn alive(table: &impl PortsView) -> u64 {
    let (usable, count) = (table.usable(), table.count());
    let mut alive = usable;
    let mut position = 0;
    while position < MAX_PORTS && (position as u32) < count {
        let slot = PortId(table.order(position) & 63);
        if usable & slot.bit() != 0 && !table.is_alive(slot) {
            alive &= !slot.bit();
        }
        position += 1;
    }
    if alive == 0 { usable } else { alive }
}

/// Whether a frame that port `slot` received goes to the aggregate while one port is active; `group` says that its
/// destination is a group address. Those are taken from the port that carries the traffic only, so that the host does
/// not receive them twice. The active port is asked no further, since what a port received before its link was lost is
/// as good as ever; any other delivers once it is the next that is alive.
///
/// # Errors
///
/// The reason why it is dropped instead.
#[inline(always)]
pub fn accept(table: &impl PortsView, slot: PortId, group: bool) -> Result<(), DropReason> {
    if is_active(table, slot) {
        return Ok(());
    }
    match choose(table) {
        Some(chosen) if chosen.0 == slot.0 => Ok(()),
        Some(_) if !group && table.accept() & slot.bit() != 0 => Ok(()),
        Some(_) => Err(DropReason::Standby),
        None => Err(DropReason::NoPort),
    }
}

/// Whether this port is the active one and usable: then [`accept`] says yes, without looking any further.
#[inline(always)]
fn is_active(table: &impl PortsView, slot: PortId) -> bool {
    let (usable, active) = (table.usable(), table.active());
    active == u32::from(slot.0) && usable & slot.bit() != 0
}

/// Whether a frame that port `slot` received goes to the aggregate while all ports carry traffic and the partner is no
/// group: frames that it floods arrive on all ports, and frames that we send may come back.
///
/// # Errors
///
/// The reason why it is dropped instead.
#[inline(always)]
pub fn accept_one(table: &impl PortsView, slot: PortId, addresses: &MacAddresses) -> Result<(), DropReason> {
    if addresses.source.word() == table.mac() {
        return Err(DropReason::Reflected);
    }
    if !addresses.destination.is_group() {
        return Ok(());
    }
    if is_active(table, slot) {
        return Ok(());
    }
    match choose(table) {
        Some(designated) if designated.0 == slot.0 => Ok(()),
        Some(_) => Err(DropReason::Duplicate),
        None => Err(DropReason::NoPort),
    }
}

/// Where a frame that the host sends leaves, once its port is chosen.
///
/// # Errors
///
/// The reason why it is dropped instead.
#[inline(always)]
pub fn egress(table: &impl PortsView, chosen: Option<PortId>) -> Result<IfIndex, DropReason> {
    match chosen.map(|slot| table.ifindex(slot)) {
        Some(index) if index.0 != IfIndex::NONE.0 => Ok(index),
        _ => Err(DropReason::NoPort),
    }
}

/// The port that received a frame. Each method is called only when the rule needs its answer: for most frames not all
/// of them are.
pub trait ReceivingPort {
    /// The slot of the port.
    fn slot(&self) -> PortId;
    /// Which frames are accepted.
    fn rx_policy(&self) -> RxPolicy;
    /// The table of ports.
    fn table(&self) -> impl PortsView;
    /// Whether a socket bound to the port waits for frames of this EtherType ([`crate::Bound`]).
    fn is_awaited(&self) -> bool;
    /// [`accept`] for this port. A method, so that a program can keep this code out of line: most frames are received
    /// by the active port, for which it is not needed.
    ///
    /// # Errors
    ///
    /// The reason why the frame is dropped instead.
    #[inline(always)]
    fn accept(&self, group: bool) -> Result<(), DropReason> {
        accept(&self.table(), self.slot(), group)
    }
}

/// What becomes of a frame with these addresses.
///
/// # Errors
///
/// The reason why it is dropped instead.
#[inline(always)]
pub fn receive(port: &impl ReceivingPort, addresses: &MacAddresses) -> Result<Received, DropReason> {
    match Control::of(&addresses.destination) {
        Control::PortOnly => Ok(Received::Port),
        Control::PortAndAggregate => Ok(shared(port, addresses, true)),
        Control::No if port.is_awaited() => Ok(shared(port, addresses, false)),
        Control::No => match port.rx_policy() {
            RxPolicy::Active if is_active(&port.table(), port.slot()) => Ok(()),
            _ => accepted(port, addresses),
        }
        .map(|()| Received::Aggregate),
    }
}

/// What becomes of a frame that stays with the port's own sockets in any case.
#[inline(always)]
fn shared(port: &impl ReceivingPort, addresses: &MacAddresses, control: bool) -> Received {
    cold_path();
    match accepted(port, addresses) {
        Ok(()) => Received::PortAndAggregate { control },
        Err(_) => Received::Port,
    }
}

/// Whether a frame with these addresses goes to the aggregate.
#[inline(always)]
fn accepted(port: &impl ReceivingPort, addresses: &MacAddresses) -> Result<(), DropReason> {
    match port.rx_policy() {
        RxPolicy::Active => port.accept(addresses.destination.is_group()),
        RxPolicy::Designated => accept_one(&port.table(), port.slot(), addresses),
        RxPolicy::Any => Ok(()),
    }
}

/// Where a frame goes instead that goes to the aggregate by the MAC that it had before: to the present one. Neighbours
/// send so until they have learnt of the change.
#[inline(always)]
#[must_use]
pub fn readdressed(table: &impl PortsView, destination: &Destination) -> Option<Destination> {
    let former = table.former_mac();
    (former != 0 && destination.word() == former).then(|| Destination::from_word(table.mac()))
}

#[cfg(test)]
#[allow(clippy::cast_possible_truncation, reason = "slots are below 64")]
mod tests;
