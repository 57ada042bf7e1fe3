//! A packet socket and its options.
#![allow(clippy::cast_possible_truncation, reason = "constants and sizes of C, which fit the fields made for them")]

use std::{io, mem::zeroed, ptr};

use aggctl_common::{IfIndex, Mac};
use rustix::{
    fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
    net::{AddressFamily, SocketFlags, SocketType, socket_with},
};

/// `SOL_PACKET` option: do not deliver what the host sends (Linux 4.20).
const PACKET_IGNORE_OUTGOING: libc::c_int = libc::PACKET_IGNORE_OUTGOING;
/// `PACKET_MR_MULTICAST`: the interface receives frames to a group while the socket is open.
const PACKET_MR_MULTICAST: u16 = 0;
/// `PACKET_MR_UNICAST`: the same for one more address.
const PACKET_MR_UNICAST: u16 = 3;

/// What an interface receives besides what it receives anyway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Membership {
    /// Frames to this address.
    Address(Mac),
    /// Frames to this group.
    Group(Mac),
}

/// A packet socket for frames with their Ethernet headers, which does not block.
#[derive(Debug)]
pub(crate) struct PacketSocket(pub(crate) OwnedFd);

impl PacketSocket {
    /// Opens one in the present network namespace. It is bound to no protocol, so it receives nothing.
    pub fn open() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        Ok(Self(socket_with(AddressFamily::PACKET, SocketType::RAW, flags, None)?))
    }

    /// Leaves out what the host sends.
    pub fn ignore_outgoing(&self) -> io::Result<()> {
        self.set(libc::SOL_PACKET, PACKET_IGNORE_OUTGOING, &1_i32)
    }

    /// Sets an option of this C type.
    pub fn set<T>(&self, level: libc::c_int, option: libc::c_int, value: &T) -> io::Result<()> {
        let size = size_of::<T>() as libc::socklen_t;
        // SAFETY: `value` is live and of the size that is given.
        let done = unsafe { libc::setsockopt(self.0.as_raw_fd(), level, option, ptr::from_ref(value).cast(), size) };
        if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Lets only those frames through that the program (classic BPF) does.
    pub fn filter(&self, program: &[libc::sock_filter]) -> io::Result<()> {
        let len = libc::c_ushort::try_from(program.len()).map_err(io::Error::other)?;
        // The kernel only reads it.
        let program = libc::sock_fprog { len, filter: program.as_ptr().cast_mut() };
        self.set(libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)
    }

    /// Has the interface receive something as long as the socket is open.
    pub fn join(&self, index: IfIndex, membership: Membership) -> io::Result<()> {
        let (kind, Mac([a, b, c, d, e, f])) = match membership {
            Membership::Address(mac) => (PACKET_MR_UNICAST, mac),
            Membership::Group(mac) => (PACKET_MR_MULTICAST, mac),
        };
        let request = libc::packet_mreq {
            mr_ifindex: index.0 as libc::c_int,
            mr_type: kind,
            mr_alen: 6,
            mr_address: [a, b, c, d, e, f, 0, 0],
        };
        self.set(libc::SOL_PACKET, libc::PACKET_ADD_MEMBERSHIP, &request)
    }

    /// From here on it receives frames of the interface: those of one EtherType, after programs and bridges had them,
    /// or of [every protocol](crate::packet_sockets::EVERY_PROTOCOL), before.
    pub fn bind(&self, index: IfIndex, ethertype: u16) -> io::Result<()> {
        // SAFETY: all zeros is a valid sockaddr_ll.
        let mut address: libc::sockaddr_ll = unsafe { zeroed() };
        address.sll_family = libc::AF_PACKET as libc::sa_family_t;
        address.sll_protocol = ethertype.to_be();
        address.sll_ifindex = index.0 as libc::c_int;
        let size = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
        // SAFETY: the address is live and of the size that is given.
        let done = unsafe { libc::bind(self.0.as_raw_fd(), (&raw const address).cast(), size) };
        if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
