//! A picture of the host's network configuration, as far as attaching and detaching depend on it.
//!
//! The kernel crate reads it, plans are made from it, and tests invent it.

use std::{
    collections::BTreeMap,
    fmt,
    net::{IpAddr, Ipv6Addr},
};

use aggctl_common::{IfIndex, Mac};
use serde::{Deserialize, Serialize};

use crate::driver::{DriverMembership, DriverState};

/// Key of [`Link::sysctls`]: takes IPv6 off an interface.
pub const DISABLE_IPV6: &str = "ipv6/disable_ipv6";
/// Key of [`Link::sysctls`]: drops packets whose way back is another (1), or which have none (2).
pub const RP_FILTER: &str = "ipv4/rp_filter";
/// `IN6_ADDR_GEN_MODE_EUI64`, the kernel's default for [`Link::addr_gen_mode`].
pub const GEN_EUI64: u8 = 0;
/// `IN6_ADDR_GEN_MODE_NONE`.
pub const GEN_NONE: u8 = 1;

/// The picture.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// All interfaces of the namespace, by number.
    pub links: BTreeMap<IfIndex, Link>,
    /// All addresses, in the kernel's order (which decides which is primary).
    pub addresses: Vec<Address>,
    /// Unicast and special routes of all tables but `local`, in the kernel's order, those that belong to a nexthop
    /// object included.
    pub routes: Vec<Route>,
    /// Nexthop objects.
    pub nexthops: Vec<Nexthop>,
    /// Neighbour and proxy entries that are worth keeping (not failed, not multicast).
    pub neighbours: Vec<NeighbourEntry>,
    /// What the kernel can do.
    pub capabilities: Capabilities,
}

impl Host {
    /// The interface of this name.
    #[must_use]
    pub fn link(&self, name: &str) -> Option<&Link> {
        self.links.values().find(|link| link.name == name)
    }

    /// The devices that are stacked on this interface.
    pub fn stacked_on(&self, index: IfIndex) -> impl Iterator<Item = &Link> {
        self.links.values().filter(move |link| link.lower == Some(index))
    }
}

/// What the running kernel can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// tcx links (Linux 6.6).
    pub tcx: bool,
    /// netkit pairs whose MAC can be set (Linux 6.11, `CONFIG_NETKIT`).
    pub netkit: bool,
    /// The bonding driver; asked for only where one of its devices is to be made.
    #[serde(default)]
    pub bonding: bool,
}

/// An interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Its number.
    pub index: IfIndex,
    /// Its name.
    pub name: String,
    /// ARPHRD_ETHER.
    pub ethernet: bool,
    /// IFF_LOOPBACK.
    pub loopback: bool,
    /// IFLA_INFO_KIND: `veth`, `netkit`, `bond`, `bridge`, `vlan`, `tun`; empty for most hardware.
    pub kind: String,
    /// IFLA_QDISC of a driver's device: the queueing discipline at its root, such as `noqueue`. Empty for others: the
    /// kernel changes theirs when they come up.
    #[serde(default)]
    pub qdisc: String,
    /// IFLA_MASTER: the bridge, bond, team, VRF … it belongs to.
    pub master: Option<IfIndex>,
    /// What the driver that made it says, if it is the device of a bonding or team driver.
    #[serde(default)]
    pub driver: Option<DriverState>,
    /// What the driver says of it, if it is a member of such a device.
    #[serde(default)]
    pub membership: Option<DriverMembership>,
    /// IFLA_LINK within this namespace: the device that a VLAN or macvlan is stacked on. Not set for the other end of a
    /// pair.
    pub lower: Option<IfIndex>,
    /// IFF_UP.
    pub admin_up: bool,
    /// IFF_LOWER_UP.
    pub carrier: bool,
    /// IFF_PROMISC, the flag.
    pub promisc: bool,
    /// IFF_ALLMULTI, the flag.
    pub allmulti: bool,
    /// Current MAC.
    pub mac: Mac,
    /// IFLA_PERM_ADDRESS, where the driver has one.
    pub permanent_mac: Option<Mac>,
    /// Maximum transmission unit, octets.
    pub mtu: u32,
    /// Which MTUs its driver says that it takes.
    #[serde(default)]
    pub mtu_limits: MtuLimits,
    /// IFLA_GSO_MAX_SIZE, octets.
    pub gso_max_size: u32,
    /// IFLA_GSO_MAX_SEGS.
    pub gso_max_segs: u32,
    /// IPv6 address generation mode (IFLA_INET6_ADDR_GEN_MODE); `None` where the interface has no IPv6.
    pub addr_gen_mode: Option<u8>,
    /// Interface identifier for IPv6 addresses from router advertisements (IFLA_INET6_TOKEN), where one is set.
    #[serde(default)]
    pub token: Option<Ipv6Addr>,
    /// Ethtool features that aggctl may switch, where the interface has them (`rx-vlan-filter`, `rx-lro`).
    pub features: BTreeMap<String, EthtoolFeature>,
    /// Per-interface sysctls that aggctl may set, as `ipv4/rp_filter`, `ipv6/disable_ipv6`, `ipv4/neigh/locktime`, …
    pub sysctls: BTreeMap<String, String>,
    /// What is attached to the interface's hooks.
    pub hooks: Hooks,
    /// What it says about XDP.
    #[serde(default)]
    pub xdp: XdpState,
}

