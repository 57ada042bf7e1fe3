//! System calls that no crate in use offers safely: tap devices, packet sockets, and what a socket knows of itself.

#![allow(clippy::cast_possible_truncation, reason = "constants and sizes of C, which fit the fields made for them")]

use std::{
    ffi::CString,
    fs::{File, OpenOptions},
    io,
    mem::{self, MaybeUninit},
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
    ptr,
    time::{Duration, SystemTime},
};

/// `SOL_PACKET` option: deliver the VLAN tag and checksum state beside a frame.
const PACKET_AUXDATA: libc::c_int = 8;

/// ioctl: when the last message arrived (`SIOCGSTAMPNS_OLD` of asm/sockios.h).
const SIOCGSTAMPNS: u32 = 0x8907;

/// The answer of a call as a result.
fn check(answer: libc::c_int) -> io::Result<libc::c_int> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(answer) }
}

/// Sets an integer option of a socket.
fn set_option(socket: &impl AsRawFd, level: libc::c_int, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let size = size_of_val(&value) as libc::socklen_t;
    // SAFETY: `value` is a live integer of the size that is given.
    check(unsafe { libc::setsockopt(socket.as_raw_fd(), level, option, ptr::from_ref(&value).cast(), size) }).map(drop)
}

/// Opens a socket.
fn socket(family: libc::c_int, kind: libc::c_int, protocol: libc::c_int) -> io::Result<OwnedFd> {
    // SAFETY: takes integers only.
    let fd = check(unsafe { libc::socket(family, kind | libc::SOCK_CLOEXEC, protocol) })?;
    // SAFETY: the descriptor was opened just now and belongs to nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Gives a socket room for this many octets (the kernel doubles the number) of what was received and not read.
///
/// # Errors
///
/// As setsockopt(2); needs `CAP_NET_ADMIN`.
pub fn set_receive_buffer(socket: &impl AsRawFd, octets: i32) -> io::Result<()> {
    set_option(socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, octets)
}

/// Binds a socket to an interface of its network namespace, by its number.
///
/// Minimum kernel version: 5.0.
///
/// # Errors
///
/// As setsockopt(2).
pub fn bind_to_interface(socket: &impl AsRawFd, index: u32) -> io::Result<()> {
    set_option(socket, libc::SOL_SOCKET, libc::SO_BINDTOIFINDEX, index.cast_signed())
}

/// How many messages a socket has lost because there was no room for them.
///
/// # Errors
///
/// As getsockopt(2).
pub fn overflow(socket: &impl AsRawFd) -> io::Result<u32> {
    let mut numbers = [0_u32; libc::SK_MEMINFO_DROPS as usize + 1];
    let mut size = size_of_val(&numbers) as libc::socklen_t;
    let (level, option) = (libc::SOL_SOCKET, libc::SO_MEMINFO);
    // SAFETY: `numbers` and `size` are live, and `size` is that of `numbers`.
    check(unsafe { libc::getsockopt(socket.as_raw_fd(), level, option, numbers.as_mut_ptr().cast(), &raw mut size) })?;
    Ok(numbers[libc::SK_MEMINFO_DROPS as usize])
}

/// When the message arrived that was read last from a socket. The kernel takes note of it from the first call on.
///
/// # Errors
///
/// As `SIOCGSTAMPNS`.
pub fn arrival(socket: &impl AsRawFd) -> io::Result<SystemTime> {
    // SAFETY: all of `timespec` may be zero.
    let mut time: libc::timespec = unsafe { mem::zeroed() };
    // SAFETY: SIOCGSTAMPNS writes one `timespec`.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), SIOCGSTAMPNS as _, &raw mut time) })?;
    let seconds = u64::try_from(time.tv_sec).map_err(io::Error::other)?;
    Ok(SystemTime::UNIX_EPOCH + Duration::new(seconds, time.tv_nsec as u32))
}

/// The number of an interface of the calling thread's namespace.
///
/// # Errors
///
/// If there is none of this name.
pub fn interface_index(name: &str) -> io::Result<u32> {
    let name = CString::new(name)?;
    // SAFETY: `name` is a string that ends with a zero.
    match unsafe { libc::if_nametoindex(name.as_ptr()) } {
        0 => Err(io::Error::last_os_error()),
        index => Ok(index),
    }
}

/// The cookie of the calling thread's network namespace (Linux 5.14).
///
/// # Errors
///
/// Where the kernel has no cookies.
pub fn netns_cookie() -> io::Result<u64> {
    let socket = socket(libc::AF_INET, libc::SOCK_DGRAM, 0)?;
    let mut cookie = 0_u64;
    let mut size = size_of_val(&cookie) as libc::socklen_t;
    // SAFETY: `cookie` and `size` are live, and `size` is that of `cookie`.
    check(unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_NETNS_COOKIE,
            ptr::from_mut(&mut cookie).cast(),
            &raw mut size,
        )
    })?;
    Ok(cookie)
}

