//! Who receives frames by packet sockets of the present network namespace.

use std::{fs, io};

use aggctl_common::IfIndex;

use crate::netlink::tlv::number_u16;

/// Where the kernel lists them.
const LIST: &str = "/proc/thread-self/net/packet";

/// `ETH_P_ALL` of linux/if_ether.h: frames of every protocol.
pub(crate) const EVERY_PROTOCOL: u16 = number_u16(libc::ETH_P_ALL);

/// A packet socket that receives from one interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListeningSocket {
    /// The interface.
    pub index: IfIndex,
    /// The EtherType, or a number below 0x0600 that the kernel has for frames without one; 0 if it receives nothing.
    pub ethertype: u16,
    /// The number of the socket's inode.
    pub inode: u64,
}

/// All that are bound to an interface now.
///
/// # Errors
///
/// If the kernel's list cannot be read.
pub fn packet_sockets() -> io::Result<Vec<ListeningSocket>> {
    Ok(fs::read_to_string(LIST)?.lines().skip(1).filter_map(parse).collect())
}

/// Those that wait for frames of one EtherType. Those that wait for frames of every protocol receive them before any
/// program does, and are left out.
///
/// # Errors
///
/// If the kernel's list cannot be read.
pub fn listeners() -> io::Result<Vec<ListeningSocket>> {
    Ok(packet_sockets()?.into_iter().filter(is_listener).collect())
}

fn is_listener(socket: &ListeningSocket) -> bool {
    socket.ethertype != 0 && socket.ethertype != EVERY_PROTOCOL
}

/// A line of the list: sk, references, type, protocol (hexadecimal), interface, running, rmem, user, inode.
fn parse(line: &str) -> Option<ListeningSocket> {
    let mut fields = line.split_ascii_whitespace().skip(3);
    let ethertype = u16::from_str_radix(fields.next()?, 16).ok()?;
    let index = fields.next()?.parse().ok().map(IfIndex).filter(|index| *index != IfIndex::NONE)?;
    Some(ListeningSocket { index, ethertype, inode: fields.nth(3)?.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(protocol: &str, interface: u32) -> String {
        format!("ffff9c3b0 3      3    {protocol}   {interface}     1 0      0      12345")
    }

    #[test]
    fn who_is_bound_to_an_interface_is_read() {
        let expected = ListeningSocket { index: IfIndex(7), ethertype: 0x88f7, inode: 12345 };
        assert_eq!(parse(&line("88f7", 7)), Some(expected));
        assert_eq!(parse(&line("88f7", 0)), None, "on all of them");
        assert_eq!(parse(&line("nonsense", 7)), None);
        assert_eq!(parse(""), None);
    }

    #[test]
    fn a_listener_waits_for_one_protocol() {
        let listens = |protocol| is_listener(&parse(&line(protocol, 7)).unwrap());
        assert!(listens("88f7"));
        assert!(!listens("0003") && !listens("0000"));
    }
}
