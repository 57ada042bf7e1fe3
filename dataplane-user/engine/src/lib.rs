//! What decides about an aggregate: events in, actions out.
//!
//! There is no clock, socket, file or task in this crate; time is an argument. Its parts:
//!
//! - [`Aggregate`](aggregate::Aggregate): which ports are usable, which one is active, what must be announced. It is
//!   driven by the controller with [`Event`]s and answers with [`Action`]s.
//! - [`announce`] and [`downstream`]: the frames that say so, for the aggregate's own addresses and for all that is
//!   behind it.
//! - [`arrivals`]: what others do to addresses and routes while we move them.
//! - [`capture`]: what a capture of the ports consists of.
//! - [`conflict`]: who else works on the ports.
//! - [`doctor`]: known faults, found in a picture of aggregates and host.
//! - [`foreign`]: what others put on a port.
//! - [`spread`](mod@spread): the tables that say how traffic is spread where several ports carry it.
//! - [`hold_down`]: ports whose links change too often.
//! - [`identity`]: who a port is, apart from the index that its interface has at the moment.
//! - [`lacp`]: what a port says to a partner that speaks LACP before it becomes a member of a bond.
//! - [`ledger`]: what was found wrong, when to repair it, and when to repair it less often.
//! - [`plan`]: from a picture of the host ([`host::Host`]) and a wish to an ordered list of [`plan::Step`]s, each with
//!   its inverse. attach, detach, adding and removing a port are such lists, and the journal is one too.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod action;
pub mod aggregate;
pub mod announce;
pub mod arrivals;
pub mod bond;
pub mod capture;
pub mod changes;
pub mod config;
pub mod config_file;
pub mod conflict;
pub mod doctor;
pub mod downstream;
pub mod driver;
pub mod event;
pub mod foreign;
pub mod hold_down;
pub mod host;
pub mod identity;
pub mod lacp;
pub mod ledger;
pub mod membership;
pub mod names;
pub mod options;
pub mod plan;
pub mod probe;
pub mod prober;
pub mod record;
#[cfg(test)]
mod samples;
pub mod select;
pub mod settings;
pub mod spread;
pub mod status;
pub mod supervise;
pub mod tag;
mod text;
pub mod vlan;
pub mod watch;
pub mod watches;

pub use action::Action;
pub use event::Event;
