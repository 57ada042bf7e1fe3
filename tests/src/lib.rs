//! The harness of the system tests: hosts, switches and clients made of network namespaces, and what watches the
//! traffic between them.
//!
//! A test reads like its drawing: a [`Lab`] is the topology, a [`Ping`] or a [`TcpSession`] is the traffic under way, a
//! [`Capture`] says what was on a wire, a [`HostState`] says whether the host is as before. Everything a test makes has
//! a name of its own and goes when the test ends, also when it fails.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a harness that cannot set a test up ends that test")]

pub mod aggctl;
pub mod capture;
pub mod card;
pub mod command;
pub mod doctor;
pub mod feature;
pub mod flap;
pub mod frames;
pub mod group;
pub mod guest;
pub mod host_state;
pub mod lab;
pub mod matrix;
pub mod monitor;
pub mod namespace;
pub mod neighbour;
pub mod partner;
pub mod pcapng;
pub mod ping;
pub mod private_run;
pub mod processes;
pub mod service;
pub mod shuttle;
pub mod systemd;
pub mod talk;
pub mod tcp;
pub mod two_hosts;
pub mod vlan;
pub mod wait;
pub mod wires;

pub use aggctl::Show;
pub use aggctl_testbed::{sys, tap};
pub use capture::Capture;
pub use command::Outcome;
pub use flap::Flapping;
pub use host_state::HostState;
pub use lab::{Lab, PortKind};
pub use matrix::{Case, Hook, skip};
pub use namespace::Namespace;
pub use neighbour::Neighbour;
pub use ping::Ping;
pub use private_run::PrivateRun;
pub use talk::Talk;
pub use tcp::TcpSession;
pub use wait::{holds_for, wait_for};
