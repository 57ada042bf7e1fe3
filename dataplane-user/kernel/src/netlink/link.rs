//! Interfaces.

mod bond;
mod device;
mod make_bond;
mod pair;
mod report;
mod set;
mod team;
pub(crate) mod xdp;

use std::net::Ipv6Addr;

use aggctl_common::{IfIndex, Mac};
use aggctl_engine::host::{Link, MtuLimits, XdpState};
use rustix::io::Errno;

pub use self::{pair::PairSpec, report::LinkReport};
use super::{
    INET6, Netlink,
    tlv::{Attributes, Builder, u32_of},
};
use crate::error::{CallFailure, KernelError};

/// `RTM_NEWLINK`: make one, or change one.
const NEWLINK: u16 = libc::RTM_NEWLINK;
/// `RTM_GETLINK`.
const GETLINK: u16 = libc::RTM_GETLINK;
/// Octets of `struct ifinfomsg`.
const HEADER: usize = 16;

/// Attributes (`IFLA_*`).
mod attr {
    pub(super) const ADDRESS: u16 = libc::IFLA_ADDRESS;
    pub(super) const IFNAME: u16 = libc::IFLA_IFNAME;
    pub(super) const MTU: u16 = libc::IFLA_MTU;
    pub(super) const QDISC: u16 = libc::IFLA_QDISC;
    pub(super) const LINK: u16 = libc::IFLA_LINK;
    pub(super) const MASTER: u16 = libc::IFLA_MASTER;
    pub(super) const LINKINFO: u16 = libc::IFLA_LINKINFO;
    pub(super) const STATS64: u16 = libc::IFLA_STATS64;
    pub(super) const PROMISCUITY: u16 = libc::IFLA_PROMISCUITY;
    pub(super) const AF_SPEC: u16 = libc::IFLA_AF_SPEC;
    pub(super) const NET_NS_FD: u16 = libc::IFLA_NET_NS_FD;
    pub(super) const GROUP: u16 = libc::IFLA_GROUP;
    pub(super) const EXT_MASK: u16 = libc::IFLA_EXT_MASK;
    pub(super) const LINK_NETNSID: u16 = libc::IFLA_LINK_NETNSID;
    pub(super) const XDP: u16 = libc::IFLA_XDP;
    pub(super) const GSO_MAX_SEGS: u16 = libc::IFLA_GSO_MAX_SEGS;
    pub(super) const GSO_MAX_SIZE: u16 = libc::IFLA_GSO_MAX_SIZE;
    pub(super) const MIN_MTU: u16 = libc::IFLA_MIN_MTU;
    pub(super) const MAX_MTU: u16 = libc::IFLA_MAX_MTU;
    pub(super) const PERM_ADDRESS: u16 = libc::IFLA_PERM_ADDRESS;
    pub(super) const TSO_MAX_SIZE: u16 = libc::IFLA_TSO_MAX_SIZE;
    pub(super) const TSO_MAX_SEGS: u16 = libc::IFLA_TSO_MAX_SEGS;
    pub(super) const INFO_KIND: u16 = libc::IFLA_INFO_KIND;
    pub(super) const INFO_DATA: u16 = libc::IFLA_INFO_DATA;
    pub(super) const INFO_SLAVE_KIND: u16 = libc::IFLA_INFO_SLAVE_KIND;
    pub(super) const INFO_SLAVE_DATA: u16 = libc::IFLA_INFO_SLAVE_DATA;
    pub(super) const VETH_PEER: u16 = 1;
    pub(super) const VXLAN_LINK: u16 = 3;
    pub(super) const NETKIT_PEER: u16 = 1;
    pub(super) const NETKIT_PRIMARY: u16 = 2;
    pub(super) const NETKIT_POLICY: u16 = 3;
    pub(super) const NETKIT_PEER_POLICY: u16 = 4;
    pub(super) const NETKIT_MODE: u16 = 5;
    pub(super) const INET6_TOKEN: u16 = 7;
    pub(super) const INET6_ADDR_GEN_MODE: u16 = 8;
}

/// `RTEXT_FILTER_SKIP_STATS`: counters are not wanted (Linux 4.4).
const SKIP_STATS: u32 = libc::RTEXT_FILTER_SKIP_STATS as u32;

/// `IFF_UP`.
const UP: u32 = libc::IFF_UP as u32;
/// `IFF_LOOPBACK`.
const LOOPBACK: u32 = libc::IFF_LOOPBACK as u32;
/// `IFF_PROMISC`.
const PROMISC: u32 = libc::IFF_PROMISC as u32;
/// `IFF_ALLMULTI`.
const ALLMULTI: u32 = libc::IFF_ALLMULTI as u32;
/// `IFF_LOWER_UP`.
const LOWER_UP: u32 = libc::IFF_LOWER_UP as u32;

