//! Reports that interfaces, addresses and routes changed, in a tokio runtime.
//!
//! Events only say that something happened. For carrier they may come up to a second late, because the kernel batches
//! the loss of carrier, and one may be older than what is known already; so their state is not used. Only a query gives
//! the present state (see [`crate::netlink::Netlink::report`]), and it also makes the kernel send what it held back.
//!
//! Others may cause any number of them. So they are read many at a time, no more than their kind and interface is
//! looked at, and what happened to one interface several times is told once.
//!
//! The team driver tells of some changes only to those who listen to it: see [`Watcher::follow_teams`].
#![allow(unsafe_code, reason = "tokio takes the caller's word that a descriptor stays what it is")]

use std::{
    collections::{BTreeMap, BTreeSet},
    future::pending,
    time::Duration,
};

use aggctl_common::IfIndex;
use rtnetlink::sys::{
    Socket as NetlinkSocket,
    protocols::{NETLINK_GENERIC, NETLINK_ROUTE},
};
use rustix::{io::Errno, net::RecvFlags};
use tokio::{
    io::unix::{AsyncFd, AsyncFdReadyGuard},
    time::Instant,
};

use crate::{
    error::{CallFailure, KernelError},
    netlink::{
        genl::{
            Family,
            team::{self, ToldOptions},
        },
        listener::{self, DATAGRAM},
        socket::{HEADER, Socket, split},
        tlv::{Attributes, align, u32_of},
    },
};

/// Groups: `RTNLGRP_LINK`, and addresses and routes of IPv4 and IPv6.
const GROUPS: [u32; 5] = [1, 5, 7, 9, 11];
/// Datagrams that are read in one go.
const MOST: usize = 512;
/// Between two batches. The first event after a silence waits for nothing.
const PAUSE: Duration = Duration::from_millis(1);
/// Between two batches of the team driver. teamd in its runner loadbalance sets an option that is set, because it was
/// told that it is set, some thousand times in a second.
const TEAM_PAUSE: Duration = Duration::from_millis(20);
/// Octets of `struct ifinfomsg`.
const LINK_HEADER: usize = 16;
/// `IFLA_NEW_IFINDEX`: the index where an interface was moved to (Linux 4.16).
const NEW_IFINDEX: u16 = libc::IFLA_NEW_IFINDEX;

/// What happened since it was asked for last, each thing once. Whatever is deleted was so before it changed: its index
/// is another interface's by now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventBatch {
    /// Interfaces that are not there any more: the index that each had, and the one that it has in the network
    /// namespace that it was moved to, if it was.
    pub deleted: BTreeMap<IfIndex, Option<IfIndex>>,
    /// Interfaces that are there, or changed: ask for them.
    pub changed: BTreeSet<IfIndex>,
    /// Interfaces of which an address came, changed or went.
    pub addresses: BTreeSet<IfIndex>,
    /// A route came, changed or went.
    pub routes: bool,
    /// Events were lost: look at everything again.
    pub overrun: bool,
}

impl EventBatch {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Takes in what a datagram tells.
    fn read(&mut self, mut datagram: &[u8]) {
        while let Some((header, body)) = split(datagram) {
            datagram = datagram.get(align(HEADER + body.len())..).unwrap_or_default();
            // Interfaces and addresses have their index in the same place.
            let index = body.get(4..).and_then(u32_of).map(IfIndex);
            match (header.kind, index) {
                (libc::RTM_NEWLINK, Some(index)) => {
                    self.changed.insert(index);
                }
                (libc::RTM_DELLINK, Some(index)) => self.delete(index, body),
                (libc::RTM_NEWADDR | libc::RTM_DELADDR, Some(index)) => {
                    self.addresses.insert(index);
                }
                (libc::RTM_NEWROUTE | libc::RTM_DELROUTE, _) => self.routes = true,
                _ => {}
            }
        }
    }

    /// Takes in what a datagram of the team driver tells.
    fn read_teams(&mut self, told: &mut ToldOptions, mut datagram: &[u8]) {
        while let Some((_, body)) = split(datagram) {
            datagram = datagram.get(align(HEADER + body.len())..).unwrap_or_default();
            self.changed.extend(told.changed(body));
        }
    }