/// Whether the kernel knows a kind of program attachment to interfaces (`enum bpf_attach_type`): asks what is attached
/// so to `lo`, which is interface 1 of every namespace.
pub fn knows_attach_type(kind: u32) -> bool {
    const BPF_PROG_QUERY: libc::c_int = 16;
    // The beginning of `union bpf_attr`: interface and attach type; all else may be zero.
    let attributes: [u32; 16] = std::array::from_fn(|place| [1, kind].get(place).copied().unwrap_or(0));
    // SAFETY: the attributes live through the call, and point to nothing.
    unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_QUERY, attributes.as_ptr(), size_of_val(&attributes)) >= 0 }
}

/// Makes a tap interface in the calling thread's namespace. It lives as long as the file.
///
/// # Errors
///
/// As `TUNSETIFF`.
pub fn tap(name: &str) -> io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).open("/dev/net/tun")?;
    // SAFETY: all of `ifreq` may be zero.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().take(libc::IFNAMSIZ - 1).zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_TAP | libc::IFF_NO_PI) as libc::c_short;
    // SAFETY: TUNSETIFF reads and writes one `ifreq`.
    check(unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF as _, &raw mut request) })?;
    rustix::io::ioctl_fionbio(&file, true)?;
    Ok(file)
}

/// Gives a tap interface carrier, or takes it away.
///
/// # Errors
///
/// As `TUNSETCARRIER` (Linux 4.20).
pub fn set_carrier(tap: &File, on: bool) -> io::Result<()> {
    let value = libc::c_uint::from(on);
    // SAFETY: TUNSETCARRIER reads one unsigned integer.
    check(unsafe { libc::ioctl(tap.as_raw_fd(), libc::TUNSETCARRIER as _, &raw const value) }).map(drop)
}

/// A packet socket on one interface, which receives and sends whole frames.
#[derive(Debug)]
pub struct PacketSocket(OwnedFd);

/// A frame that a packet socket received.
#[derive(Clone, Debug)]
pub struct Captured {
    /// The frame, its VLAN tag put back where it was in the kernel's metadata.
    pub bytes: Vec<u8>,
    /// Whether the interface sent it, rather than received it.
    pub outgoing: bool,
    /// Whom the kernel takes it to be for (`PACKET_*` of linux/if_packet.h).
    pub kind: u8,
}

impl PacketSocket {
    /// Opens a socket on an interface of the calling thread's namespace, for frames of one `protocol` (host order).
    ///
    /// # Errors
    ///
    /// As socket(2) and bind(2).
    pub fn open(interface: &str, protocol: u16) -> io::Result<Self> {
        let socket = socket(libc::AF_PACKET, libc::SOCK_RAW, 0)?;
        set_option(&socket, libc::SOL_PACKET, PACKET_AUXDATA, 1)?;
        set_option(&socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, 16 << 20)?;
        // SAFETY: all of `sockaddr_ll` may be zero.
        let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
        address.sll_family = libc::AF_PACKET as libc::sa_family_t;
        address.sll_protocol = protocol.to_be();
        address.sll_ifindex = interface_index(interface)?.cast_signed();
        let size = size_of_val(&address) as libc::socklen_t;
        // SAFETY: `address` is a live `sockaddr_ll` of the size that is given.
        check(unsafe { libc::bind(socket.as_raw_fd(), ptr::from_ref(&address).cast(), size) })?;
        Ok(Self(socket))
    }

    /// From now on hands frames to the driver itself, past queueing disciplines and egress hooks.
    ///
    /// # Errors
    ///
    /// As setsockopt(2).
    pub fn bypass(&self) -> io::Result<()> {
        set_option(&self.0, libc::SOL_PACKET, libc::PACKET_QDISC_BYPASS, 1)
    }

