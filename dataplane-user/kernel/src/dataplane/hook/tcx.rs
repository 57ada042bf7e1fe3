//! tcx: each program is held by a link, which a pin keeps when the process ends.

use std::{
    thread,
    time::{Duration, Instant},
};

use aggctl_common::IfIndex;
use aya::programs::{
    LinkOrder, ProgramError, ProgramInfo, SchedClassifier, TcAttachType,
    links::{FdLink, LinkError, PinnedLink},
    tc::{SchedClassifierLink, TcAttachOptions},
};
use rustix::{
    io::Errno,
    net::{AddressFamily, SocketType, netdevice},
};

use super::{Hook, Side, Site};
use crate::dataplane::{
    error::{DataplaneError, is_not_found, system_error},
    pins,
};

/// How long the kernel may take to let go of an unpinned link: it does so after an RCU grace period.
const RELEASE: Duration = Duration::from_secs(2);

/// tcx links.
///
/// Minimum kernel version: 6.6.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tcx;

impl Hook for Tcx {
    fn attach(&self, site: Site<'_>, program: &mut SchedClassifier) -> Result<(), DataplaneError> {
        let name = name_of(site.index)?;
        let failed = |call| move |error: ProgramError| DataplaneError::program(site.role.to_string(), call, error);
        let path = site.pins.link(site.role);
        let broken = |call| {
            let path = path.clone();
            move |error: LinkError| DataplaneError::pin(path, call, error)
        };
        if let Some(link) = open(site)? {
            if programs(&name, site.side).map_err(failed("query tcx"))?.contains(&link_program(site, &link)?) {
                let link = SchedClassifierLink::try_from(link).map_err(broken("type of link"))?;
                program.attach_to_link(link).map_err(failed("update tcx link"))?;
                return Ok(());
            }
            // A link to an interface that is gone, or to one that used to have this slot.
            self.detach(site)?;
        }
        let id = program
            .attach_with_options(&name, kind(site.side), TcAttachOptions::TcxOrder(LinkOrder::last()))
            .map_err(failed("attach to tcx"))?;
        let link = program.take_link(id).map_err(failed("take tcx link"))?;
        let link = FdLink::try_from(link).map_err(broken("type of link"))?;
        link.pin(&path).map_err(|error| DataplaneError::pin(&path, "pin", error))?;
        Ok(())
    }

    fn detach(&self, site: Site<'_>) -> Result<(), DataplaneError> {
        let Some(link) = open(site)? else { return Ok(()) };
        let program = link_program(site, &link)?;
        pins::unpin(&site.pins.link(site.role))?;
        drop(link);
        // The kernel lets go of the link a little later; who compares the host right after us shall see it gone.
        let deadline = Instant::now() + RELEASE;
        while let Ok(name) = name_of(site.index)
            && programs(&name, site.side).is_ok_and(|programs| programs.contains(&program))
            && Instant::now() < deadline
        {
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    fn attached(&self, site: Site<'_>) -> Result<Option<u32>, DataplaneError> {
        let Some(link) = open(site)? else { return Ok(None) };
        let program = link_program(site, &link)?;
        let name = match name_of(site.index) {
            Ok(name) => name,
            Err(DataplaneError::NoInterface(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let there = programs(&name, site.side)
            .map_err(|error| DataplaneError::program(site.role.to_string(), "query tcx", error))?
            .contains(&program);
        Ok(there.then_some(program))
    }
}

/// The pinned link, if there is one.
fn open(site: Site<'_>) -> Result<Option<FdLink>, DataplaneError> {
    let path = site.pins.link(site.role);
    match PinnedLink::from_pin(&path) {
        Ok(link) => Ok(Some(link.into())),
        Err(error) if is_not_found(&error) => Ok(None),
        Err(error) => Err(DataplaneError::pin(path, "open", error)),
    }
}

/// The kernel's number of the program that a link holds.
fn link_program(site: Site<'_>, link: &FdLink) -> Result<u32, DataplaneError> {
    link.info()
        .map(|info| info.program_id())
        .map_err(|error| DataplaneError::pin(site.pins.link(site.role), "link info", error))
}

/// What the loader calls a side.
const fn kind(side: Side) -> TcAttachType {
    match side {
        Side::Ingress => TcAttachType::Ingress,
        Side::Egress => TcAttachType::Egress,
    }
}

/// The numbers of all programs on one side of an interface.
fn programs(name: &str, side: Side) -> Result<Vec<u32>, ProgramError> {
    let query = || {
        SchedClassifier::query_tcx(name, kind(side)).map(|(_, programs)| programs.iter().map(ProgramInfo::id).collect())
    };
    // A program that goes while the list is read makes the reading fail.
    for _ in 0..10 {
        match query() {
            Err(error) if system_error(&error) == Some(Errno::NOENT) => {}
            result => return result,
        }
    }
    query()
}

/// The present name of an interface; aya wants names.
fn name_of(index: IfIndex) -> Result<String, DataplaneError> {
    let socket = rustix::net::socket(AddressFamily::UNIX, SocketType::DGRAM, None)
        .map_err(|errno| DataplaneError::hook(index, "socket", errno))?;
    netdevice::index_to_name(socket, index.0).map_err(|errno| match errno {
        Errno::NODEV | Errno::NXIO => DataplaneError::NoInterface(index),
        errno => DataplaneError::hook(index, "SIOCGIFNAME", errno),
    })
}
