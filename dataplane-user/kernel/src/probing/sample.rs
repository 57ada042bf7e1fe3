//! Counts, for a short while, what comes in by a port: for `doctor`.

use aggctl_common::{IfIndex, Mac};
use aggctl_engine::doctor::FramesOfInterest;
use rustix::net::{RecvFlags, recv};

use super::filter;
use crate::{error::KernelError, packet::socket::PacketSocket, packet_sockets::EVERY_PROTOCOL};

/// A packet socket that receives the beginnings of some frames of a port, before any program but an XDP one sees them.
/// What it has no room for it does not count, a few hundred frames.
#[derive(Debug)]
pub struct FrameSample(PacketSocket);

impl FrameSample {
    /// Begins to count, in the present network namespace, those to or from this MAC.
    ///
    /// # Errors
    ///
    /// What the kernel refuses.
    pub fn begin(index: IfIndex, frames: FramesOfInterest, mac: Mac) -> Result<Self, KernelError> {
        let refused =
            |call| move |error: std::io::Error| KernelError::refused(format!("interface {index}"), call, error);
        let socket = PacketSocket::open().map_err(refused("open a packet socket"))?;
        socket.ignore_outgoing().map_err(refused("leave out what is sent"))?;
        socket.filter(&filter::addressed(frames, mac)).map_err(refused("attach a filter to a packet socket"))?;
        socket.bind(index, EVERY_PROTOCOL).map_err(refused("bind a packet socket"))?;
        Ok(Self(socket))
    }

    /// How many came in.
    #[must_use]
    pub fn end(self) -> u64 {
        let mut beginning = [0_u8; filter::ADDRESSES];
        // An interface that went down meanwhile is told once by an error, and nothing more comes.
        let mut read = || recv(&self.0, &mut beginning, RecvFlags::DONTWAIT).is_ok();
        std::iter::from_fn(|| read().then_some(())).fold(0, |count, ()| count + 1)
    }
}