/// What went through an interface since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkCounters {
    /// Frames received.
    pub rx_packets: u64,
    /// Frames sent.
    pub tx_packets: u64,
    /// Octets received.
    pub rx_bytes: u64,
    /// Octets sent.
    pub tx_bytes: u64,
    /// Frames that could not be received, for whatever reason.
    pub rx_errors: u64,
    /// Frames that could not be sent.
    pub tx_errors: u64,
    /// Frames received and dropped.
    pub rx_dropped: u64,
    /// Frames dropped instead of sent.
    pub tx_dropped: u64,
}

impl Netlink {
    /// All interfaces. `features`, `sysctls` and `hooks` are not filled in, of `xdp` no more than the
    /// program's number: see [`crate::snapshot::snapshot`].
    ///
    /// # Errors
    ///
    /// If the kernel cannot be asked.
    pub fn links(&mut self) -> Result<Vec<Link>, KernelError> {
        let query = skip_stats(IfIndex::NONE).finish();
        let messages = self.dump("interfaces", GETLINK, &query)?;
        let mut links: Vec<_> = messages.iter().filter_map(|message| parse(message)).collect();
        self.ask_teams(&mut links)?;
        Ok(links)
    }

    /// All interfaces, each with the group that it is in (IFLA_GROUP).
    pub(crate) fn groups(&mut self) -> Result<Vec<(Link, u32)>, KernelError> {
        let messages = self.dump("interfaces", GETLINK, &skip_stats(IfIndex::NONE).finish())?;
        let group = |message: &[u8]| Attributes::after(message, HEADER).u32(attr::GROUP).unwrap_or_default();
        Ok(messages.iter().filter_map(|message| Some((parse(message)?, group(message)))).collect())
    }

    /// One interface, as [`Netlink::links`] shows it. `None` if there is none of this number.
    ///
    /// # Errors
    ///
    /// If the kernel cannot be asked.
    pub fn link(&mut self, index: IfIndex) -> Result<Option<Link>, KernelError> {
        if index == IfIndex::NONE {
            return Ok(None);
        }
        Ok(self.get_link(&format!("interface {index}"), &skip_stats(index).finish())?.map(|(link, _)| link))
    }

    /// The present state of an interface, truer than any event: a question flushes what the kernel held back. `None` if
    /// there is none of this number.
    ///
    /// # Errors
    ///
    /// If the kernel cannot be asked.
    pub fn report(&mut self, index: IfIndex) -> Result<Option<LinkReport>, KernelError> {
        if index == IfIndex::NONE {
            return Ok(None);
        }
        let found = self.get_link(&format!("interface {index}"), &skip_stats(index).finish())?;
        Ok(found.map(|(link, message)| LinkReport::new(link, &message)))
    }

    /// One interface by its name.
    ///
    /// # Errors
    ///
    /// If the kernel cannot be asked.
    pub fn link_named(&mut self, name: &str) -> Result<Option<Link>, KernelError> {
        let query = skip_stats(IfIndex::NONE).push_str(attr::IFNAME, name).finish();
        Ok(self.get_link(name, &query)?.map(|(link, _)| link))
    }

    /// The counters of an interface. `None` if there is none of this number.
    ///
    /// # Errors
    ///
    /// If the kernel cannot be asked.
    pub fn counters(&mut self, index: IfIndex) -> Result<Option<LinkCounters>, KernelError> {
        if index == IfIndex::NONE {
            return Ok(None);
        }
        let query = Builder::new(&header(index, 0, 0)).finish();
        match self.socket.get(GETLINK, &query) {
            Ok(message) => Ok(Attributes::after(&message, HEADER).find(attr::STATS64).map(counters)),
            Err(failure) if failure.is(&[Errno::NODEV]) => Ok(None),
            Err(failure) => Err(KernelError::refused(format!("interface {index}"), "get counters", failure)),
        }
    }

    /// An interface, and the message that told of it.
    fn get_link(&mut self, subject: &str, query: &[u8]) -> Result<Option<(Link, Vec<u8>)>, KernelError> {
        match self.socket.get(GETLINK, query) {
            Ok(message) => {
                let Some(mut link) = parse(&message) else { return Ok(None) };
                self.ask_team_of(&mut link, &message)?;
                Ok(Some((link, message)))
            }
            // A name that no interface can have (too long) is the name of none.
            Err(failure) if failure.is(&[Errno::NODEV, Errno::RANGE]) => Ok(None),
            Err(failure) => Err(KernelError::refused(subject, "get interface", failure)),
        }
    }

    /// An error about an interface, by its name where it still has one.
    pub(crate) fn refused(&mut self, index: IfIndex, call: &'static str, failure: CallFailure) -> KernelError {
        let name = self.link(index).ok().flatten().map(|link| link.name);
        KernelError::refused(name.unwrap_or_else(|| format!("interface {index}")), call, failure)
    }
}

/// `struct ifinfomsg`.
fn header(index: IfIndex, flags: u32, change: u32) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[4..8].copy_from_slice(&index.0.to_ne_bytes());
    header[8..12].copy_from_slice(&flags.to_ne_bytes());
    header[12..16].copy_from_slice(&change.to_ne_bytes());
    header
}

