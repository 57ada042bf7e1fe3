//! What is told about an interface.

use aggctl_common::{IfIndex, Mac};
use aggctl_engine::event::{AggregateState, LinkState};
use netlink_packet_route::link::{InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkMessage};

use crate::ethtool::LinkSettings;

/// An interface, as an event or an answer shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkReport {
    /// Its number.
    pub index: IfIndex,
    /// Its name.
    pub name: String,
    /// `IFF_UP`.
    pub admin_up: bool,
    /// `IFF_LOWER_UP`.
    pub carrier: bool,
    /// `IFF_PROMISC`, the flag.
    pub promisc: bool,
    /// `IFF_ALLMULTI`, the flag.
    pub allmulti: bool,
    /// Users of promiscuous mode.
    pub promiscuity: u32,
    /// The MAC in use.
    pub mac: Mac,
    /// The MAC that the driver found in the hardware, where there is one.
    pub permanent_mac: Option<Mac>,
    /// Octets.
    pub mtu: u32,
    /// `veth`, `tun`, …; empty for most hardware.
    pub kind: String,
    /// The bridge, bond, … that it belongs to.
    pub master: Option<IfIndex>,
}

impl LinkReport {
    /// As the engine wants it of a port. Speed and duplex come from [`crate::ethtool::settings`].
    #[must_use]
    pub fn link_state(&self, settings: LinkSettings, vlan_filter_fixed: bool) -> LinkState {
        LinkState {
            ifindex: self.index,
            admin_up: self.admin_up,
            carrier: self.carrier,
            promisc: self.promisc,
            allmulti: self.allmulti,
            mac: self.mac,
            mtu: self.mtu,
            speed_mbps: settings.speed_mbps,
            full_duplex: settings.full_duplex,
            vlan_filter_fixed,
        }
    }

    /// As the engine wants it of the aggregate's own interface.
    #[must_use]
    pub fn aggregate_state(&self) -> AggregateState {
        AggregateState { admin_up: self.admin_up, promiscuity: self.promiscuity, mac: self.mac, mtu: self.mtu }
    }

    pub(super) fn of(message: &LinkMessage) -> Self {
        let flags = message.header.flags;
        let mut report = Self {
            index: IfIndex(message.header.index),
            admin_up: flags.contains(LinkFlags::Up),
            carrier: flags.contains(LinkFlags::LowerUp),
            promisc: flags.contains(LinkFlags::Promisc),
            allmulti: flags.contains(LinkFlags::Allmulti),
            ..Self::default()
        };
        for attribute in &message.attributes {
            match attribute {
                LinkAttribute::IfName(name) => report.name.clone_from(name),
                LinkAttribute::Promiscuity(count) => report.promiscuity = *count,
                LinkAttribute::Address(mac) => report.mac = mac_of(mac).unwrap_or_default(),
                LinkAttribute::PermAddress(mac) => report.permanent_mac = mac_of(mac),
                LinkAttribute::Mtu(mtu) => report.mtu = *mtu,
                LinkAttribute::Controller(index) => {
                    report.master = Some(IfIndex(*index)).filter(|i| *i != IfIndex::NONE);
                }
                LinkAttribute::LinkInfo(infos) => report.kind = kind_of(infos),
                _ => {}
            }
        }
        report
    }
}

/// A MAC, if it has six octets.
fn mac_of(value: &[u8]) -> Option<Mac> {
    value.try_into().ok().map(Mac)
}

/// The kind of an interface among what is known about it.
fn kind_of(infos: &[LinkInfo]) -> String {
    let kind = infos.iter().find_map(|info| match info {
        LinkInfo::Kind(kind) => Some(kind),
        _ => None,
    });
    kind.map(InfoKind::to_string).unwrap_or_default()
}
