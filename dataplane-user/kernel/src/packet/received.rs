//! One frame of a packet socket, with all that the kernel says beside it.
#![allow(unsafe_code, reason = "no safe wrapper knows what comes beside frames of packet sockets")]
#![allow(clippy::cast_possible_truncation, reason = "constants and sizes of C, which fit the fields made for them")]

use std::{
    mem::{size_of_val, zeroed},
    ptr,
    time::Duration,
};

use rustix::fd::{AsFd, AsRawFd};

use super::socket::PacketSocket;

/// `SOL_PACKET` option: deliver the VLAN tag beside a frame; and the kind of message that it comes in.
const PACKET_AUXDATA: libc::c_int = libc::PACKET_AUXDATA;
/// `TP_STATUS_VLAN_VALID`: there was a tag.
const VLAN_VALID: u32 = libc::TP_STATUS_VLAN_VALID;
/// `TP_STATUS_VLAN_TPID_VALID`: its EtherType is told.
const VLAN_ETHERTYPE_VALID: u32 = 1 << 6;
/// `ETH_P_8021Q`, which a tag has unless it is told.
const CUSTOMER_VLAN: u16 = 0x8100;
/// `PACKET_OUTGOING`: the host sent it.
const PACKET_OUTGOING: u8 = 4;

/// What was read of a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ReceivedPacket {
    /// How many octets it has without its outer tag; the buffer has them, or as many as there is room for.
    pub length: usize,
    /// Its outer tag, which the kernel takes out: EtherType and control information. If that was
    /// [asked for](PacketSocket::tell_tags).
    pub tag: Option<(u16, u16)>,
    /// When it passed, since 1970-01-01 UTC. If that was [asked for](PacketSocket::tell_times).
    pub at: Option<Duration>,
    /// The host sent it.
    pub sent: bool,
}

impl PacketSocket {
    /// Has the outer tags of frames told from now on.
    pub fn tell_tags(&self) -> std::io::Result<()> {
        self.set(libc::SOL_PACKET, PACKET_AUXDATA, &1_i32)
    }

    /// Has the times of frames told from now on.
    pub fn tell_times(&self) -> std::io::Result<()> {
        self.set(libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, &1_i32)
    }

    /// The next frame; `None` if there is none at present. That the interface went down is told by the link.
    pub fn receive(&self, buffer: &mut [u8]) -> Option<ReceivedPacket> {
        // Room for a `tpacket_auxdata` and a `timespec` with their headers, aligned as those must be.
        let mut control = [0_u64; 16];
        let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
        // SAFETY: all zeros is a valid sockaddr_ll.
        let mut from: libc::sockaddr_ll = unsafe { zeroed() };
        // SAFETY: all zeros is a valid msghdr.
        let mut message: libc::msghdr = unsafe { zeroed() };
        message.msg_name = (&raw mut from).cast();
        message.msg_namelen = size_of_val(&from) as _;
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = size_of_val(&control) as _;
        let flags = libc::MSG_DONTWAIT | libc::MSG_TRUNC;
        // SAFETY: the message names buffers that live longer than the call, with their true lengths.
        let length = unsafe { libc::recvmsg(self.as_fd().as_raw_fd(), &raw mut message, flags) };
        let length = usize::try_from(length).ok()?;
        let mut received =
            ReceivedPacket { length, sent: from.sll_pkttype == PACKET_OUTGOING, ..ReceivedPacket::default() };
        // SAFETY: the kernel has filled in the control buffer that the message names, which is still there.
        let mut header = unsafe { libc::CMSG_FIRSTHDR(&raw const message) };
        // SAFETY: a header that is not null lies whole in that buffer.
        while let Some(told) = unsafe { header.as_ref() } {
            // SAFETY: as above; behind a header is its data.
            let data = unsafe { libc::CMSG_DATA(header) };
            match (told.cmsg_level, told.cmsg_type) {
                (libc::SOL_PACKET, PACKET_AUXDATA) => {
                    // SAFETY: such a message is a whole `tpacket_auxdata`, wherever it is aligned.
                    received.tag = tag(unsafe { ptr::read_unaligned(data.cast()) });
                }
                (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => {
                    // SAFETY: such a message is a whole `timespec`, wherever it is aligned.
                    received.at = time(unsafe { ptr::read_unaligned(data.cast()) });
                }
                _ => {}
            }
            // SAFETY: the header is one of the message's.
            header = unsafe { libc::CMSG_NXTHDR(&raw const message, header) };
        }
        Some(received)
    }
}

fn tag(data: libc::tpacket_auxdata) -> Option<(u16, u16)> {
    let ethertype = if data.tp_status & VLAN_ETHERTYPE_VALID != 0 { data.tp_vlan_tpid } else { CUSTOMER_VLAN };
    (data.tp_status & VLAN_VALID != 0).then_some((ethertype, data.tp_vlan_tci))
}

fn time(data: libc::timespec) -> Option<Duration> {
    Some(Duration::new(data.tv_sec.try_into().ok()?, data.tv_nsec.try_into().ok()?))
}
