//! The table of ports as the programs shall see it.

use std::time::Duration;

use aggctl_common::{IfIndex, MAX_PORTS, PortId, Ports};

use crate::aggregate::port::Port;

/// How long a port that was active until now, and is still usable, goes on accepting unicast: the switch sends there
/// until it has learnt from the announcements. It drops broadcast and multicast at once, which would else come twice.
pub const ACCEPT_GRACE: Duration = Duration::from_millis(250);

/// Builds the table, but for MACs. `active` is the slot to enter as active while there is one.
pub(super) fn build(ports: &[Port], order: &[PortId], active: PortId) -> Ports {
    let mut table = Ports { active: active.0.into(), ..Ports::EMPTY };
    for port in ports {
        if port.usable {
            table.usable |= port.id.bit();
        }
        if port.accept_until.is_some() {
            table.accept |= port.id.bit();
        }
        if let Some(entry) = table.ifindex.get_mut(port.id.index()) {
            *entry = port.ifindex;
        }
    }
    for (entry, id) in table.order.iter_mut().zip(order) {
        *entry = id.0;
        table.count += 1;
    }
    table
}

/// The table to publish before `new`, if going from `old` to `new` changes the interface of a slot that programs may be
/// using this moment: the same as `old`, but with those slots out of use.
pub(super) fn between(old: &Ports, new: &Ports) -> Option<Ports> {
    let moved = (0..MAX_PORTS)
        .filter(|&slot| old.ifindex[slot] != new.ifindex[slot] && old.ifindex[slot] != IfIndex::NONE)
        .fold(0_u64, |mask, slot| mask | 1 << slot);
    let in_use = (old.usable | old.accept) & moved;
    (in_use != 0).then_some(Ports {
        usable: new.usable & !moved,
        accept: new.accept & !moved,
        active: new.active,
        ..*old
    })
}