    fn delete(&mut self, index: IfIndex, body: &[u8]) {
        // A bridge says "deleted" of a port that only left it; it names its family.
        if body.first() != Some(&0) {
            self.changed.insert(index);
            return;
        }
        self.changed.remove(&index);
        let elsewhere = Attributes::after(body, LINK_HEADER).u32(NEW_IFINDEX).map(IfIndex);
        let known = self.deleted.entry(index).or_default();
        *known = known.or(elsewhere);
    }
}

/// Listens to what happens in the network namespace in which it was opened.
#[derive(Debug)]
pub struct Watcher {
    socket: AsyncFd<NetlinkSocket>,
    /// What the team driver tells, and when to listen to it again.
    teams: Option<(AsyncFd<NetlinkSocket>, Instant)>,
    told: ToldOptions,
    buffer: Vec<u8>,
    pause: Pause,
}

/// Whether the next batch has to wait.
#[derive(Debug)]
enum Pause {
    /// No.
    None,
    /// From the next question on.
    Due,
    /// Until then.
    Until(Instant),
}

impl Watcher {
    /// Begins to listen: everything that happens after this call is told by [`Watcher::next`]. To be called in a
    /// runtime.
    ///
    /// # Errors
    ///
    /// If the kernel gives no socket.
    pub fn open() -> Result<Self, KernelError> {
        let socket = listen(NETLINK_ROUTE, &GROUPS);
        let socket = socket.map_err(|error| KernelError::refused("netlink events", "open", error))?;
        Ok(Self { socket, teams: None, told: ToldOptions::default(), buffer: vec![0; DATAGRAM], pause: Pause::None })
    }

    /// Also tells, from now on, which team devices have another active port, or other options, than before: they count
    /// as changed. Nothing if there is no team driver.
    ///
    /// # Errors
    ///
    /// If the kernel gives no socket.
    pub fn follow_teams(&mut self) -> Result<(), KernelError> {
        let open = || -> Result<_, CallFailure> {
            let family = Family::ask(&mut Socket::open(NETLINK_GENERIC)?, team::FAMILY)?;
            let group = family.and_then(|family| family.group(team::CHANGES));
            let socket = group.map(|group| listen(NETLINK_GENERIC, &[group])).transpose()?;
            Ok(socket.map(|socket| (socket, Instant::now())))
        };
        self.teams = open().map_err(|failure| KernelError::refused("events of the team driver", "open", failure))?;
        Ok(())
    }

    /// What happened since this was called last; waits until something does. There is a pause between two batches,
    /// which belongs to the rest of the runtime. May be given up and called again without losing anything.
    ///
    /// # Errors
    ///
    /// If the socket died.
    pub async fn next(&mut self) -> Result<EventBatch, KernelError> {
        let refused = |error: std::io::Error| KernelError::refused("netlink events", "receive", error);
        if let Pause::Due = self.pause {
            self.pause = Pause::Until(Instant::now() + PAUSE);
        }
        if let Pause::Until(end) = self.pause {
            tokio::time::sleep_until(end).await;
            self.pause = Pause::None;
        }
        loop {
            let (mut ready, is_of_teams) = tokio::select! {
                ready = self.socket.readable() => (ready.map_err(refused)?, false),
                ready = readable(self.teams.as_mut()) => (ready.map_err(refused)?, true),
            };
            let mut batch = EventBatch::default();
            for _ in 0..MOST {
                match rustix::net::recv(ready.get_inner(), &mut self.buffer[..], RecvFlags::DONTWAIT) {
                    Ok((length, _)) if is_of_teams => batch.read_teams(&mut self.told, &self.buffer[..length]),
                    Ok((length, _)) => batch.read(&self.buffer[..length]),
                    Err(Errno::INTR) => {}
                    Err(Errno::NOBUFS) => batch.overrun = true,
                    Err(Errno::AGAIN) => {
                        ready.clear_ready();
                        break;
                    }
                    Err(error) => return Err(refused(error.into())),
                }
            }
            self.told.retain(|team| !batch.overrun && !batch.deleted.contains_key(&team));
            if !batch.is_empty() {
                self.pause = Pause::Due;
                return Ok(batch);
            }
        }
    }
}

