//! Hooks on which a link holds each program: tcx, and the transmit of netkit. A pin keeps the link when the process
//! ends.

use std::{io, os::fd::BorrowedFd};

use aggctl_common::IfIndex;
use aya_obj::generated::bpf_attach_type::{self, BPF_NETKIT_PRIMARY, BPF_TCX_EGRESS, BPF_TCX_INGRESS};
use rustix::io::Errno;

use super::{
    AttachPoint, HookKind, HookSide,
    link::{self, BpfLink, LinkTarget},
};
use crate::dataplane::{error::DataplaneError, pins};

/// A hook of this kind.
#[derive(Clone, Copy, Debug)]
pub(super) enum Linked {
    /// tcx. Minimum kernel version: 6.6.
    Tcx,
    /// The transmit of the primary end of a netkit pair. It understands the same return codes as tcx. Minimum kernel
    /// version: 6.7.
    Netkit,
}

impl Linked {
    /// What the kernel calls it.
    const fn kind(self, side: HookSide) -> bpf_attach_type {
        match (self, side) {
            (Self::Tcx, HookSide::Ingress) => BPF_TCX_INGRESS,
            (Self::Tcx, HookSide::Egress) => BPF_TCX_EGRESS,
            (Self::Netkit, HookSide::Ingress | HookSide::Egress) => BPF_NETKIT_PRIMARY,
        }
    }
}

impl HookKind for Linked {
    fn attach(&self, site: AttachPoint<'_>, program: BorrowedFd<'_>) -> Result<(), DataplaneError> {
        if let Some(link) = open(site)? {
            if held(site, &link)?.index == site.index {
                return link.update(program).map_err(failed(site, "update link"));
            }
            // A link to an interface that is gone, or to one that used to have this role, or one that somebody
            // detached.
            self.detach(site)?;
        }
        let link = BpfLink::create(program, site.index, self.kind(site.side), 0).map_err(|error| {
            if Errno::from_io_error(&error) == Some(Errno::NODEV) {
                DataplaneError::NoInterface(site.index)
            } else {
                DataplaneError::hook(site.index, "attach by a link", error)
            }
        })?;
        link.pin(&site.pins.link(site.role)).map_err(failed(site, "pin"))
    }

    fn detach(&self, site: AttachPoint<'_>) -> Result<(), DataplaneError> {
        detach(site)
    }

    fn attached(&self, site: AttachPoint<'_>) -> Result<Option<u32>, DataplaneError> {
        attached(site)
    }

    fn before(&self, site: AttachPoint<'_>) -> Result<Vec<u32>, DataplaneError> {
        let programs = link::programs(site.index, self.kind(site.side))
            .map_err(|error| DataplaneError::hook(site.index, "query programs", error))?;
        let ours = self.attached(site)?;
        Ok(programs.into_iter().take_while(|program| Some(*program) != ours).collect())
    }
}

/// Takes off what the pinned link holds; fine if there is none.
pub(super) fn detach(site: AttachPoint<'_>) -> Result<(), DataplaneError> {
    let Some(link) = open(site)? else { return Ok(()) };
    // The kernel would let go of an unpinned link only a little later, and not at all while somebody holds it open.
    link.detach().map_err(failed(site, "detach link"))?;
    pins::unpin(&site.pins.link(site.role))
}

/// The kernel's number of the program that the pinned link holds to this interface, if it does.
pub(in crate::dataplane) fn attached(site: AttachPoint<'_>) -> Result<Option<u32>, DataplaneError> {
    let Some(link) = open(site)? else { return Ok(None) };
    let held = held(site, &link)?;
    Ok((held.index == site.index).then_some(held.program))
}

/// The pinned link, if there is one.
pub(super) fn open(site: AttachPoint<'_>) -> Result<Option<BpfLink>, DataplaneError> {
    BpfLink::open(&site.pins.link(site.role)).map_err(failed(site, "open"))
}

fn held(site: AttachPoint<'_>, link: &BpfLink) -> Result<LinkTarget, DataplaneError> {
    link.held().map_err(failed(site, "link info"))
}

pub(super) fn failed(site: AttachPoint<'_>, call: &'static str) -> impl FnOnce(io::Error) -> DataplaneError {
    let path = site.pins.link(site.role);
    move |error| DataplaneError::pin(path, call, error)
}

/// Whether the kernel has tcx links.
///
/// Minimum kernel version for them: 6.6.
#[must_use]
pub fn tcx_supported() -> bool {
    // Every network namespace has `lo`, with number 1, up or down. Older kernels do not know the attach type.
    link::programs(IfIndex(1), BPF_TCX_INGRESS).is_ok()
}
