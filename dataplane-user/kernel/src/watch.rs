//! Reports that interfaces, addresses and routes changed, in a tokio runtime.
//!
//! Events only say that something happened. For carrier they may come up to a second late, because the kernel batches the
//! loss of carrier, and one may be older than what is known already; so they carry no state. Only a question shows the
//! truth at once (see [`crate::netlink::Netlink::report`]), and it also makes the kernel send what it held back.

use std::fmt;

use aggctl_common::IfIndex;
use futures_util::{StreamExt, future::ready, stream::BoxStream};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage, link::LinkAttribute};
use rtnetlink::{
    MulticastGroup, new_multicast_connection,
    packet_core::{NetlinkMessage, NetlinkPayload},
    sys::AsyncSocket,
};
use rustix::{io::Errno, net::sockopt};
use tokio::task::AbortHandle;

use crate::error::{Failure, KernelError};

/// Octets of events that may wait for us.
const BUFFER: usize = 4 * 1024 * 1024;

/// What the watcher listens to.
const GROUPS: [MulticastGroup; 5] = [
    MulticastGroup::Link,
    MulticastGroup::Ipv4Ifaddr,
    MulticastGroup::Ipv6Ifaddr,
    MulticastGroup::Ipv4Route,
    MulticastGroup::Ipv6Route,
];

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkEvent {
    /// An interface is there, or changed: ask for it.
    Changed(IfIndex),
    /// An interface is not there any more.
    Deleted {
        /// The index that it had.
        index: IfIndex,
        /// The index that it has in the network namespace that it was moved to, if it was.
        elsewhere: Option<IfIndex>,
    },
    /// An address of this interface came, changed or went.
    AddressChanged(IfIndex),
    /// A route came, changed or went.
    RouteChanged,
    /// Events were lost: look at everything again.
    Overrun,
}

/// Listens to what happens in the network namespace in which it was opened.
pub struct Watcher {
    events: BoxStream<'static, LinkEvent>,
    task: AbortHandle,
}

impl Watcher {
    /// Begins to listen: everything that happens after this call is told by [`Watcher::next`]. The work is done by
    /// tasks of the present runtime, which end with the watcher.
    ///
    /// # Errors
    ///
    /// If the kernel gives no socket.
    pub async fn open() -> Result<Self, KernelError> {
        let refused = |error: std::io::Error| KernelError::refused("netlink events", "open", error);
        let (mut connection, _, events) = new_multicast_connection(&GROUPS).map_err(refused)?;
        let socket = connection.socket_mut().socket_mut();
        // Without privilege the system's limit holds; an overrun is noticed anyhow.
        if sockopt::set_socket_recv_buffer_size_force(&*socket, BUFFER).is_err() {
            let _ = sockopt::set_socket_recv_buffer_size(&*socket, BUFFER);
        }
        let events = events.filter_map(|(message, _)| ready(event(&message))).boxed();
        Ok(Self { events, task: tokio::spawn(connection).abort_handle() })
    }

    /// The next event. May be given up and called again without losing one.
    ///
    /// # Errors
    ///
    /// If the socket died.
    pub async fn next(&mut self) -> Result<LinkEvent, KernelError> {
        self.events.next().await.ok_or_else(|| {
            let failure = Failure { error: Errno::PIPE.into(), message: Some("the socket died".into()) };
            KernelError::refused("netlink events", "receive", failure)
        })
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher").finish_non_exhaustive()
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The index that an interface got where it was moved to (Linux 4.16).
fn index_elsewhere(attribute: &LinkAttribute) -> Option<IfIndex> {
    match attribute {
        LinkAttribute::NewIfIndex(index) => u32::try_from(*index).ok().map(IfIndex),
        _ => None,
    }
}

/// What a message tells, if it is one that we wait for.
fn event(message: &NetlinkMessage<RouteNetlinkMessage>) -> Option<LinkEvent> {
    match &message.payload {
        NetlinkPayload::Overrun(_) => Some(LinkEvent::Overrun),
        NetlinkPayload::InnerMessage(inner) => match inner {
            RouteNetlinkMessage::NewLink(link) => Some(LinkEvent::Changed(IfIndex(link.header.index))),
            RouteNetlinkMessage::DelLink(link) => {
                let index = IfIndex(link.header.index);
                // A bridge says "deleted" of a port that only left it.
                let whole = link.header.interface_family == AddressFamily::Unspec;
                let elsewhere = link.attributes.iter().find_map(index_elsewhere);
                Some(if whole { LinkEvent::Deleted { index, elsewhere } } else { LinkEvent::Changed(index) })
            }
            RouteNetlinkMessage::NewAddress(address) | RouteNetlinkMessage::DelAddress(address) => {
                Some(LinkEvent::AddressChanged(IfIndex(address.header.index)))
            }
            RouteNetlinkMessage::NewRoute(_) | RouteNetlinkMessage::DelRoute(_) => Some(LinkEvent::RouteChanged),
            _ => None,
        },
        _ => None,
    }
}