impl Link {
    /// Whether frames can pass now.
    #[must_use]
    pub const fn has_link(&self) -> bool {
        self.admin_up && self.carrier
    }
}

/// Which MTUs the driver of an interface says that it takes (IFLA_MIN_MTU, IFLA_MAX_MTU; Linux 4.19). It may refuse
/// others, too: a macvlan takes no larger one than the interface below it has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MtuLimits {
    /// The smallest, octets.
    pub min: u32,
    /// The largest, octets; 0: any.
    pub max: u32,
}

impl MtuLimits {
    /// Nothing is said.
    pub const NONE: Self = Self { min: 0, max: 0 };

    /// The MTU that comes closest to this one: it itself, if it is within the limits.
    #[must_use]
    pub fn closest(self, mtu: u32) -> u32 {
        let largest = if self.max == 0 { mtu } else { mtu.min(self.max) };
        largest.max(self.min)
    }
}

impl fmt::Display for MtuLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.max {
            0 => write!(f, "at least {}", self.min),
            max => write!(f, "{} to {max}", self.min),
        }
    }
}

/// An ethtool feature of an interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EthtoolFeature {
    /// Whether it is on.
    pub on: bool,
    /// Whether it cannot be changed.
    pub fixed: bool,
}

/// What an interface says about XDP.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct XdpState {
    /// The program that is attached, if one is.
    pub program: Option<XdpProgram>,
    /// Whether its driver runs programs; `None`: the kernel does not say (before Linux 6.3).
    pub native: Option<bool>,
    /// Whether the card joins frames to larger ones as they come (`rx-gro-hw`), which no driver does while it runs a
    /// program.
    pub joins: bool,
}

/// An XDP program that is attached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct XdpProgram {
    /// The kernel's number of it.
    pub id: u32,
    /// Its name; empty: it has none.
    pub name: String,
}

/// What is attached to an interface's ingress hooks and would be bypassed by a redirect that comes first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hooks {
    /// Descriptions of filters on the ingress of clsact or the ingress qdisc that are not ours.
    pub clsact_ingress: Vec<String>,
    /// Names of nftables chains hooked to this interface's ingress.
    pub nft_ingress: Vec<String>,
}

/// An address of an interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// The interface.
    pub link: IfIndex,
    /// The host's own address (IFA_LOCAL, or IFA_ADDRESS where there is no peer).
    pub local: IpAddr,
    /// The other end of a point-to-point address.
    pub peer: Option<IpAddr>,
    /// Length of the prefix.
    pub prefix_len: u8,
    /// IPv4 broadcast address.
    pub broadcast: Option<IpAddr>,
    /// IPv4 label, where it has one.
    pub label: Option<String>,
    /// Scope (rtnetlink `RT_SCOPE_*`).
    pub scope: u8,
    /// IFA_FLAGS, all bits as the kernel reported them.
    pub flags: u32,
    /// IFA_PROTO (Linux 5.18), where it is set.
    pub protocol: Option<u8>,
    /// IFA_RT_PRIORITY: metric of the prefix route, where it is set.
    pub metric: Option<u32>,
    /// Seconds that it stays valid; `None`: for ever.
    pub valid_lifetime: Option<u32>,
    /// Seconds that it stays preferred; `None`: for ever.
    pub preferred_lifetime: Option<u32>,
}

/// A route. What planning needs is spelled out; the rest travels as the kernel described it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// IPv6, else IPv4.
    pub v6: bool,
    /// Destination; `None`: the default route.
    pub destination: Option<IpAddr>,
    /// Length of the destination's prefix.
    pub prefix_len: u8,
    /// Table number.
    pub table: u32,
    /// Metric (RTA_PRIORITY), 0 if not set.
    pub metric: u32,
    /// Who made it (`RTPROT_*`): 2 is the kernel.
    pub protocol: u8,
    /// `RTN_*`: 1 is unicast.
    pub kind: u8,
    /// The interfaces that it leaves by: one, or several for a multipath route.
    pub links: Vec<IfIndex>,
    /// Whether it goes through a gateway.
    pub gateway: bool,
    /// The nexthop object that it belongs to.
    pub nexthop: Option<u32>,
    /// The whole message (rtmsg and attributes) as the kernel sent it, without what changes by itself: flags of the
    /// moment (dead, link down, offloaded) and the age of cached metrics. An expiry stays.
    pub wire: Vec<u8>,
}

/// A nexthop object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nexthop {
    /// Its number.
    pub id: u32,
    /// The interface that it leaves by (`None` for groups and blackholes).
    pub link: Option<IfIndex>,
    /// The whole message (nhmsg and attributes) as the kernel sent it.
    pub wire: Vec<u8>,
}

/// A neighbour (or proxy) entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NeighbourEntry {
    /// The interface.
    pub link: IfIndex,
    /// The neighbour's address.
    pub address: IpAddr,
    /// Its MAC, where it is known.
    pub mac: Option<Mac>,
    /// `NUD_*` state.
    pub state: u16,
    /// `NTF_*` flags.
    pub flags: u8,
}
