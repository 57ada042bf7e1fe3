//! Neighbours: who is reached at which MAC, and for whom we answer.

use aggctl_common::IfIndex;
use aggctl_engine::host::NeighbourEntry;
use rustix::io::Errno;

use super::{
    CREATE, EXCL, INET, INET6, Netlink,
    link::mac_of,
    tlv::{Attributes, Builder, ip_octets, ip_of, u32_of},
    unless,
};
use crate::error::KernelError;

/// Octets of `struct ndmsg`.
const HEADER: usize = 12;
/// `NDA_DST`.
const ATTR_DST: u16 = libc::NDA_DST;
/// `NDA_LLADDR`.
const ATTR_LLADDR: u16 = libc::NDA_LLADDR;

/// `NTF_PROXY`: we answer for this address.
const PROXY: u8 = libc::NTF_PROXY;
/// `NTF_EXT_LEARNED`: it belongs to a daemon, which will put it where it wants it.
const EXT_LEARNED: u8 = libc::NTF_EXT_LEARNED;
/// `NTF_ROUTER`.
const ROUTER: u8 = libc::NTF_ROUTER;

impl Netlink {
    /// The neighbours and proxy entries that are worth keeping: not failed, not in resolution, not multicast, and not
    /// put there by a daemon that looks after them itself.
    ///
    /// # Errors
    ///
    /// If the kernel cannot be asked.
    pub fn neighbours(&mut self) -> Result<Vec<NeighbourEntry>, KernelError> {
        let mut neighbours = Vec::new();
        for (family, flags) in [(INET, 0), (INET, PROXY), (INET6, 0), (INET6, PROXY)] {
            let mut query = [0; HEADER];
            query[0] = family;
            query[10] = flags;
            let messages = self.dump("neighbours", libc::RTM_GETNEIGH, &query)?;
            let of_family = messages.iter().filter(|message| message.first() == Some(&family));
            neighbours.extend(of_family.filter_map(|message| parse(message)).filter(worth_keeping));
        }
        // Kernels that do not filter dumps answer both questions with everything.
        neighbours.sort_by_key(|neighbour| (neighbour.link, neighbour.address, neighbour.flags));
        neighbours.dedup();
        Ok(neighbours)
    }

    /// Adds an entry. One that is there stays as it is.
    ///
    /// # Errors
    ///
    /// What the kernel refuses.
    pub fn add_neighbour(&mut self, index: IfIndex, neighbour: &NeighbourEntry) -> Result<(), KernelError> {
        let mac = neighbour.mac.map(|mac| mac.0);
        let message = emit(index, neighbour).push_some(ATTR_LLADDR, mac.as_ref().map(<[u8; 6]>::as_slice)).finish();
        // Proxy entries know no "only if it is not there"; making one again changes nothing.
        let how = if neighbour.flags & PROXY == 0 { CREATE | EXCL } else { CREATE };
        let result = self.socket.request(libc::RTM_NEWNEIGH, how, &message);
        unless(result, &[Errno::EXIST])
            .map_err(|failure| KernelError::refused(neighbour.address.to_string(), "add neighbour", failure))
    }

    /// Removes an entry. Fine if it is not there, or if the interface is not.
    ///
    /// # Errors
    ///
    /// What the kernel refuses.
    pub fn delete_neighbour(&mut self, index: IfIndex, neighbour: &NeighbourEntry) -> Result<(), KernelError> {
        let message = emit(index, neighbour).finish();
        let result = self.socket.request(libc::RTM_DELNEIGH, 0, &message);
        unless(result, &[Errno::NOENT, Errno::SRCH, Errno::NODEV, Errno::NXIO])
            .map_err(|failure| KernelError::refused(neighbour.address.to_string(), "delete neighbour", failure))
    }
}

/// Whether an entry moves with the addresses.
fn worth_keeping(neighbour: &NeighbourEntry) -> bool {
    let proxy = neighbour.flags & PROXY != 0;
    let known =
        neighbour.state != 0 && neighbour.state & (libc::NUD_INCOMPLETE | libc::NUD_FAILED | libc::NUD_NOARP) == 0;
    (proxy || known) && neighbour.flags & EXT_LEARNED == 0 && !neighbour.address.is_multicast()
}

/// A message about an entry, without its MAC.
fn emit(index: IfIndex, neighbour: &NeighbourEntry) -> Builder {
    // Entries that are just being verified begin that anew.
    let state =
        if neighbour.state & (libc::NUD_DELAY | libc::NUD_PROBE) != 0 { libc::NUD_STALE } else { neighbour.state };
    let state = if neighbour.flags & PROXY != 0 { libc::NUD_PERMANENT } else { state };
    let mut header = [0; HEADER];
    header[0] = if neighbour.address.is_ipv6() { INET6 } else { INET };
    header[4..8].copy_from_slice(&index.0.to_ne_bytes());
    header[8..10].copy_from_slice(&state.to_ne_bytes());
    header[10] = neighbour.flags & (PROXY | ROUTER);
    Builder::new(&header).push(ATTR_DST, &ip_octets(neighbour.address))
}

/// An entry.
pub(crate) fn parse(message: &[u8]) -> Option<NeighbourEntry> {
    let header = message.first_chunk::<HEADER>()?;
    let attributes = Attributes::after(message, HEADER);
    Some(NeighbourEntry {
        link: IfIndex(u32_of(&header[4..])?),
        address: attributes.find(ATTR_DST).and_then(ip_of)?,
        mac: attributes.find(ATTR_LLADDR).and_then(mac_of),
        state: u16::from_ne_bytes([header[8], header[9]]),
        flags: header[10],
    })
}
