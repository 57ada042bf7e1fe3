//! Reads and changes the network configuration of the present namespace, one call at a time.
//!
//! This is a client of our own rather than the `rtnetlink` crate, whose sockets it uses, for four reasons: plans run as
//! a plain list also in processes that have no runtime (the guardian); nexthop objects and nfnetlink are unknown to
//! that crate; routes must be moved unchanged, with attributes that no library knows; and of the many events that
//! others cause no more shall be parsed than is needed ([`crate::watch`]).

pub mod address;
pub(crate) mod genl;
pub mod link;
pub mod listener;
pub mod mdb;
pub mod neighbour;
pub mod nexthop;
pub mod route;
pub mod rule;
pub(crate) mod socket;
pub mod station;
pub mod tc;
pub(crate) mod tlv;

use std::io;

use rtnetlink::sys::protocols::NETLINK_ROUTE;
use rustix::io::Errno;

use self::{
    genl::team::TeamSocket,
    socket::Socket,
    tlv::{number_u8, number_u16},
};
use crate::error::{CallFailure, KernelError};

/// `NLM_F_CREATE`: make it if it is not there.
pub(crate) const CREATE: u16 = number_u16(libc::NLM_F_CREATE);
/// `NLM_F_EXCL`: fail if it is there.
pub(crate) const EXCL: u16 = number_u16(libc::NLM_F_EXCL);
/// `NLM_F_REPLACE`: change it if it is there.
pub(crate) const REPLACE: u16 = number_u16(libc::NLM_F_REPLACE);
/// `NLM_F_APPEND`: put it behind those that are there.
pub(crate) const APPEND: u16 = number_u16(libc::NLM_F_APPEND);

/// `AF_INET`, as messages carry it.
pub(crate) const INET: u8 = number_u8(libc::AF_INET);
/// `AF_INET6`, as messages carry it.
pub(crate) const INET6: u8 = number_u8(libc::AF_INET6);

/// A route netlink socket, bound to the network namespace in which it was opened; and one by which the team driver is
/// asked, whose devices route netlink says little about.
#[derive(Debug)]
pub struct Netlink {
    socket: Socket,
    teams: TeamSocket,
}

impl Netlink {
    /// Opens a socket.
    ///
    /// # Errors
    ///
    /// If the kernel gives none.
    pub fn open() -> Result<Self, KernelError> {
        let open =
            || -> io::Result<Self> { Ok(Self { socket: Socket::open(NETLINK_ROUTE)?, teams: TeamSocket::open()? }) };
        open().map_err(|error| KernelError::refused("netlink", "open", error))
    }

    /// The number by which the kernel tells what this socket asked for from what others did.
    #[must_use]
    pub fn port(&self) -> u32 {
        self.socket.port()
    }

    /// All objects of a kind.
    fn dump(&mut self, subject: &str, kind: u16, payload: &[u8]) -> Result<Vec<Vec<u8>>, KernelError> {
        self.socket.dump(kind, payload).map_err(|failure| KernelError::refused(subject, "list", failure))
    }
}

/// Turns the errors that mean "it is so already" into success.
fn unless(result: Result<(), CallFailure>, fine: &[Errno]) -> Result<(), CallFailure> {
    match result {
        Err(failure) if failure.is(fine) => Ok(()),
        other => other,
    }
}
