//! Frames on an interface.
#![allow(unsafe_code, reason = "packet sockets with auxiliary data have no safe wrapper")]
#![allow(clippy::cast_possible_truncation, reason = "constants and sizes of structures")]

use std::{
    mem,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
    ptr,
    time::{Duration, Instant},
};

use aggctl_common::IfIndex;

/// "Local experimental": no protocol of the kernel's.
pub const ETHERTYPE: u16 = 0x88b5;
/// Some station.
pub const UNICAST: [u8; 6] = [0x02, 0, 0, 0, 0, 0x99];
/// Long enough for a machine that does other things.
const PATIENCE: Duration = Duration::from_secs(10);

/// A frame with this destination and text.
pub fn frame(destination: [u8; 6], text: &str) -> Vec<u8> {
    let mut frame = destination.to_vec();
    frame.extend_from_slice(&[0x02, 0, 0, 0, 0, 0x01]);
    frame.extend_from_slice(&ETHERTYPE.to_be_bytes());
    frame.extend_from_slice(text.as_bytes());
    frame.resize(frame.len().max(60), 0);
    frame
}

/// The same frame with an 802.1Q tag in it.
pub fn tagged(frame: &[u8], vlan: u16) -> Vec<u8> {
    let mut tagged = frame[..12].to_vec();
    tagged.extend_from_slice(&0x8100_u16.to_be_bytes());
    tagged.extend_from_slice(&vlan.to_be_bytes());
    tagged.extend_from_slice(&frame[12..]);
    tagged
}

/// A frame that was received.
#[derive(Debug, PartialEq, Eq)]
pub struct WireFrame {
    /// Its octets, without a tag that was taken out on the way.
    pub octets: Vec<u8>,
    /// The tag that was.
    pub vlan: Option<u16>,
    /// The EtherType of that tag.
    pub tpid: Option<u16>,
    /// Whom the kernel takes it to be for (`PACKET_*` of linux/if_packet.h).
    pub kind: u8,
}

impl WireFrame {
    /// The frame as it is on a wire, with the tag in it.
    pub fn whole(&self) -> Vec<u8> {
        let tag = [self.tpid, self.vlan].into_iter().flatten().flat_map(u16::to_be_bytes).collect::<Vec<_>>();
        [&self.octets[..12], &tag, &self.octets[12..]].concat()
    }
}

/// A packet socket on one interface.
pub struct Wire(OwnedFd, i32);

impl Wire {
    /// Opens it for all protocols.
    pub fn open(index: IfIndex) -> Self {
        Self::open_for(index, libc::ETH_P_ALL as u16)
    }

    /// Opens it for one protocol.
    pub fn open_for(index: IfIndex, protocol: u16) -> Self {
        let index = i32::try_from(index.0).unwrap();
        let protocol = protocol.to_be();
        // SAFETY: plain system calls; the structures are initialised and live through the calls.
        unsafe {
            let socket = libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, i32::from(protocol));
            assert!(socket >= 0, "{}", std::io::Error::last_os_error());
            let fd = OwnedFd::from_raw_fd(socket);
            let mut address: libc::sockaddr_ll = mem::zeroed();
            address.sll_family = libc::AF_PACKET as u16;
            address.sll_protocol = protocol;
            address.sll_ifindex = index;
            let length = size_of_val(&address) as u32;
            assert_eq!(libc::bind(socket, (&raw const address).cast(), length), 0);
            let on = 1_i32;
            assert_eq!(libc::setsockopt(socket, libc::SOL_PACKET, libc::PACKET_AUXDATA, (&raw const on).cast(), 4), 0);
            let size = 64_i32 << 20;
            libc::setsockopt(socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, (&raw const size).cast(), 4);
            Self(fd, index)
        }
    }

    /// Sends a frame.
    pub fn send(&self, frame: &[u8]) {
        while !self.try_send(frame) {}
    }

    /// Sends a frame; says whether the interface took it.
    pub fn try_send(&self, frame: &[u8]) -> bool {
        // SAFETY: the buffer lives through the call.
        let sent = unsafe { libc::send(self.0.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0) };
        let error = std::io::Error::last_os_error();
        assert!(sent >= 0 || error.raw_os_error() == Some(libc::ENOBUFS), "interface {}: {error}", self.1);
        sent >= 0
    }

    /// The next frame with our ethertype (behind tags, perhaps) that came in; nothing if none comes within `patience`.
    pub fn poll(&self, patience: Duration) -> Option<WireFrame> {
        let deadline = Instant::now() + patience;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let mut poll = libc::pollfd { fd: self.0.as_raw_fd(), events: libc::POLLIN, revents: 0 };
            // SAFETY: one initialised structure.
            let ready = unsafe { libc::poll(&raw mut poll, 1, i32::try_from(left.as_millis()).unwrap()) };
            if ready <= 0 {
                return None;
            }
            if let Some(received) = self.read() {
                return Some(received);
            }
        }
    }

    /// The next frame of ours that came in; there must be one.
    pub fn receive(&self) -> WireFrame {
        self.poll(PATIENCE).unwrap_or_else(|| panic!("interface {}: nothing came", self.1))
    }

    fn read(&self) -> Option<WireFrame> {
        let mut octets = vec![0_u8; 70_000];
        let mut control = [0_u64; 16];
        // SAFETY: all buffers live through the call, and the kernel is told their sizes.
        let (length, address, auxiliary) = unsafe {
            let mut address: libc::sockaddr_ll = mem::zeroed();
            let mut part = libc::iovec { iov_base: octets.as_mut_ptr().cast(), iov_len: octets.len() };
            let mut message: libc::msghdr = mem::zeroed();
            message.msg_name = (&raw mut address).cast();
            message.msg_namelen = size_of_val(&address) as u32;
            message.msg_iov = &raw mut part;
            message.msg_iovlen = 1;
            message.msg_control = control.as_mut_ptr().cast();
            message.msg_controllen = size_of_val(&control);
            let length = libc::recvmsg(self.0.as_raw_fd(), &raw mut message, 0);
            let header = libc::CMSG_FIRSTHDR(&raw const message);
            let auxiliary = (!header.is_null())
                .then(|| ptr::read_unaligned(libc::CMSG_DATA(header).cast::<libc::tpacket_auxdata>()));
            (length, address, auxiliary)
        };
        octets.truncate(usize::try_from(length).ok()?);
        let tag = auxiliary.filter(|data| data.tp_status & libc::TP_STATUS_VLAN_VALID != 0);
        let (vlan, tpid) = (tag.map(|data| data.tp_vlan_tci), tag.map(|data| data.tp_vlan_tpid));
        let ours = [12, 16, 20].iter().any(|at| octets.get(*at..at + 2) == Some(&ETHERTYPE.to_be_bytes()[..]));
        (ours && address.sll_pkttype != libc::PACKET_OUTGOING).then_some(WireFrame {
            octets,
            vlan,
            tpid,
            kind: address.sll_pkttype,
        })
    }
}