/// Listens to these groups, in the runtime.
fn listen(protocol: isize, groups: &[u32]) -> std::io::Result<AsyncFd<NetlinkSocket>> {
    let socket = listener::subscribe(protocol, groups)?;
    // SAFETY: the socket owns its descriptor, always names the same one, and closes it when it is dropped.
    unsafe { AsyncFd::register(socket) }.map_err(std::io::Error::from)
}

/// Waits until the team driver told something, and it is time to listen; for ever without a socket.
async fn readable(
    teams: Option<&mut (AsyncFd<NetlinkSocket>, Instant)>,
) -> std::io::Result<AsyncFdReadyGuard<'_, NetlinkSocket>> {
    let Some((socket, next)) = teams else { return pending().await };
    tokio::time::sleep_until(*next).await;
    let ready = socket.readable().await?;
    *next = Instant::now() + TEAM_PAUSE;
    Ok(ready)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::tlv::Builder;

    /// A message about interface `index`, from `family`, with more to follow.
    fn message(kind: u16, family: u8, index: u32, elsewhere: Option<u32>) -> Vec<u8> {
        let mut body = vec![0; LINK_HEADER];
        body[0] = family;
        body[4..8].copy_from_slice(&index.to_ne_bytes());
        if let Some(elsewhere) = elsewhere {
            body.extend([8_u16.to_ne_bytes(), NEW_IFINDEX.to_ne_bytes()].concat());
            body.extend(elsewhere.to_ne_bytes());
        }
        let mut message = u32::try_from(HEADER + body.len()).unwrap().to_ne_bytes().to_vec();
        message.extend(kind.to_ne_bytes());
        message.resize(HEADER, 0);
        message.extend(body);
        message
    }

    fn batch(messages: &[Vec<u8>]) -> EventBatch {
        let mut batch = EventBatch::default();
        messages.iter().for_each(|message| batch.read(message));
        batch
    }

    #[test]
    fn what_happens_often_is_told_once() {
        let new = message(libc::RTM_NEWLINK, 0, 3, None);
        let address = message(libc::RTM_DELADDR, 2, 4, None);
        let route = message(libc::RTM_NEWROUTE, 2, 9, None);
        let told = batch(&[[new.clone(), new.clone()].concat(), address.clone(), address, route.clone(), route]);
        let wanted = EventBatch {
            changed: BTreeSet::from([IfIndex(3)]),
            addresses: BTreeSet::from([IfIndex(4)]),
            routes: true,
            ..EventBatch::default()
        };
        assert_eq!(told, wanted);
    }

    #[test]
    fn an_index_that_is_given_again_is_deleted_and_changed() {
        let new = message(libc::RTM_NEWLINK, 0, 3, None);
        let moved = message(libc::RTM_DELLINK, 0, 3, Some(7));
        let deleted = message(libc::RTM_DELLINK, 0, 3, None);
        let gone = BTreeMap::from([(IfIndex(3), Some(IfIndex(7)))]);
        let told = batch(&[new.clone(), moved.clone(), new.clone(), deleted.clone()]);
        assert_eq!((told.deleted, told.changed), (gone.clone(), BTreeSet::new()));
        let told = batch(&[deleted, moved, new]);
        assert_eq!((told.deleted, told.changed), (gone, BTreeSet::from([IfIndex(3)])));
    }

    #[test]
    fn a_team_of_whose_ports_was_told_changed() {
        // With what closes a list of several messages.
        let mut end = u32::try_from(HEADER).unwrap().to_ne_bytes().to_vec();
        end.resize(HEADER, 0);
        let options = Builder::new(&[2, 1, 0, 0]).push_u32(1, 7).push_nested(3, &Builder::default()).finish();
        let mut event = u32::try_from(HEADER + options.len()).unwrap().to_ne_bytes().to_vec();
        event.extend(33_u16.to_ne_bytes());
        event.resize(HEADER, 0);
        event.extend(options);
        let mut told = EventBatch::default();
        told.read_teams(&mut ToldOptions::default(), &[event.clone(), event, end].concat());
        assert_eq!(told, EventBatch { changed: BTreeSet::from([IfIndex(7)]), ..EventBatch::default() });
    }

    #[test]
    fn a_port_that_leaves_its_bridge_changed() {
        let left = message(libc::RTM_DELLINK, 7, 3, None);
        let told = batch(&[left]);
        assert_eq!((told.deleted.len(), told.changed), (0, BTreeSet::from([IfIndex(3)])));
    }
}
