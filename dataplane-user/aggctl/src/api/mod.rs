//! How commands reach an aggregate: through its live controller.
//!
//! The controller listens on a socket beside its record. A request is one line of JSON, and so is each answer. What can be
//! known without a controller (the record, the pinned maps, the interfaces) commands read themselves: see `view`.

mod client;
mod protocol;
mod server;

pub use client::Client;
pub use protocol::{Answer, Request};
pub use server::{Asked, Server, UNKNOWN_REQUEST};
