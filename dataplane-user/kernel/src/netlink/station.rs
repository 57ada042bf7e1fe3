//! Who is behind an interface: forwarding databases of bridges, and the unicast addresses that an interface must
//! receive.

use aggctl_common::IfIndex;
use aggctl_common::vlan::VlanId;
use aggctl_engine::downstream::{Station, StationPlace};
use rustix::io::Errno;

use super::{
    Netlink,
    link::mac_of,
    tlv::{Attributes, Builder, number_u8, u32_of},
};
use crate::error::KernelError;

/// Octets of `struct ndmsg`.
const HEADER: usize = 12;
/// `AF_BRIDGE`, as messages carry it.
const BRIDGE: u8 = number_u8(libc::AF_BRIDGE);
/// `NUD_PERMANENT`: in a forwarding database, an address of the bridge or of one of its ports.
const LOCAL: u16 = libc::NUD_PERMANENT;
/// `NTF_SELF`: an address of the interface's own lists.
const OWN: u8 = libc::NTF_SELF;

/// Attributes (`NDA_*`).
mod attr {
    pub(super) const LLADDR: u16 = libc::NDA_LLADDR;
    pub(super) const VLAN: u16 = libc::NDA_VLAN;
    pub(super) const MASTER: u16 = libc::NDA_MASTER;
}

impl Netlink {
    /// The stations that a bridge knows, those of the bridge itself included, those of its ports' own addresses not;
    /// and the unicast addresses that the bridge must receive. None if it is not there.
    ///
    /// # Errors
    ///
    /// If the kernel cannot be asked.
    pub fn bridge_stations(&mut self, bridge: IfIndex) -> Result<Vec<Station>, KernelError> {
        let query = Builder::new(&header(IfIndex::NONE)).push_u32(attr::MASTER, bridge.0).finish();
        self.stations(bridge, &query)
    }

    /// The unicast addresses that an interface must receive beside its own. None if it is not there.
    ///
    /// # Errors
    ///
    /// If the kernel cannot be asked.
    pub fn unicast_addresses(&mut self, index: IfIndex) -> Result<Vec<Station>, KernelError> {
        let mut stations = self.stations(index, &header(index))?;
        stations.retain(|station| station.place == StationPlace::Here);
        Ok(stations)
    }

    fn stations(&mut self, index: IfIndex, query: &[u8]) -> Result<Vec<Station>, KernelError> {
        match self.socket.dump(libc::RTM_GETNEIGH, query) {
            Ok(messages) => Ok(messages.iter().filter_map(|message| parse(index, message)).collect()),
            Err(failure) if failure.is(&[Errno::NODEV]) => Ok(Vec::new()),
            Err(failure) => Err(self.refused(index, "list stations", failure)),
        }
    }
}

/// `struct ndmsg`.
fn header(index: IfIndex) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[0] = BRIDGE;
    header[4..8].copy_from_slice(&index.0.to_ne_bytes());
    header
}

/// A station of `of`, an interface or a bridge. Its ports' own addresses are never the source of a frame.
fn parse(of: IfIndex, message: &[u8]) -> Option<Station> {
    let header = message.first_chunk::<HEADER>()?;
    let at = IfIndex(u32_of(&header[4..])?);
    let (state, flags) = (u16::from_ne_bytes([header[8], header[9]]), header[10]);
    let attributes = Attributes::after(message, HEADER);
    let mac = attributes.find(attr::LLADDR).and_then(mac_of).filter(|mac| mac.is_assignable())?;
    let place = if flags & OWN != 0 {
        (at == of).then_some(StationPlace::Here)
    } else if attributes.u32(attr::MASTER) == Some(of.0) && (state & LOCAL == 0 || at == of) {
        let vlan = attributes.find(attr::VLAN).and_then(|value| value.first_chunk().copied());
        Some(StationPlace::Behind { port: at, vlan: vlan.map(u16::from_ne_bytes).map(VlanId) })
    } else {
        None
    };
    place.map(|place| Station { mac, place })
}

#[cfg(test)]
mod tests {
    use aggctl_common::Mac;

    use super::*;

    const BR0: IfIndex = IfIndex(5);
    const PORT: IfIndex = IfIndex(6);
    const GUEST: Mac = Mac([2, 0, 0, 0, 0, 9]);

    fn entry(at: IfIndex, state: u16, flags: u8, mac: Mac, vlan: Option<u16>, master: Option<IfIndex>) -> Vec<u8> {
        let mut header = header(at);
        header[8..10].copy_from_slice(&state.to_ne_bytes());
        header[10] = flags;
        Builder::new(&header)
            .push(attr::LLADDR, &mac.0)
            .push_some(attr::VLAN, vlan.map(u16::to_ne_bytes).as_ref().map(<[u8; 2]>::as_slice))
            .push_some(attr::MASTER, master.map(|master| master.0.to_ne_bytes()).as_ref().map(<[u8; 4]>::as_slice))
            .finish()
    }

    #[test]
    fn learned_static_and_own_stations_are_found_and_addresses_of_ports_are_not() {
        use libc::{NUD_NOARP as NOARP, NUD_REACHABLE as REACHABLE};

        let behind = |port, vlan| Some(Station { mac: GUEST, place: StationPlace::Behind { port, vlan } });
        let read = |message: Vec<u8>| parse(BR0, &message);
        assert_eq!(read(entry(PORT, REACHABLE, 0, GUEST, None, Some(BR0))), behind(PORT, None));
        assert_eq!(read(entry(PORT, NOARP, 0, GUEST, Some(10), Some(BR0))), behind(PORT, Some(VlanId(10))));
        assert_eq!(read(entry(BR0, LOCAL, 0, GUEST, None, Some(BR0))), behind(BR0, None));
        assert_eq!(read(entry(PORT, LOCAL, 0, GUEST, None, Some(BR0))), None, "the port's own");
        assert_eq!(read(entry(PORT, REACHABLE, 0, GUEST, None, Some(IfIndex(8)))), None, "of another bridge");
        let here = Some(Station { mac: GUEST, place: StationPlace::Here });
        assert_eq!(read(entry(BR0, LOCAL, OWN, GUEST, None, None)), here);
        assert_eq!(read(entry(PORT, LOCAL, OWN, GUEST, None, None)), None, "of another interface");
        let group = Mac([0x33, 0x33, 0, 0, 0, 1]);
        assert_eq!(read(entry(BR0, LOCAL, OWN, group, None, None)), None, "a group");
    }

    #[test]
    fn a_truncated_entry_is_none() {
        assert_eq!(parse(BR0, &[7; 11]), None);
    }
}
