//! What the controller tells the engine.

use aggctl_common::{IfIndex, Mac, PortId};

use serde::{Deserialize, Serialize};

use crate::{
    config::{AggregateConfig, PortConfig},
    driver::{DriverMembership, DriverState},
    host::MtuLimits,
    prober::PortFindings,
};

/// Something that happened. Every event carries the whole present state of its subject, so that one may be told twice,
/// or one that was missed be made up for by the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The link of a port, as an event or a query showed it.
    Link {
        /// The port.
        port: PortId,
        /// Its state now.
        link: LinkState,
    },
    /// The interface of a port went away.
    Gone {
        /// The port.
        port: PortId,
    },
    /// The aggregate's own interface, as an event or a query showed it.
    Aggregate(AggregateState),
    /// The driver whose device the aggregate is, as an event or a query showed it. In wiring `over` only.
    Driver(DriverState),
    /// What the watches of a port beyond its link say, all of them.
    Watched(PortFindings),
    /// A port was added. It is not usable before its first [`Event::Link`].
    PortAdded(Member),
    /// A port is about to be removed: stop using it.
    PortRemoved {
        /// Its slot.
        port: PortId,
    },
    /// The owner chose an active port by hand. Refused (see [`crate::aggregate::EventRefusal`]) if it is not usable.
    Activate {
        /// The chosen port.
        port: PortId,
    },
    /// The owner gives up a choice by hand: the rule chooses as if no port were active, whatever
    /// [`Reselect`](crate::config::Reselect) says. Refused where all ports carry traffic.
    ChooseAgain,
    /// The live options of the aggregate and its ports changed (name, mode, wiring, hook and the set of ports are as
    /// before).
    Configure(AggregateConfig),
    /// A port refused the MTU that it was asked to take.
    MtuRefused {
        /// The port.
        port: PortId,
        /// Octets.
        mtu: u32,
        /// Why, in words.
        why: String,
    },
    /// A deadline that the engine asked for may have passed.
    Tick,
}

/// A port as it is handed over at the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its slot.
    pub id: PortId,
    /// Its interface.
    pub ifindex: IfIndex,
    /// Its settings.
    pub config: PortConfig,
    /// What its owner wants of its flags.
    pub own: OwnFlags,
    /// Its own MAC: the one that it had before it became a port.
    pub mac: Mac,
}

/// The state of a port's interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkState {
    /// Present interface number; differs from the former if the interface was plugged in again.
    pub ifindex: IfIndex,
    /// `IFF_UP`: administratively up.
    pub admin_up: bool,
    /// `IFF_LOWER_UP`: the driver reports a link.
    pub carrier: bool,
    /// `IFF_PROMISC`: promiscuous mode was demanded by a flag.
    pub promisc: bool,
    /// `IFF_ALLMULTI`: all-multicast mode was demanded by a flag.
    pub allmulti: bool,
    /// The MAC in use.
    pub mac: Mac,
    /// Maximum transmission unit, octets.
    pub mtu: u32,
    /// Which MTUs the driver says that it takes.
    pub mtu_limits: MtuLimits,
    /// Megabits per second, if the driver knows.
    pub speed_mbps: Option<u32>,
    /// Full duplex, if the driver knows.
    pub full_duplex: Option<bool>,
    /// What the driver says of it, in wiring `over`; `None`: it is no member of the driver's device.
    pub membership: Option<DriverMembership>,
    /// `rx-vlan-filter` is on and cannot be switched off: only promiscuous mode lets foreign tags in.
    pub vlan_filter_fixed: bool,
}

/// What the owner of a port wants of its flags, whatever the aggregate needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnFlags {
    /// `IFF_PROMISC`.
    pub promisc: bool,
    /// `IFF_ALLMULTI`.
    pub allmulti: bool,
}

/// The state of the aggregate's own interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AggregateState {
    /// `IFF_UP`.
    pub admin_up: bool,
    /// Users of promiscuous mode (IFLA_PROMISCUITY): tcpdump, a bridge, a second unicast address.
    pub promiscuity: u32,
    /// The MAC in use.
    pub mac: Mac,
    /// Maximum transmission unit, octets.
    pub mtu: u32,
}
