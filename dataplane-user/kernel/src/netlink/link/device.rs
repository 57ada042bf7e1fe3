//! Interfaces as far as they pass frames on to others below them: what is stacked on what, and the ports of bridges.

use std::collections::BTreeMap;

use aggctl_common::IfIndex;
use aggctl_common::vlan::VlanId;
use aggctl_engine::{
    downstream::{BridgePort, DeviceKind, NetDevice, PortVlan},
    tag::Tag,
};

use super::{GETLINK, HEADER, attr, header, parse, skip_stats};
use crate::{
    error::KernelError,
    netlink::{
        Netlink,
        tlv::{Attributes, Builder, number_u8, number_u16, u32_of},
    },
};

/// `AF_BRIDGE`, as messages carry it.
const BRIDGE: u8 = number_u8(libc::AF_BRIDGE);
/// `RTEXT_FILTER_BRVLAN_COMPRESSED`: the VLANs of bridge ports are wanted, as ranges (Linux 4.5).
const VLANS_COMPRESSED: u32 = libc::RTEXT_FILTER_BRVLAN_COMPRESSED as u32;
/// `BR_STATE_FORWARDING`.
const FORWARDING: u8 = 3;
/// EtherType of a VLAN tag that names none.
const DOT1Q: u16 = number_u16(libc::ETH_P_8021Q);

/// Attributes (`IFLA_*`) that only this module needs.
mod own {
    pub(super) const PROTINFO: u16 = libc::IFLA_PROTINFO;
    pub(super) const VLAN_ID: u16 = 1;
    pub(super) const VLAN_PROTOCOL: u16 = 5;
    pub(super) const BR_VLAN_FILTERING: u16 = 7;
    pub(super) const BR_VLAN_PROTOCOL: u16 = 8;
    pub(super) const BRPORT_STATE: u16 = 1;
    pub(super) const BRPORT_ISOLATED: u16 = 33;
    pub(super) const BRIDGE_VLAN_INFO: u16 = 2;
}

/// Flags of `struct bridge_vlan_info`.
mod vlan {
    pub(super) const PVID: u16 = 1 << 1;
    pub(super) const UNTAGGED: u16 = 1 << 2;
    pub(super) const RANGE_BEGIN: u16 = 1 << 3;
}

impl Netlink {
    /// All interfaces, as ways that frames take.
    ///
    /// # Errors
    ///
    /// If the kernel cannot be asked.
    pub fn devices(&mut self) -> Result<BTreeMap<IfIndex, NetDevice>, KernelError> {
        let messages = self.dump("interfaces", GETLINK, &skip_stats(IfIndex::NONE).finish())?;
        Ok(messages.iter().filter_map(|message| device(message)).collect())
    }

    /// The ports of all bridges, and the bridges themselves with the VLANs that they take part in.
    ///
    /// # Errors
    ///
    /// If the kernel cannot be asked.
    pub fn bridge_ports(&mut self) -> Result<BTreeMap<IfIndex, BridgePort>, KernelError> {
        let mut header = header(IfIndex::NONE, 0, 0);
        header[0] = BRIDGE;
        let query = Builder::new(&header).push_u32(attr::EXT_MASK, VLANS_COMPRESSED).finish();
        let messages = self.dump("bridge ports", GETLINK, &query)?;
        Ok(messages.iter().filter_map(|message| port(message)).collect())
    }
}

