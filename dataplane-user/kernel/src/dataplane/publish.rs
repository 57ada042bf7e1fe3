//! The order in which a new table is written while programs read the old one.
//!
//! Every word is stored on its own, so a program may see any mixture of old and new words that the order allows. The
//! order is such that the rule never chooses a port that neither table may use, and finds a port at every moment if
//! some port is usable in both tables: a flow that must move moves once.

use aggctl_common::{IfIndex, MAX_PORTS, PortId, Ports, rule};

/// One store to the live table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WordStore {
    /// [`Ports::usable`].
    Usable(u64),
    /// [`Ports::accept`].
    Accept(u64),
    /// [`Ports::active`].
    Active(u32),
    /// [`Ports::count`].
    Count(u32),
    /// Eight entries of [`Ports::order`], from eight times this number.
    Order(usize, [u8; 8]),
    /// An entry of [`Ports::ifindex`].
    IfIndex(PortId, IfIndex),
    /// [`Ports::mac`].
    Mac(u64),
    /// [`Ports::former_mac`].
    FormerMac(u64),
}

/// Slots in an order word.
pub(super) const ORDER_WORD: usize = 8;

/// Hands the stores that turn `old` into `new` to `store`, in their order. Words that are equal are left alone.
pub(super) fn stores(old: &Ports, new: &Ports, mut store: impl FnMut(WordStore)) {
    // What may carry traffic before and after: no program errs who uses one of these meanwhile.
    let stay = old.usable & new.usable & unmoved(old, new);

    // Whoever will accept must do so before it stops being the active port.
    let mut accept = old.accept | new.accept;
    if accept != old.accept {
        store(WordStore::Accept(accept));
    }

    // An active port among those that stay, so that nobody looks into the order while that is rewritten.
    let mut active = old.active;
    if let Some(port) = interim(old, new, stay)
        && active != u32::from(port.0)
    {
        active = u32::from(port.0);
        store(WordStore::Active(active));
    }
    if stay != old.usable {
        store(WordStore::Usable(stay));
    }

    for (word, (old, new)) in old.order.as_chunks::<ORDER_WORD>().0.iter().zip(new.order.as_chunks().0).enumerate() {
        if old != new {
            store(WordStore::Order(word, *new));
        }
    }
    if old.count != new.count {
        store(WordStore::Count(new.count));
    }
    for slot in slots() {
        if old.ifindex[slot.index()] != new.ifindex[slot.index()] {
            store(WordStore::IfIndex(slot, new.ifindex[slot.index()]));
        }
    }

    if old.mac != new.mac {
        store(WordStore::Mac(new.mac));
    }
    // Last: what is sent to it is given the one above.
    if old.former_mac != new.former_mac {
        store(WordStore::FormerMac(new.former_mac));
    }

    if stay != new.usable {
        store(WordStore::Usable(new.usable));
    }
    if active != new.active {
        store(WordStore::Active(new.active));
    }
    if accept != new.accept {
        accept = new.accept;
        store(WordStore::Accept(accept));
    }
}

/// The port that carries traffic while the table is being rewritten: the new choice if it may already, else the one
/// that is chosen now if it still may, else the first in the old order that may before and after.
fn interim(old: &Ports, new: &Ports, stay: u64) -> Option<PortId> {
    let stays = |port: &PortId| stay & port.bit() != 0;
    rule::choose(new)
        .filter(stays)
        .or_else(|| rule::choose(old).filter(stays))
        .or_else(|| rule::choose(&Ports { usable: stay, ..*old }))
        .or_else(|| slots().find(stays))
}

/// The slots whose interface is the same in both tables.
fn unmoved(old: &Ports, new: &Ports) -> u64 {
    slots()
        .filter(|slot| old.ifindex[slot.index()] == new.ifindex[slot.index()])
        .fold(0, |mask, slot| mask | slot.bit())
}

fn slots() -> impl Iterator<Item = PortId> {
    #[allow(clippy::cast_possible_truncation, reason = "MAX_PORTS is 64")]
    (0..MAX_PORTS as u8).map(PortId)
}

#[cfg(test)]
mod tests;
