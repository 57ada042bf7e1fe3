//! Raw frames: what sends them out of an interface, and the socket for that and for receiving them.
#![allow(unsafe_code, reason = "no safe wrapper knows the address of a packet socket")]

use std::{
    io,
    mem::size_of,
    os::fd::{AsRawFd, OwnedFd},
};

use aggctl_common::IfIndex;
use rustix::{
    io::Errno,
    net::{AddressFamily, SocketFlags, SocketType, socket_with},
};

mod received;
pub(crate) mod socket;

use crate::error::{CallFailure, KernelError};

/// `AF_PACKET`, as addresses carry it.
const AF_PACKET: libc::sa_family_t = 17;
/// Octets of `struct sockaddr_ll`.
const SOCKADDR_LL: libc::socklen_t = 20;
const _: () = assert!(size_of::<libc::sockaddr_ll>() == SOCKADDR_LL as usize);

/// Why a frame was not sent.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The interface is down: a moment's state, no failure of ours.
    #[error("interface {0} is down")]
    Down(IfIndex),
    /// The interface is not there any more.
    #[error("interface {0} is gone")]
    Gone(IfIndex),
    /// Its queue is full.
    #[error("interface {0}: its queue is full")]
    Full(IfIndex),
    /// Anything else.
    #[error("interface {link}: send frame: {error}")]
    Failed {
        /// The interface.
        link: IfIndex,
        /// The system's error.
        #[source]
        error: io::Error,
    },
}

impl From<SendError> for KernelError {
    fn from(error: SendError) -> Self {
        let refused = |link: IfIndex, failure| Self::refused(format!("interface {link}"), "send frame", failure);
        match error {
            SendError::Gone(link) => Self::Gone(format!("interface {link}")),
            SendError::Down(link) => refused(link, Errno::NETDOWN.into()),
            SendError::Full(link) => refused(link, Errno::NOBUFS.into()),
            SendError::Failed { link, error } => refused(link, CallFailure::from(error)),
        }
    }
}

/// A packet socket that only sends.
#[derive(Debug)]
pub struct PacketSender {
    socket: OwnedFd,
}

impl PacketSender {
    /// Opens a socket in the present network namespace. It is bound to no protocol, so it receives nothing.
    ///
    /// # Errors
    ///
    /// What the kernel refuses; `EPERM` without `CAP_NET_RAW`.
    pub fn open() -> Result<Self, KernelError> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        socket_with(AddressFamily::PACKET, SocketType::RAW, flags, None)
            .map(|socket| Self { socket })
            .map_err(|errno| KernelError::refused("packet socket", "open", errno))
    }

    /// Sends a frame, Ethernet header included, out of an interface.
    ///
    /// # Errors
    ///
    /// Why it was not sent.
    pub fn send(&self, link: IfIndex, frame: &[u8]) -> Result<(), SendError> {
        // SAFETY: all zeros is a valid sockaddr_ll.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = AF_PACKET;
        address.sll_ifindex = libc::c_int::try_from(link.0).map_err(|_| SendError::Gone(link))?;
        if let Some(protocol) = frame.get(12..14) {
            address.sll_protocol = u16::from_ne_bytes([protocol[0], protocol[1]]);
        }
        loop {
            // SAFETY: frame and address are valid for the lengths that are passed with them.
            let sent = unsafe {
                libc::sendto(
                    self.socket.as_raw_fd(),
                    frame.as_ptr().cast(),
                    frame.len(),
                    0,
                    (&raw const address).cast(),
                    SOCKADDR_LL,
                )
            };
            if sent >= 0 {
                return Ok(());
            }
            let error = io::Error::last_os_error();
            return Err(match Errno::from_io_error(&error) {
                Some(Errno::INTR) => continue,
                Some(Errno::NETDOWN) => SendError::Down(link),
                Some(Errno::NXIO | Errno::NODEV) => SendError::Gone(link),
                Some(Errno::NOBUFS | Errno::AGAIN) => SendError::Full(link),
                _ => SendError::Failed { link, error },
            });
        }
    }
}
