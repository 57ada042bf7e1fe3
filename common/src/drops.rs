//! Why a program dropped a frame, and where it is counted.

use crate::{MAX_PORTS, PortId};

/// A reason to drop. Each has a counter for every port (map `DROPS`, a per-CPU array of `u64`).
#[repr(u8)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DropReason {
    /// Received on a port that is not the one that carries traffic.
    Standby = 0,
    /// Received on, or meant for, an aggregate none of whose ports is usable.
    NoPort = 1,
    /// The header cannot be read or changed: the frame ends within it, or the kernel does not let the program change
    /// its VLAN tag (no memory, or a frame whose sender named another protocol than its header does).
    Malformed = 2,
    /// The VLAN rule does not allow its VLAN.
    Vlan = 3,
    /// Sent by the aggregate itself, and come back from a partner that knows of no group.
    Reflected = 4,
    /// A group frame that the designated port receives as well.
    Duplicate = 5,
}

// As docs/maps.md has it.
const _: () = assert!(DropReason::COUNTERS == 390);

#[allow(clippy::cast_possible_truncation, reason = "a few hundred counters")]
impl DropReason {
    /// All reasons, in the order of their counters.
    pub const ALL: [Self; 6] =
        [Self::Standby, Self::NoPort, Self::Malformed, Self::Vlan, Self::Reflected, Self::Duplicate];

    /// Entries of the map `DROPS`: a row for each port and one for frames that the host sent.
    pub const COUNTERS: u32 = ((MAX_PORTS + 1) * Self::ALL.len()) as u32;

    /// The counter of this reason for frames received on `port`.
    #[must_use]
    pub const fn received_on(self, port: PortId) -> u32 {
        port.0 as u32 * Self::ALL.len() as u32 + self as u32
    }

    /// The counter of this reason for frames that the host sent through the aggregate.
    #[must_use]
    pub const fn sent(self) -> u32 {
        (MAX_PORTS * Self::ALL.len()) as u32 + self as u32
    }

    /// The name used in output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Standby => "standby",
            Self::NoPort => "no_port",
            Self::Malformed => "malformed",
            Self::Vlan => "vlan",
            Self::Reflected => "reflected",
            Self::Duplicate => "duplicate",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_and_source_has_a_counter_of_its_own() {
        let mut used = [false; DropReason::COUNTERS as usize];
        let slots = 0..u8::try_from(MAX_PORTS).unwrap();
        let received = slots.flat_map(|slot| DropReason::ALL.map(|reason| reason.received_on(PortId(slot))));
        for counter in received.chain(DropReason::ALL.map(DropReason::sent)) {
            assert!(!core::mem::replace(&mut used[counter as usize], true), "{counter} is used twice");
        }
        assert!(used.iter().all(|used| *used));
    }
}
