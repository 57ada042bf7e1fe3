//! The only code that reads and changes the system.
//!
//! - [`netlink`], [`ethtool`], [`sysctl`], [`nft`], [`packet`], [`announce`], [`netns`]: small verbs, one call to the
//!   kernel each, whose errors name the thing and the call.
//! - [`dataplane`]: the programs and maps.
//! - [`snapshot`] takes the picture that plans are made from, [`execute`] carries out their steps, [`transaction`] and
//!   [`undo`] make sure that a plan is carried out whole or not at all ([`left`]: what could not be undone), [`gather`]
//!   moves what others added meanwhile, [`state`] keeps the journal.
//! - [`watch`] reports changes of interfaces, [`probe`] and [`conflicts`] say beforehand what is missing or in
//!   the way, [`udev`] whether an interface has its name yet; [`managers`] keeps network managers off.
//! - [`probing`] asks neighbours by the ports, and reads counters, for watches beyond the link.
//! - [`lacp`] speaks LACP by a port for as long as it moves into a bond.
//! - [`capture`] receives whatever passes a port.
//! - [`early`] says what ports have of XDP, [`vitals`] what `doctor` looks at and nobody else.
//! - [`process`] looks at processes of ours and ends them, [`privilege`] gives up what a process does not need.
//!
//! All but [`watch`] is synchronous: it must run in a process without a runtime, too.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod announce;
pub mod capture;
pub mod conflicts;
pub mod dataplane;
pub mod early;
pub mod error;
pub mod ethtool;
pub mod execute;
pub mod foreign;
pub mod gather;
pub mod lacp;
pub mod left;
pub mod managers;
pub mod memberships;
pub mod netlink;
pub mod netns;
pub mod nft;
pub mod packet;
pub mod packet_sockets;
pub mod privilege;
pub mod probe;
pub mod probing;
pub mod process;
pub mod snapshot;
pub mod state;
pub mod sysctl;
pub mod transaction;
pub mod udev;
pub mod undo;
pub mod verify;
pub mod vitals;
pub mod watch;
