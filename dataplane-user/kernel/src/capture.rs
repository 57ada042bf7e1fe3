//! Frames of a port in both directions, for `capture`: before any program but an XDP one has received them, and after
//! all that chose the port they are sent by.
#![allow(unsafe_code, reason = "no safe wrapper knows the statistics of packet sockets")]

use std::{
    io,
    mem::size_of,
    time::{Duration, SystemTime},
};

use aggctl_common::IfIndex;
use aggctl_engine::capture::Direction;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fd::{AsFd, AsRawFd, BorrowedFd},
};

use crate::{error::KernelError, packet::socket::PacketSocket, packet_sockets::EVERY_PROTOCOL};

/// Octets of a frame that are kept at most, its tag included: more than any has but super-frames of "BIG TCP".
pub const MOST_OCTETS: u32 = 262_144;
/// Octets that wait for us at most.
const BUFFER: libc::c_int = 32 << 20;
/// Where the outer tag belongs: behind both addresses.
const TAG_AT: usize = 12;
/// Octets of a tag.
const TAG: usize = 4;

/// A socket that receives all frames of a port.
#[derive(Debug)]
pub struct PortCapture(PacketSocket);

/// A frame that passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassedFrame {
    /// Its octets as they are on the wire, the outer tag included; of a long one the first.
    pub octets: Vec<u8>,
    /// How many octets it has in truth.
    pub length: usize,
    /// Since 1970-01-01 UTC.
    pub at: Duration,
    /// Which way.
    pub direction: Direction,
}

/// What became of the frames of a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CaptureCounts {
    /// Those that passed.
    pub passed: u64,
    /// Those of them that there was no room for.
    pub no_room: u64,
}

impl PortCapture {
    /// Begins, in the present network namespace.
    ///
    /// # Errors
    ///
    /// What the kernel refuses; `EPERM` without `CAP_NET_RAW`.
    pub fn begin(index: IfIndex) -> Result<Self, KernelError> {
        let refused = |call| move |error: io::Error| KernelError::refused(format!("interface {index}"), call, error);
        let socket = PacketSocket::open().map_err(refused("open a packet socket"))?;
        socket.tell_tags().map_err(refused("ask a packet socket for tags"))?;
        socket.tell_times().map_err(refused("ask a packet socket for times"))?;
        // With less room more frames are lost, which is told.
        let _ = socket.set(libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, &BUFFER);
        socket.bind(index, EVERY_PROTOCOL).map_err(refused("bind a packet socket"))?;
        Ok(Self(socket))
    }

    /// The next frame; `None` if there is none at present. `buffer` has room for [`MOST_OCTETS`].
    #[must_use]
    pub fn receive(&self, buffer: &mut [u8]) -> Option<PassedFrame> {
        let received = self.0.receive(buffer)?;
        let mut octets = buffer.get(..received.length).unwrap_or(buffer).to_vec();
        let mut length = received.length;
        if let Some((ethertype, tci)) = received.tag.filter(|_| octets.len() >= TAG_AT) {
            let tag = [ethertype.to_be_bytes(), tci.to_be_bytes()];
            octets.splice(TAG_AT..TAG_AT, tag.into_iter().flatten());
            length += TAG;
        }
        let direction = if received.sent { Direction::Out } else { Direction::In };
        Some(PassedFrame { octets, length, at: received.at.unwrap_or_else(now), direction })
    }

    /// What became of the frames since this was asked last.
    #[must_use]
    pub fn counts(&self) -> CaptureCounts {
        let mut statistics = libc::tpacket_stats { tp_packets: 0, tp_drops: 0 };
        let Ok(mut size) = libc::socklen_t::try_from(size_of::<libc::tpacket_stats>()) else {
            return CaptureCounts::default();
        };
        // SAFETY: the kernel writes at most `size` octets into the statistics, which are live.
        let done = unsafe {
            libc::getsockopt(
                self.as_fd().as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                (&raw mut statistics).cast(),
                &raw mut size,
            )
        };
        if done != 0 {
            return CaptureCounts::default();
        }
        CaptureCounts { passed: statistics.tp_packets.into(), no_room: statistics.tp_drops.into() }
    }
}

impl AsFd for PortCapture {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Waits until one of them has a frame, or something happens to its interface; for this long, or until a signal comes.
pub fn wait<'a>(captures: impl Iterator<Item = &'a PortCapture>, limit: Duration) {
    let mut sockets: Vec<_> = captures.map(|capture| PollFd::new(capture, PollFlags::IN)).collect();
    // Whatever ended it, the caller looks.
    let _ = poll(&mut sockets, Timespec::try_from(limit).ok().as_ref());
}

/// Since 1970-01-01 UTC.
#[must_use]
pub fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}
