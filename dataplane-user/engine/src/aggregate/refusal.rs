//! What a running aggregate refuses.

use aggctl_common::PortId;
use thiserror::Error;

/// An event that asks for what cannot be. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EventRefusal {
    /// The owner chose a port that cannot carry traffic now.
    #[error("{port} cannot be made the active port: {why}")]
    NotUsable {
        /// Name of the port.
        port: String,
        /// Why it is not usable, in words.
        why: String,
    },
    /// The owner chose an active port where there is none.
    #[error("in this mode all ports carry traffic: there is no active port to choose")]
    NoActivePort,
    /// The owner chose a slot that holds no port.
    #[error("the aggregate has no port in slot {0}")]
    NoSuchPort(PortId),
    /// A port was added to a slot that another holds.
    #[error("slot {slot} is taken by {port}")]
    SlotTaken {
        /// The slot.
        slot: PortId,
        /// Name of the port that holds it.
        port: String,
    },
    /// A port was added to a slot beyond the last.
    #[error("there is no slot {0}: an aggregate has at most {max} ports", max = aggctl_common::MAX_PORTS)]
    NoSuchSlot(PortId),
}
