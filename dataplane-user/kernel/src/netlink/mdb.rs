//! Which groups are received behind a bridge: its multicast database.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use aggctl_common::{IfIndex, vlan::VlanId};
use aggctl_engine::downstream::BridgeGroup;
use rustix::io::Errno;

use super::{
    Netlink,
    tlv::{Attributes, number_u8, number_u16, u32_of},
};
use crate::error::KernelError;

/// `RTM_GETMDB` (linux/rtnetlink.h).
const GET_MDB: u16 = libc::RTM_GETMDB;
/// Octets of `struct br_port_msg` (linux/if_bridge.h).
const HEADER: usize = 8;
/// Octets of the address in `struct br_mdb_entry`, which begins after interface, state, flags and VLAN.
const ADDRESS: std::ops::Range<usize> = 8..24;

/// Attributes (linux/if_bridge.h).
mod attr {
    /// `MDBA_MDB`, in it `MDBA_MDB_ENTRY`, in it `MDBA_MDB_ENTRY_INFO`: `struct br_mdb_entry`.
    pub(super) const MDB: u16 = 1;
}

impl Netlink {
    /// The groups that a bridge knows of: none if it does not snoop, or is not there.
    ///
    /// # Errors
    ///
    /// If the kernel cannot be asked.
    pub fn bridge_groups(&mut self, bridge: IfIndex) -> Result<Vec<BridgeGroup>, KernelError> {
        let mut header = [0; HEADER];
        header[0] = number_u8(libc::AF_BRIDGE);
        match self.socket.dump(GET_MDB, &header) {
            Ok(messages) => Ok(messages.iter().flat_map(|message| parse(bridge, message)).collect()),
            // A kernel without bridges, or without snooping.
            Err(failure) if failure.is(&[Errno::OPNOTSUPP]) => Ok(Vec::new()),
            Err(failure) => Err(self.refused(bridge, "list groups", failure)),
        }
    }
}

/// The entries of a message, if they are this bridge's.
fn parse(of: IfIndex, message: &[u8]) -> Vec<BridgeGroup> {
    let bridge = message.get(4..).and_then(u32_of).map(IfIndex);
    let entries = Attributes::after(message, HEADER).filter(|(kind, _)| bridge == Some(of) && *kind == attr::MDB);
    let infos = entries.flat_map(|(_, database)| Attributes::nested(database));
    infos.flat_map(|(_, entry)| Attributes::nested(entry)).filter_map(|(_, info)| parse_entry(info)).collect()
}

/// `struct br_mdb_entry`.
fn parse_entry(info: &[u8]) -> Option<BridgeGroup> {
    let port = IfIndex(u32_of(info)?);
    let vlan = u16::from_ne_bytes([*info.get(6)?, *info.get(7)?]);
    let address = <[u8; 16]>::try_from(info.get(ADDRESS)?).ok()?;
    let group = match u16::from_be_bytes([*info.get(24)?, *info.get(25)?]) {
        ETHERTYPE_IPV4 => IpAddr::V4(Ipv4Addr::from(*address.first_chunk()?)),
        ETHERTYPE_IPV6 => IpAddr::V6(Ipv6Addr::from(address)),
        // A group of no protocol: nobody reports it.
        _ => return None,
    };
    Some(BridgeGroup { port, vlan: (vlan != 0).then_some(VlanId(vlan)), group })
}

/// EtherTypes (linux/if_ether.h).
const ETHERTYPE_IPV4: u16 = number_u16(libc::ETH_P_IP);
const ETHERTYPE_IPV6: u16 = number_u16(libc::ETH_P_IPV6);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::tlv::Builder;

    fn entry(port: u32, vlan: u16, address: [u8; 16], protocol: u16) -> Builder {
        let mut info = [0; 28];
        info[..4].copy_from_slice(&port.to_ne_bytes());
        info[6..8].copy_from_slice(&vlan.to_ne_bytes());
        info[8..24].copy_from_slice(&address);
        info[24..26].copy_from_slice(&protocol.to_be_bytes());
        Builder::new(&[]).push_nested(1, &Builder::new(&[]).push(1, &info))
    }

    #[test]
    fn groups_of_both_protocols_are_found_and_others_are_not() {
        let mut v4 = [0; 16];
        v4[..4].copy_from_slice(&[239, 1, 2, 3]);
        let v6: Ipv6Addr = "ff15::9".parse().unwrap();
        let mut header = [0; HEADER];
        header[4..].copy_from_slice(&5_u32.to_ne_bytes());
        let message = Builder::new(&header)
            .push_nested(attr::MDB, &entry(7, 0, v4, ETHERTYPE_IPV4))
            .push_nested(attr::MDB, &entry(8, 10, v6.octets(), ETHERTYPE_IPV6))
            .push_nested(attr::MDB, &entry(8, 10, v6.octets(), 0))
            .finish();
        let group = |port, vlan, group| BridgeGroup { port: IfIndex(port), vlan, group };
        let expected = [group(7, None, IpAddr::from([239, 1, 2, 3])), group(8, Some(VlanId(10)), v6.into())];
        assert_eq!(parse(IfIndex(5), &message), expected);
        assert_eq!(parse(IfIndex(6), &message), []);
        assert_eq!(parse(IfIndex(5), &message[..20]), []);
    }
}
