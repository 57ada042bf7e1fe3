//! The XDP hook: one program for each interface. A link holds it, and a pin keeps the link when the process ends.

use std::os::fd::BorrowedFd;

use aggctl_common::IfIndex;
use aggctl_engine::config::XdpMode;
use aya_obj::generated::{XDP_FLAGS_DRV_MODE, XDP_FLAGS_SKB_MODE, bpf_attach_type::BPF_XDP};
use rustix::io::Errno;

use super::{
    AttachPoint, HookKind,
    link::BpfLink,
    linked::{attached, detach, failed, open},
};
use crate::{
    dataplane::error::DataplaneError,
    netlink::{
        link::xdp::{self, AttachedXdp},
        socket::Socket,
    },
};

/// The hook in this mode. The kernel lets nobody replace what a link holds, nor attach anything in the other mode.
///
/// Minimum kernel version: 5.9.
#[derive(Clone, Copy, Debug)]
pub(super) struct XdpHook(pub(super) XdpMode);

impl XdpHook {
    /// What the kernel calls the mode.
    const fn flags(self) -> u32 {
        match self.0 {
            XdpMode::Native => XDP_FLAGS_DRV_MODE,
            XdpMode::Generic => XDP_FLAGS_SKB_MODE,
        }
    }

    /// The number of our program, if it is attached in this mode.
    fn in_mode(self, site: AttachPoint<'_>) -> Result<Option<u32>, DataplaneError> {
        let ours = attached(site)?;
        let found = if ours.is_some() { on(site.index)? } else { None };
        Ok(ours.filter(|ours| found.is_some_and(|found| found.program == *ours && found.mode == Some(self.0))))
    }
}

impl HookKind for XdpHook {
    fn attach(&self, site: AttachPoint<'_>, program: BorrowedFd<'_>) -> Result<(), DataplaneError> {
        if let Some(link) = open(site)? {
            if self.in_mode(site)?.is_some() {
                return link.update(program).map_err(failed(site, "update link"));
            }
            // The other mode; or a link to an interface that is gone, or one that somebody detached.
            detach(site)?;
        }
        let link =
            BpfLink::create(program, site.index, BPF_XDP, self.flags()).map_err(|error| match Errno::from_io_error(
                &error,
            ) {
                Some(Errno::NODEV) => DataplaneError::NoInterface(site.index),
                _ => DataplaneError::hook(site.index, "attach XDP program", error),
            })?;
        link.pin(&site.pins.link(site.role)).map_err(failed(site, "pin"))
    }

    fn detach(&self, site: AttachPoint<'_>) -> Result<(), DataplaneError> {
        detach(site)
    }

    fn attached(&self, site: AttachPoint<'_>) -> Result<Option<u32>, DataplaneError> {
        self.in_mode(site)
    }

    /// There is one program at most.
    fn before(&self, _: AttachPoint<'_>) -> Result<Vec<u32>, DataplaneError> {
        Ok(Vec::new())
    }
}

/// The program that is attached to an interface, whosever it is.
pub(in crate::dataplane) fn on(index: IfIndex) -> Result<Option<AttachedXdp>, DataplaneError> {
    let mut socket = Socket::open(libc::NETLINK_ROUTE as isize)
        .map_err(|error| DataplaneError::hook(index, "netlink socket", error))?;
    match xdp::attached(&mut socket, index) {
        Err(failure) if failure.is(&[Errno::NODEV]) => Ok(None),
        other => other.map_err(|failure| DataplaneError::hook(index, "get XDP program", failure)),
    }
}
