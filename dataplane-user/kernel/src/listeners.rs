//! Who waits for frames of a protocol on one interface.

use std::{fs, io};

use aggctl_common::IfIndex;

/// The packet sockets of the present network namespace.
const PACKET_SOCKETS: &str = "/proc/thread-self/net/packet";

/// `ETH_P_ALL` of linux/if_ether.h: frames of every protocol.
const EVERY_PROTOCOL: u16 = 0x0003;

/// A packet socket that waits for frames of one EtherType on one interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketListener {
    /// The interface.
    pub index: IfIndex,
    /// The EtherType, or a number below 0x0600 that the kernel has for frames without one.
    pub ethertype: u16,
}

/// All that are there now. Those that wait for frames of every protocol receive them before any program does, and are
/// left out.
///
/// # Errors
///
/// If the file cannot be read.
pub fn listeners() -> io::Result<Vec<PacketListener>> {
    Ok(fs::read_to_string(PACKET_SOCKETS)?.lines().skip(1).filter_map(listener).collect())
}

/// A line of the file: sk, references, type, protocol (hexadecimal), interface, running, rmem, user, inode.
fn listener(line: &str) -> Option<PacketListener> {
    let mut fields = line.split_ascii_whitespace().skip(3);
    let ethertype = u16::from_str_radix(fields.next()?, 16).ok()?;
    let index = fields.next()?.parse().ok().map(IfIndex)?;
    (index != IfIndex::NONE && ethertype != 0 && ethertype != EVERY_PROTOCOL)
        .then_some(PacketListener { index, ethertype })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_bound_to_an_interface_and_a_protocol_is_read() {
        let line =
            |protocol, interface| format!("ffff9c3b0 3      3    {protocol}   {interface}     1 0      0      12345");
        let expected = PacketListener { index: IfIndex(7), ethertype: 0x88f7 };
        assert_eq!(listener(&line("88f7", 7)), Some(expected));
        for (protocol, interface) in [("0003", 7), ("0000", 7), ("88f7", 0), ("nonsense", 7)] {
            assert_eq!(listener(&line(protocol, interface)), None, "{protocol} on {interface}");
        }
        assert_eq!(listener(""), None);
    }
}
