//! The packet socket of a port that asks its neighbours.
#![allow(unsafe_code, reason = "no safe wrapper knows packet sockets")]
#![allow(clippy::cast_possible_truncation, reason = "constants and sizes of C, which fit the fields made for them")]

use std::{io, mem::zeroed, ptr};

use aggctl_common::{IfIndex, Mac};
use rustix::{
    fd::{AsFd, AsRawFd, BorrowedFd},
    net::{SendFlags, send},
};
use tracing::debug;

use super::filter::{self, MOST_OCTETS};
use crate::{
    error::KernelError,
    packet::socket::{Membership, PacketSocket},
    packet_sockets::EVERY_PROTOCOL,
};

/// `SOL_PACKET` option: deliver the VLAN tag beside a frame.
const PACKET_AUXDATA: libc::c_int = 8;
/// `TP_STATUS_VLAN_VALID`: there was a tag.
const VLAN_VALID: u32 = 1 << 4;
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
        let set = |level, option, value: libc::c_int| socket.set(level, option, &value);
        set(libc::SOL_SOCKET, libc::SO_PRIORITY, CONTROL).map_err(refused("set priority of a packet socket"))?;
        set(libc::SOL_PACKET, PACKET_AUXDATA, 1).map_err(refused("ask a packet socket for tags"))?;
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
        let mut received = ReceivedFrame { frame: [0; MOST_OCTETS], length: 0, tci: None };
        // Room for one control message with a `tpacket_auxdata`, aligned as its header must be.
        let mut control = [0_u64; 8];
        let mut part =
            libc::iovec { iov_base: received.frame.as_mut_ptr().cast(), iov_len: size_of_val(&received.frame) };
        // SAFETY: all zeros is a valid msghdr.
        let mut message: libc::msghdr = unsafe { zeroed() };
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = size_of_val(&control) as _;
        // SAFETY: the message names buffers that live longer than the call, with their true lengths.
        let length = unsafe { libc::recvmsg(self.socket.as_fd().as_raw_fd(), &raw mut message, libc::MSG_DONTWAIT) };
        received.length = usize::try_from(length).ok()?;
        received.tci = tag(&message);
        Some(received)
    }
}

impl AsFd for ProbeSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The tag that came beside a frame.
fn tag(message: &libc::msghdr) -> Option<u16> {
    // SAFETY: the kernel has filled in the control buffer that the message names, which is still there.
    let header = unsafe { libc::CMSG_FIRSTHDR(message).as_ref() }?;
    if (header.cmsg_level, header.cmsg_type) != (libc::SOL_PACKET, PACKET_AUXDATA) {
        return None;
    }
    // SAFETY: a control message of this kind is a whole `tpacket_auxdata`, wherever it is aligned.
    let data = unsafe { ptr::read_unaligned(libc::CMSG_DATA(header).cast::<libc::tpacket_auxdata>()) };
    (data.tp_status & VLAN_VALID != 0).then_some(data.tp_vlan_tci)
}