/// A query that leaves the counters out, which drivers may take long to gather.
fn skip_stats(index: IfIndex) -> Builder {
    Builder::new(&header(index, 0, 0)).push_u32(attr::EXT_MASK, SKIP_STATS)
}

/// An interface.
fn parse(message: &[u8]) -> Option<Link> {
    let kind = u16::from_ne_bytes([*message.get(2)?, *message.get(3)?]);
    let index = IfIndex(u32_of(message.get(4..)?)?);
    let flags = u32_of(message.get(8..)?)?;
    let attributes = Attributes::after(message, HEADER);
    let info = attributes.find(attr::LINKINFO).map(Attributes::nested);
    let info_kind = info.and_then(|info| info.string(attr::INFO_KIND)).unwrap_or_default();
    let pair = matches!(info_kind.as_str(), "veth" | "netkit" | "vxcan");
    let here = attributes.find(attr::LINK_NETNSID).is_none();
    let is_drivers = matches!(info_kind.as_str(), "bond" | "team");
    let lower = match info_kind.as_str() {
        // The only kind that keeps it to itself.
        "vxlan" => info.and_then(|info| Attributes::nested(info.find(attr::INFO_DATA)?).u32(attr::VXLAN_LINK)),
        _ => attributes.u32(attr::LINK),
    };
    let lower = lower.filter(|lower| here && !pair && *lower != 0 && *lower != index.0);
    Some(Link {
        index,
        name: attributes.string(attr::IFNAME)?,
        ethernet: kind == libc::ARPHRD_ETHER,
        loopback: flags & LOOPBACK != 0,
        kind: info_kind,
        master: attributes.u32(attr::MASTER).filter(|master| *master != 0).map(IfIndex),
        driver: info.and_then(bond::driver),
        membership: info.and_then(bond::membership),
        lower: lower.map(IfIndex),
        admin_up: flags & UP != 0,
        carrier: flags & LOWER_UP != 0,
        promisc: flags & PROMISC != 0,
        allmulti: flags & ALLMULTI != 0,
        mac: attributes.find(attr::ADDRESS).and_then(mac_of).unwrap_or_default(),
        permanent_mac: attributes.find(attr::PERM_ADDRESS).and_then(mac_of),
        qdisc: attributes.string(attr::QDISC).filter(|_| is_drivers).unwrap_or_default(),
        mtu: attributes.u32(attr::MTU).unwrap_or_default(),
        mtu_limits: MtuLimits {
            min: attributes.u32(attr::MIN_MTU).unwrap_or_default(),
            max: attributes.u32(attr::MAX_MTU).unwrap_or_default(),
        },
        gso_max_size: attributes.u32(attr::GSO_MAX_SIZE).unwrap_or_default(),
        gso_max_segs: attributes.u32(attr::GSO_MAX_SEGS).unwrap_or_default(),
        addr_gen_mode: attributes.find(attr::AF_SPEC).and_then(addr_gen_mode),
        token: attributes.find(attr::AF_SPEC).and_then(token),
        xdp: XdpState { program: xdp::program(attributes), ..XdpState::default() },
        ..Link::default()
    })
}

/// Whether a message about an interface says that it is administratively up.
pub(super) fn is_up(message: &[u8]) -> bool {
    message.get(8..).and_then(u32_of).is_some_and(|flags| flags & UP != 0)
}

/// The IPv6 address generation mode among the settings per address family.
fn addr_gen_mode(spec: &[u8]) -> Option<u8> {
    let inet6 = Attributes::nested(Attributes::nested(spec).find(u16::from(INET6))?);
    inet6.find(attr::INET6_ADDR_GEN_MODE)?.first().copied()
}

/// The interface identifier for IPv6 addresses, if one is set.
fn token(spec: &[u8]) -> Option<Ipv6Addr> {
    let inet6 = Attributes::nested(Attributes::nested(spec).find(u16::from(INET6))?);
    let token = <[u8; 16]>::try_from(inet6.find(attr::INET6_TOKEN)?).ok().map(Ipv6Addr::from);
    token.filter(|token| !token.is_unspecified())
}

/// A MAC, if it has six octets.
pub(crate) fn mac_of(value: &[u8]) -> Option<Mac> {
    value.try_into().ok().map(Mac)
}

/// `struct rtnl_link_stats64`.
fn counters(value: &[u8]) -> LinkCounters {
    let word = |position: usize| {
        let octets = value.get(position * 8..).and_then(|rest| rest.first_chunk());
        octets.copied().map_or(0, u64::from_ne_bytes)
    };
    LinkCounters {
        rx_packets: word(0),
        tx_packets: word(1),
        rx_bytes: word(2),
        tx_bytes: word(3),
        rx_errors: word(4),
        tx_errors: word(5),
        rx_dropped: word(6),
        tx_dropped: word(7),
    }
}
