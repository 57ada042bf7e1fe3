//! How commands reach an aggregate: through its live controller.
//!
//! The controller listens on a socket beside its record. A request is one line of JSON, and so is each answer. A
//! request is acknowledged at once ([`Answer::Received`]) if the controller's loop runs, and again while it is being
//! carried out: a controller that sends nothing for a while counts as dead, even if its process exists. What can be
//! known without a controller (the record, the pinned maps, the interfaces) commands read themselves: see `view`.

mod alive;
mod client;
mod protocol;
mod server;

pub use alive::Alive;
pub use client::{Client, Unanswered};
pub use protocol::{Answer, Request};
pub use server::{PendingRequest, Server, UNKNOWN_REQUEST, reply};
