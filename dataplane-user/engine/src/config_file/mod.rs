//! The file that describes an aggregate: TOML, whose keys are the options of `attach` and `set`.
//!
//! ```toml
//! mode = "hash"
//! poll = "5ms"
//! watch = ["link", "arp,target=192.0.2.1"]
//!
//! [ports.eth0]
//! priority = 5
//! sticky = true
//!
//! [ports.eth1]
//! ```
//!
//! Ports may also be written as on the command line: `ports = ["eth0,priority=5,sticky", "eth1"]`. What is not in the
//! file has its default: the file describes the whole aggregate.

mod edit;
mod item;
mod mistake;
mod read;
mod write;

pub use edit::edit;
pub use mistake::Mistake;
pub use read::ConfigFile;
pub use write::text;

/// The key of the ports.
const PORTS: &str = "ports";

#[cfg(test)]
mod tests;
