//! The packet socket of a port that asks its neighbours.

use std::io;

use aggctl_common::{IfIndex, Mac};
use rustix::{
    fd::{AsFd, BorrowedFd},
    net::{SendFlags, send},
};
use tracing::debug;

use super::filter::{self, MOST_OCTETS};
use crate::{
    error::KernelError,
    packet::socket::{Membership, PacketSocket},
    packet_sockets::EVERY_PROTOCOL,
};

/// `TC_PRIO_CONTROL`: before what waits in a queue.
const CONTROL: libc::c_int = 7;

/// Which port a socket is for, and what it receives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Purpose {
    /// The port's interface.
    pub index: IfIndex,
    /// The address that the port asks from.
    pub mac: Mac,
    /// Other addresses that answers may come to.
    pub also: Vec<Mac>,
    /// Frames to whomever are received, not only answers to the port.
    pub all: bool,
}

/// A socket that is bound to a port.
#[derive(Debug)]
pub(super) struct ProbeSocket {
    socket: PacketSocket,
    purpose: Purpose,
}

/// A frame that was received.
pub(super) struct ReceivedFrame {
    frame: [u8; MOST_OCTETS],
    length: usize,
    tci: Option<u16>,
}

impl ReceivedFrame {
    /// The frame without its outer tag.
    pub fn octets(&self) -> &[u8] {
        self.frame.get(..self.length).unwrap_or_default()
    }

    /// The control information of its outer tag, if it had one.
    pub fn tci(&self) -> Option<u16> {
        self.tci
    }
}

impl ProbeSocket {
    /// Opens one in the present network namespace.
    pub fn open(purpose: Purpose) -> Result<Self, KernelError> {
        let subject = || format!("interface {}", purpose.index);
        let refused = |call| move |error: io::Error| KernelError::refused(subject(), call, error);
        // Without protocol it receives nothing before all else is set.
        let socket = PacketSocket::open().map_err(refused("open a packet socket"))?;
        socket
            .set(libc::SOL_SOCKET, libc::SO_PRIORITY, &CONTROL)
            .map_err(refused("set priority of a packet socket"))?;
        socket.tell_tags().map_err(refused("ask a packet socket for tags"))?;
        socket.ignore_outgoing().map_err(refused("leave out what is sent"))?;
        let to: Vec<_> =
            if purpose.all { Vec::new() } else { purpose.also.iter().copied().chain([purpose.mac]).collect() };
        socket.filter(&filter::program(&to)).map_err(refused("attach a filter to a packet socket"))?;
        socket.bind(purpose.index, EVERY_PROTOCOL).map_err(refused("bind a packet socket"))?;
        let address = Membership::Address(purpose.mac);
        socket.join(purpose.index, address).map_err(refused("receive frames to one more address"))?;
        Ok(Self { socket, purpose })
    }

    /// What it is for.
    pub fn purpose(&self) -> &Purpose {
        &self.purpose
    }

    /// Sends a frame. What cannot be sent is a question without answer.
    pub fn send(&self, frame: &[u8]) {
        if let Err(error) = send(&self.socket, frame, SendFlags::DONTWAIT) {
            debug!(%error, index = self.purpose.index.0, "a question was not sent");
        }
    }

    /// The next frame; `None` if there is none at present. That the interface went down is told by the link.
    pub fn receive(&self) -> Option<ReceivedFrame> {
        let mut frame = [0; MOST_OCTETS];
        let received = self.socket.receive(&mut frame)?;
        Some(ReceivedFrame { frame, length: received.length.min(MOST_OCTETS), tci: received.tag.map(|(_, tci)| tci) })
    }
}

impl AsFd for ProbeSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
