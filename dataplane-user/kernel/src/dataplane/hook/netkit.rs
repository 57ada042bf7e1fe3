//! netkit: the transmit of the primary end of a netkit pair. A pinned link holds the program.

use std::{io, os::fd::AsFd as _};

use aya::programs::SchedClassifier;
use aya_obj::generated::bpf_attach_type::BPF_NETKIT_PRIMARY;
use rustix::io::Errno;

use super::{
    Hook, Site,
    link::{Held, Link},
};
use crate::dataplane::{error::DataplaneError, pins};

/// The transmit of a netkit interface. It understands the same return codes as tcx.
///
/// Minimum kernel version: 6.7.
#[derive(Clone, Copy, Debug)]
pub(super) struct Netkit;

impl Hook for Netkit {
    fn attach(&self, site: Site<'_>, program: &mut SchedClassifier) -> Result<(), DataplaneError> {
        let program = program
            .fd()
            .map_err(|error| DataplaneError::program(site.role.to_string(), "file descriptor", error))?
            .as_fd();
        if let Some(link) = open(site)? {
            if held(site, &link)?.index == site.index {
                return link.update(program).map_err(failed(site, "update netkit link"));
            }
            // A link to an interface that is gone, or to one that used to be the aggregate.
            self.detach(site)?;
        }
        let link = Link::create(program, site.index, BPF_NETKIT_PRIMARY).map_err(|error| {
            if Errno::from_io_error(&error) == Some(Errno::NODEV) {
                DataplaneError::NoInterface(site.index)
            } else {
                DataplaneError::hook(site.index, "attach to netkit", error)
            }
        })?;
        link.pin(&site.pins.link(site.role)).map_err(failed(site, "pin"))
    }

    fn detach(&self, site: Site<'_>) -> Result<(), DataplaneError> {
        let Some(link) = open(site)? else { return Ok(()) };
        // The kernel would let go of an unpinned link only a little later.
        link.detach().map_err(failed(site, "detach netkit link"))?;
        pins::unpin(&site.pins.link(site.role))
    }

    fn attached(&self, site: Site<'_>) -> Result<Option<u32>, DataplaneError> {
        let Some(link) = open(site)? else { return Ok(None) };
        let held = held(site, &link)?;
        Ok((held.index == site.index).then_some(held.program))
    }
}

/// The pinned link, if there is one.
fn open(site: Site<'_>) -> Result<Option<Link>, DataplaneError> {
    Link::open(&site.pins.link(site.role)).map_err(failed(site, "open"))
}

fn held(site: Site<'_>, link: &Link) -> Result<Held, DataplaneError> {
    link.held().map_err(failed(site, "link info"))
}

fn failed(site: Site<'_>, call: &'static str) -> impl FnOnce(io::Error) -> DataplaneError {
    let path = site.pins.link(site.role);
    move |error| DataplaneError::pin(path, call, error)
}