/// An interface.
fn device(message: &[u8]) -> Option<(IfIndex, NetDevice)> {
    let link = parse(message)?;
    let info = Attributes::after(message, HEADER).find(attr::LINKINFO).map(Attributes::nested);
    let data = Attributes::nested(info.and_then(|info| info.find(attr::INFO_DATA)).unwrap_or_default());
    let protocol =
        |kind| data.find(kind).and_then(|value| value.first_chunk().copied()).map_or(DOT1Q, u16::from_be_bytes);
    let kind = match link.kind.as_str() {
        "vlan" => {
            let vlan = data.find(own::VLAN_ID)?.first_chunk().copied().map(u16::from_ne_bytes)?;
            DeviceKind::Vlan(Tag { protocol: protocol(own::VLAN_PROTOCOL), vlan: VlanId(vlan) })
        }
        "macvlan" | "macvtap" | "ipvlan" | "ipvtap" => DeviceKind::Plain,
        "bridge" => {
            let filters = data.find(own::BR_VLAN_FILTERING).and_then(<[u8]>::first).is_some_and(|on| *on != 0);
            DeviceKind::Bridge { filtering: filters.then(|| protocol(own::BR_VLAN_PROTOCOL)) }
        }
        _ => DeviceKind::Other,
    };
    let (name, mac, up, lower, master) = (link.name, link.mac, link.admin_up, link.lower, link.master);
    Some((link.index, NetDevice { name, mac, up, lower, master, kind }))
}

/// A port of a bridge.
fn port(message: &[u8]) -> Option<(IfIndex, BridgePort)> {
    let index = IfIndex(u32_of(message.get(4..)?)?);
    let attributes = Attributes::after(message, HEADER);
    let settings = Attributes::nested(attributes.find(own::PROTINFO).unwrap_or_default());
    let octet = |kind| settings.find(kind).and_then(<[u8]>::first).copied();
    let port = BridgePort {
        forwarding: octet(own::BRPORT_STATE) == Some(FORWARDING),
        isolated: octet(own::BRPORT_ISOLATED).is_some_and(|on| on != 0),
        vlans: vlans(Attributes::nested(attributes.find(attr::AF_SPEC).unwrap_or_default())),
    };
    Some((index, port))
}

/// The VLANs of a port: single ones, and ranges whose first and last follow each other.
fn vlans(spec: Attributes<'_>) -> Vec<PortVlan> {
    let mut first = None;
    let mut found = Vec::new();
    for (_, value) in spec.filter(|(kind, _)| *kind == own::BRIDGE_VLAN_INFO) {
        let [a, b, c, d, ..] = *value else { continue };
        let (flags, id) = (u16::from_ne_bytes([a, b]), VlanId(u16::from_ne_bytes([c, d])));
        if flags & vlan::RANGE_BEGIN != 0 {
            first = Some(id);
            continue;
        }
        let (pvid, untagged) = (flags & vlan::PVID != 0, flags & vlan::UNTAGGED != 0);
        found.push(PortVlan { first: first.take().unwrap_or(id), last: id, pvid, untagged });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(flags: u16, vlan: u16) -> Vec<u8> {
        [flags.to_ne_bytes(), vlan.to_ne_bytes()].concat()
    }

    #[test]
    fn vlans_of_a_port_come_single_and_as_ranges() {
        const RANGE_END: u16 = 1 << 4;
        let spec = Builder::default()
            .push(own::BRIDGE_VLAN_INFO, &info(vlan::PVID | vlan::UNTAGGED, 1))
            .push(own::BRIDGE_VLAN_INFO, &info(vlan::RANGE_BEGIN, 10))
            .push(own::BRIDGE_VLAN_INFO, &info(RANGE_END, 20))
            .push(own::BRIDGE_VLAN_INFO, &info(0, 30))
            .push(own::BRIDGE_VLAN_INFO, &[1])
            .finish();
        let range =
            |first, last, both| PortVlan { first: VlanId(first), last: VlanId(last), pvid: both, untagged: both };
        assert_eq!(vlans(Attributes::nested(&spec)), [range(1, 1, true), range(10, 20, false), range(30, 30, false)]);
    }

    #[test]
    fn a_port_lets_frames_through_in_the_state_forwarding_only() {
        for (state, forwarding) in [(0, false), (2, false), (3, true), (4, false)] {
            let settings = Builder::default().push(own::BRPORT_STATE, &[state]).push(own::BRPORT_ISOLATED, &[1]);
            let message = Builder::new(&header(IfIndex(7), 0, 0)).push_nested(own::PROTINFO, &settings).finish();
            let expected = BridgePort { forwarding, isolated: true, vlans: Vec::new() };
            assert_eq!(port(&message), Some((IfIndex(7), expected)));
        }
    }
}
