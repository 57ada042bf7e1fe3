//! What the engine wants to know about an interface while it runs.

use aggctl_engine::{
    event::{AggregateState, LinkState},
    host::Link,
};

use super::{HEADER, attr};
use crate::{ethtool::LinkSettings, netlink::tlv::Attributes};

/// The present state of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkReport {
    /// The interface, as [`crate::netlink::Netlink::links`] shows it.
    pub link: Link,
    /// Users of promiscuous mode.
    pub promiscuity: u32,
}

impl LinkReport {
    /// As the engine wants it of a port. Speed and duplex come from [`crate::ethtool::settings`].
    #[must_use]
    pub fn link_state(&self, settings: LinkSettings, vlan_filter_fixed: bool) -> LinkState {
        let link = &self.link;
        LinkState {
            ifindex: link.index,
            admin_up: link.admin_up,
            carrier: link.carrier,
            promisc: link.promisc,
            allmulti: link.allmulti,
            mac: link.mac,
            mtu: link.mtu,
            mtu_limits: link.mtu_limits,
            speed_mbps: settings.speed_mbps,
            full_duplex: settings.full_duplex,
            membership: link.membership,
            vlan_filter_fixed,
        }
    }

    /// As the engine wants it of the aggregate's own interface.
    #[must_use]
    pub fn aggregate_state(&self) -> AggregateState {
        let Link { admin_up, mac, mtu, .. } = self.link;
        AggregateState { admin_up, promiscuity: self.promiscuity, mac, mtu }
    }

    /// Of an interface, by what the message that told of it says besides.
    pub(super) fn new(link: Link, message: &[u8]) -> Self {
        Self { link, promiscuity: Attributes::after(message, HEADER).u32(attr::PROMISCUITY).unwrap_or_default() }
    }
}
