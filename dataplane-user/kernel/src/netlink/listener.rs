//! What happens to addresses, routes and neighbours, with its content, for code that has no runtime.
//!
//! [`crate::watch`] says that something happened and a question then shows what is. Here the question would come too
//! late: what was added may be gone by then, flushed with something that we removed.

use std::{collections::BTreeSet, io};

use aggctl_common::IfIndex;
use aggctl_engine::{
    arrivals::{Arrivals, ChangeAuthor, ChangeEvent, ChangedItem},
    record::Layer3,
};
use rtnetlink::sys::{Socket as NetlinkSocket, protocols::NETLINK_ROUTE};
use rustix::{
    io::Errno,
    net::{RecvFlags, sockopt},
};

use super::{
    REPLACE, address, link, neighbour, route,
    socket::{self, MessageHeader},
    tlv::{align, u32_of},
};
use crate::error::KernelError;

/// Groups: `RTNLGRP_LINK`, `RTNLGRP_NEIGH`, and addresses and routes of IPv4 and IPv6.
const GROUPS: [u32; 6] = [1, 3, 5, 7, 9, 11];
/// Octets of messages that may wait for us.
const BUFFER: usize = 4 * 1024 * 1024;
/// Octets of a datagram; the kernel makes no longer ones.
pub(crate) const DATAGRAM: usize = 64 * 1024;

/// More datagrams than ever wait: nobody who tells without end holds up who listens.
const MOST: usize = 16 * 1024;

/// Listens from its making on.
#[derive(Debug)]
pub struct ChangeListener {
    socket: NetlinkSocket,
    /// The interfaces that matter; `None`: all.
    only: Option<BTreeSet<IfIndex>>,
    arrivals: Arrivals,
    overrun: bool,
}

impl ChangeListener {
    /// Begins to listen in the present network namespace, to all interfaces or to those named.
    ///
    /// # Errors
    ///
    /// If the kernel gives no socket.
    pub fn open(only: Option<BTreeSet<IfIndex>>) -> Result<Self, KernelError> {
        let socket = subscribe(NETLINK_ROUTE, &GROUPS)
            .map_err(|error| KernelError::refused("netlink messages", "listen to", error))?;
        Ok(Self { socket, only, arrivals: Arrivals::default(), overrun: false })
    }

    /// A step of ours is about to remove this.
    pub fn will_move(&mut self, what: &ChangedItem) {
        self.arrivals.will_move(what);
    }

    /// Takes in all that was told so far. `us` is the number of the socket that carries out our steps; for `flushing`
    /// see
    /// [`Arrivals::tell`].
    pub fn receive(&mut self, us: u32, flushing: bool) {
        let mut buffer = vec![0; DATAGRAM];
        for _ in 0..MOST {
            match rustix::net::recv(&self.socket, &mut buffer[..], RecvFlags::DONTWAIT) {
                Ok((length, _)) => self.take_in(&buffer[..length], us, flushing),
                Err(Errno::INTR) => {}
                Err(Errno::NOBUFS) => self.overrun = true,
                Err(_) => return,
            }
        }
    }

    /// Whether messages were lost since this was asked last.
    pub fn take_overrun(&mut self) -> bool {
        std::mem::take(&mut self.overrun)
    }

    /// What came and is wanted, as far as it was received.
    #[must_use]
    pub fn arrivals(&self) -> &Arrivals {
        &self.arrivals
    }

    /// Has what is on an interface, and shall stay there, looked after like what comes.
    pub fn keep(&mut self, there: &Layer3) {
        self.arrivals.keep(there);
    }

    /// Forgets what was looked after on an interface.
    pub fn forget(&mut self, taken: &Arrivals, link: IfIndex) {
        self.arrivals.forget(taken, link);
    }

    fn take_in(&mut self, mut datagram: &[u8], us: u32, flushing: bool) {
        while let Some((header, body)) = socket::split(datagram) {
            datagram = datagram.get(align(socket::HEADER + body.len())..).unwrap_or_default();
            if let Some(news) = news(&header, body, us).filter(|news| self.matters(news)) {
                self.arrivals.tell(news, flushing);
            }
        }
    }

    fn matters(&self, news: &ChangeEvent) -> bool {
        let Some(only) = &self.only else { return true };
        match news {
            ChangeEvent::Link { index, .. } => only.contains(index),
            ChangeEvent::Added { what, .. } | ChangeEvent::Removed { what, .. } => match what {
                ChangedItem::Address(address) => only.contains(&address.link),
                ChangedItem::Route(route) => route.links.iter().any(|link| only.contains(link)),
                ChangedItem::Neighbour(neighbour) => only.contains(&neighbour.link),
            },
        }
    }
}

/// A socket to which the kernel tells what happens to these groups of a protocol in the present network namespace.
pub(crate) fn subscribe(protocol: isize, groups: &[u32]) -> io::Result<NetlinkSocket> {
    let mut socket = NetlinkSocket::new(protocol)?;
    socket.bind_auto()?;
    // Without privilege the system's limit holds; an overrun is noticed.
    if sockopt::set_socket_recv_buffer_size_force(&socket, BUFFER).is_err() {
        sockopt::set_socket_recv_buffer_size(&socket, BUFFER)?;
    }
    groups.iter().try_for_each(|group| socket.add_membership(*group))?;
    Ok(socket)
}

/// What a message tells, if it is of one of our kinds.
fn news(header: &MessageHeader, body: &[u8], us: u32) -> Option<ChangeEvent> {
    let by = match header.port {
        0 => ChangeAuthor::Kernel,
        port if port == us => ChangeAuthor::Us,
        _ => ChangeAuthor::Others,
    };
    let added = |what| ChangeEvent::Added { what, instead: header.flags & REPLACE != 0, by };
    let removed = |what| ChangeEvent::Removed { what, by };
    match header.kind {
        libc::RTM_NEWADDR => address::parse(body).map(ChangedItem::Address).map(added),
        libc::RTM_DELADDR => address::parse(body).map(ChangedItem::Address).map(removed),
        libc::RTM_NEWROUTE => route::parse(body).map(ChangedItem::Route).map(added),
        libc::RTM_DELROUTE => route::parse(body).map(ChangedItem::Route).map(removed),
        libc::RTM_NEWNEIGH => neighbour::parse(body).map(ChangedItem::Neighbour).map(added),
        libc::RTM_DELNEIGH => neighbour::parse(body).map(ChangedItem::Neighbour).map(removed),
        libc::RTM_NEWLINK => Some(ChangeEvent::Link { index: IfIndex(u32_of(body.get(4..)?)?), up: link::is_up(body) }),
        _ => None,
    }
}