    /// Sends a frame as it is.
    ///
    /// # Errors
    ///
    /// As send(2).
    pub fn send(&self, frame: &[u8]) -> io::Result<()> {
        // SAFETY: `frame` is live and as long as is said.
        let sent = unsafe { libc::send(self.0.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0) };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Whether a frame waits to be read, or comes within `limit`.
    ///
    /// # Errors
    ///
    /// As poll(2).
    pub fn waits(&self, limit: Duration) -> io::Result<bool> {
        let mut poll = libc::pollfd { fd: self.0.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        let limit = libc::c_int::try_from(limit.as_millis()).unwrap_or(libc::c_int::MAX);
        // SAFETY: `poll` is one live `pollfd`.
        Ok(check(unsafe { libc::poll(&raw mut poll, 1, limit) })? > 0)
    }

    /// Reads the beginning of the next frame, without what came beside it; `None` if none comes within `limit`. For
    /// many frames: [`PacketSocket::receive`] makes room for the largest each time.
    ///
    /// # Errors
    ///
    /// As recv(2).
    pub fn read(&self, limit: Duration, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        if !self.waits(limit)? {
            return Ok(None);
        }
        let (start, room) = (buffer.as_mut_ptr().cast(), buffer.len());
        // SAFETY: `buffer` is live and as long as is said.
        let length = unsafe { libc::recv(self.0.as_raw_fd(), start, room, libc::MSG_DONTWAIT) };
        usize::try_from(length).map(Some).map_err(|_| io::Error::last_os_error())
    }

    /// The next frame; `None` if none comes within `limit`.
    ///
    /// # Errors
    ///
    /// As recvmsg(2).
    pub fn receive(&self, limit: Duration) -> io::Result<Option<Captured>> {
        if !self.waits(limit)? {
            return Ok(None);
        }
        let mut bytes = vec![0; 1 << 16 | 64];
        let mut control = [0_u64; 16];
        let mut from = MaybeUninit::<libc::sockaddr_ll>::zeroed();
        let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
        // SAFETY: all of `msghdr` may be zero.
        let mut message: libc::msghdr = unsafe { mem::zeroed() };
        message.msg_name = from.as_mut_ptr().cast();
        message.msg_namelen = size_of_val(&from) as libc::socklen_t;
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = size_of_val(&control) as _;
        // SAFETY: everything that `message` points to is live and as long as it says.
        let length = unsafe { libc::recvmsg(self.0.as_raw_fd(), &raw mut message, libc::MSG_DONTWAIT) };
        let Ok(length) = usize::try_from(length) else { return Err(io::Error::last_os_error()) };
        bytes.truncate(length);
        if let Some(tag) = tag(&message)
            && bytes.len() >= 12
        {
            bytes.splice(12..12, tag);
        }
        // SAFETY: it was zeroed, which is a valid `sockaddr_ll`, and the kernel wrote one.
        let from = unsafe { from.assume_init() };
        Ok(Some(Captured { bytes, outgoing: from.sll_pkttype == libc::PACKET_OUTGOING, kind: from.sll_pkttype }))
    }
}

/// The VLAN tag that came beside a frame, as it stands on the wire.
fn tag(message: &libc::msghdr) -> Option<[u8; 4]> {
    // SAFETY: `message` was filled in by recvmsg and its control buffer is live.
    let mut next = unsafe { libc::CMSG_FIRSTHDR(message) };
    while !next.is_null() {
        // SAFETY: CMSG_FIRSTHDR and CMSG_NXTHDR return pointers into the control buffer, which is aligned for them.
        let header = unsafe { &*next };
        if header.cmsg_level == libc::SOL_PACKET && header.cmsg_type == PACKET_AUXDATA {
            // SAFETY: PACKET_AUXDATA messages hold one `tpacket_auxdata`; it is read without a claim of alignment.
            let data = unsafe { ptr::read_unaligned(libc::CMSG_DATA(next).cast::<libc::tpacket_auxdata>()) };
            if data.tp_status & libc::TP_STATUS_VLAN_VALID == 0 {
                return None;
            }
            let protocol =
                if data.tp_status & libc::TP_STATUS_VLAN_TPID_VALID == 0 { 0x8100 } else { data.tp_vlan_tpid };
            let [a, b] = protocol.to_be_bytes();
            let [c, d] = data.tp_vlan_tci.to_be_bytes();
            return Some([a, b, c, d]);
        }
        // SAFETY: as above.
        next = unsafe { libc::CMSG_NXTHDR(message, next) };
    }
    None
}
