//! What the eBPF programs and the user side must agree on, and nothing else.
//!
//! The crate is `no_std` and is compiled for both sides: the identifiers of ports and links, the layout of the
//! maps, and the rule that says which port a frame takes. Since both sides compile the same rule, they cannot come to
//! different decisions about a packet.
#![no_std]
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod bound;
pub mod control;
pub mod destination;
pub mod device;
pub mod drops;
pub mod frame;
pub mod hash;
pub mod ids;
pub mod ports;
pub mod programs;
pub mod rule;
#[cfg(any(test, feature = "testing"))]
pub mod seen;
pub mod spread;
pub mod stamp;
pub mod vlan;

pub use bound::{Bound, EtherTypes};
pub use destination::{Destination, MacAddresses};
pub use drops::DropReason;
pub use ids::{IfIndex, Mac, PortId};
pub use ports::{MAX_PORTS, Ports, PortsMap};
pub use stamp::Stamp;

/// Version of every layout in this crate. A dataplane that was built with another one is rebuilt on `adopt`.
pub const LAYOUT_VERSION: u32 = 5;
