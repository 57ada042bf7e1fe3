//! Interfaces.

use aggctl_common::{IfIndex, Mac};
use aggctl_engine::host::Link;
use rustix::io::Errno;

use super::{
    CREATE, EXCL, INET6, Netlink,
    tlv::{Attributes, Builder, u32_of},
    unless,
};
use crate::error::{Failure, KernelError};

/// `RTM_NEWLINK`: make one, or change one.
const NEWLINK: u16 = libc::RTM_NEWLINK;
/// `RTM_DELLINK`.
const DELLINK: u16 = libc::RTM_DELLINK;
/// `RTM_GETLINK`.
const GETLINK: u16 = libc::RTM_GETLINK;
/// Octets of `struct ifinfomsg`.
const HEADER: usize = 16;

/// Attributes (`IFLA_*`).
mod attr {
    pub(super) const ADDRESS: u16 = 1;
    pub(super) const IFNAME: u16 = 3;
    pub(super) const MTU: u16 = 4;
    pub(super) const LINK: u16 = 5;
    pub(super) const MASTER: u16 = 10;
    pub(super) const LINKINFO: u16 = 18;
    pub(super) const STATS64: u16 = 23;
    pub(super) const AF_SPEC: u16 = 26;
    pub(super) const EXT_MASK: u16 = 29;
    pub(super) const LINK_NETNSID: u16 = 37;
    pub(super) const GSO_MAX_SEGS: u16 = 40;
    pub(super) const GSO_MAX_SIZE: u16 = 41;
    pub(super) const PERM_ADDRESS: u16 = 54;
    pub(super) const TSO_MAX_SIZE: u16 = 59;
    pub(super) const TSO_MAX_SEGS: u16 = 60;
    pub(super) const INFO_KIND: u16 = 1;
    pub(super) const INFO_DATA: u16 = 2;
    pub(super) const VETH_PEER: u16 = 1;
    pub(super) const INET6_ADDR_GEN_MODE: u16 = 8;
}

/// `RTEXT_FILTER_SKIP_STATS`: counters are not wanted (Linux 4.4).
const SKIP_STATS: u32 = 1 << 3;
/// `IN6_ADDR_GEN_MODE_NONE`.
const ADDR_GEN_NONE: u8 = 1;

/// `IFF_UP`.
const UP: u32 = 1;
/// `IFF_LOOPBACK`.
const LOOPBACK: u32 = 1 << 3;
/// `IFF_PROMISC`.
const PROMISC: u32 = 1 << 8;
/// `IFF_ALLMULTI`.
const ALLMULTI: u32 = 1 << 9;
/// `IFF_LOWER_UP`.
const LOWER_UP: u32 = 1 << 16;

/// What a pair of interfaces shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair<'a> {
    /// Name of the aggregate's interface.
    pub name: &'a str,
    /// Name of its hidden end.
    pub hidden: &'a str,
    /// MAC of the aggregate's interface.
    pub mac: Mac,
    /// MTU of both.
    pub mtu: u32,
    /// `gso_max_size` of both; lowered to what the pair can do. Zero: as the kernel has it.
    pub gso_max_size: u32,
    /// `gso_max_segs` of both; lowered likewise. Zero: as the kernel has it.
    pub gso_max_segs: u32,
}

/// What went through an interface since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames received.
    pub rx_packets: u64,
    /// Frames sent.
    pub tx_packets: u64,
    /// Octets received.
    pub rx_bytes: u64,
    /// Octets sent.
    pub tx_bytes: u64,
    /// Frames received and dropped.
    pub rx_dropped: u64,
    /// Frames dropped instead of sent.
    pub tx_dropped: u64,
}

impl Netlink {
    /// All interfaces. `features`, `sysctls` and `hooks` are not filled in: see [`crate::snapshot::snapshot`].
    ///
    /// # Errors
    ///
    /// If the kernel cannot be asked.
    pub fn links(&mut self) -> Result<Vec<Link>, KernelError> {
        let query = skip_stats(IfIndex::NONE).finish();
        let messages = self.dump("interfaces", GETLINK, &query)?;
        Ok(messages.iter().filter_map(|message| parse(message)).collect())
    }

    /// One interface, as [`Netlink::links`] shows it. `None` if there is none of this number.
    ///
    /// # Errors
    ///
    /// If the kernel cannot be asked.
    pub fn link(&mut self, index: IfIndex) -> Result<Option<Link>, KernelError> {
        self.get_link(&format!("interface {index}"), &skip_stats(index).finish())
    }

    /// One interface by its name.
    ///
    /// # Errors
    ///
    /// If the kernel cannot be asked.
    pub fn link_named(&mut self, name: &str) -> Result<Option<Link>, KernelError> {
        self.get_link(name, &skip_stats(IfIndex::NONE).push_str(attr::IFNAME, name).finish())
    }

    /// The counters of an interface. `None` if there is none of this number.
    ///
    /// # Errors
    ///
    /// If the kernel cannot be asked.
    pub fn counters(&mut self, index: IfIndex) -> Result<Option<Counters>, KernelError> {
        let query = Builder::new(&header(index, 0, 0)).finish();
        match self.socket.get(GETLINK, &query) {
            Ok(message) => Ok(Attributes::after(&message, HEADER).find(attr::STATS64).map(counters)),
            Err(failure) if failure.is(&[Errno::NODEV]) => Ok(None),
            Err(failure) => Err(KernelError::refused(format!("interface {index}"), "get counters", failure)),
        }
    }

    fn get_link(&mut self, subject: &str, query: &[u8]) -> Result<Option<Link>, KernelError> {
        match self.socket.get(GETLINK, query) {
            Ok(message) => Ok(parse(&message)),
            // A name that no interface can have (too long) is the name of none.
            Err(failure) if failure.is(&[Errno::NODEV, Errno::RANGE]) => Ok(None),
            Err(failure) => Err(KernelError::refused(subject, "get interface", failure)),
        }
    }

    /// Makes a veth pair, both ends down and without IPv6 address generation. If the pair is there, its settings are
    /// made.
    ///
    /// # Errors
    ///
    /// [`KernelError::NameTaken`] if one of the names belongs to something else; else what the kernel refuses.
    pub fn create_pair(&mut self, pair: &Pair<'_>) -> Result<(), KernelError> {
        let peer = Builder::new(&header(IfIndex::NONE, 0, 0))
            .push_str(attr::IFNAME, pair.hidden)
            .push_u32(attr::MTU, pair.mtu);
        let info = Builder::default()
            .push_str(attr::INFO_KIND, "veth")
            .push_nested(attr::INFO_DATA, &Builder::default().push_nested(attr::VETH_PEER, &peer));
        let message = Builder::new(&header(IfIndex::NONE, 0, 0))
            .push_str(attr::IFNAME, pair.name)
            .push(attr::ADDRESS, &pair.mac.0)
            .push_u32(attr::MTU, pair.mtu)
            .push_nested(attr::LINKINFO, &info)
            .finish();
        let existed = match self.socket.request(NEWLINK, CREATE | EXCL, &message) {
            Ok(()) => false,
            Err(failure) if failure.is(&[Errno::EXIST]) => true,
            Err(failure) => return Err(KernelError::refused(pair.name, "create veth pair", failure)),
        };
        let (near, hidden) = self.pair(pair.name, pair.hidden)?;
        for link in [&near, &hidden] {
            self.set_gso(link, pair.gso_max_size, pair.gso_max_segs)?;
            match self.set_addr_gen_mode(link.index, ADDR_GEN_NONE) {
                // Without IPv6 there are no addresses to be generated.
                Err(KernelError::Refused { failure, .. }) if failure.is(&[Errno::AFNOSUPPORT, Errno::OPNOTSUPP]) => {}
                other => other?,
            }
            if existed {
                self.set_mtu(link.index, pair.mtu)?;
            }
        }
        if existed {
            self.set_mac(near.index, pair.mac)?;
        }
        Ok(())
    }

    /// The two ends of an existing pair.
    fn pair(&mut self, name: &str, hidden: &str) -> Result<(Link, Link), KernelError> {
        let near = self.link_named(name)?.filter(|link| link.kind == "veth");
        let near = near.ok_or_else(|| KernelError::NameTaken(name.to_owned()))?;
        let far = self.link_named(hidden)?.filter(|link| link.kind == "veth");
        let far = far.ok_or_else(|| KernelError::NameTaken(hidden.to_owned()))?;
        if self.peer(near.index)? != Some(far.index) {
            return Err(KernelError::NameTaken(name.to_owned()));
        }
        Ok((near, far))
    }

    /// The other end of a veth interface, if it is in this namespace.
    fn peer(&mut self, index: IfIndex) -> Result<Option<IfIndex>, KernelError> {
        let message = self
            .socket
            .get(GETLINK, &skip_stats(index).finish())
            .map_err(|failure| KernelError::refused(format!("interface {index}"), "get interface", failure))?;
        let attributes = Attributes::after(&message, HEADER);
        let here = attributes.find(attr::LINK_NETNSID).is_none();
        Ok(attributes.u32(attr::LINK).filter(|_| here).map(IfIndex))
    }

    /// Removes a pair by its hidden end. Fine if there is no such pair, or if the name belongs to something else.
    ///
    /// # Errors
    ///
    /// What the kernel refuses.
    pub fn delete_pair(&mut self, hidden: &str) -> Result<(), KernelError> {
        match self.link_named(hidden)? {
            Some(link) if link.kind == "veth" => self.delete_link(link.index),
            Some(_) | None => Ok(()),
        }
    }

    /// Removes an interface. Fine if it is not there.
    ///
    /// # Errors
    ///
    /// What the kernel refuses.
    pub fn delete_link(&mut self, index: IfIndex) -> Result<(), KernelError> {
        let result = self.socket.request(DELLINK, 0, &header(index, 0, 0));
        unless(result, &[Errno::NODEV]).map_err(|failure| self.refused(index, "delete interface", failure))
    }

    /// Sets an interface administratively up or down.
    ///
    /// # Errors
    ///
    /// What the kernel refuses.
    pub fn set_admin(&mut self, index: IfIndex, up: bool) -> Result<(), KernelError> {
        self.set_flag(index, UP, up, if up { "set up" } else { "set down" })
    }

    /// Sets or clears the promiscuous flag.
    ///
    /// # Errors
    ///
    /// What the kernel refuses.
    pub fn set_promisc(&mut self, index: IfIndex, on: bool) -> Result<(), KernelError> {
        self.set_flag(index, PROMISC, on, "set promiscuous mode")
    }

    /// Sets or clears the all-multicast flag.
    ///
    /// # Errors
    ///
    /// What the kernel refuses.
    pub fn set_allmulti(&mut self, index: IfIndex, on: bool) -> Result<(), KernelError> {
        self.set_flag(index, ALLMULTI, on, "set all-multicast mode")
    }

    fn set_flag(&mut self, index: IfIndex, flag: u32, on: bool, call: &'static str) -> Result<(), KernelError> {
        let message = header(index, if on { flag } else { 0 }, flag);
        self.socket.request(NEWLINK, 0, &message).map_err(|failure| self.refused(index, call, failure))
    }

    /// Sets the MTU, octets.
    ///
    /// # Errors
    ///
    /// What the kernel refuses.
    pub fn set_mtu(&mut self, index: IfIndex, mtu: u32) -> Result<(), KernelError> {
        self.change(index, "set MTU", |message| message.push_u32(attr::MTU, mtu))
    }

    /// Sets the MAC. Some drivers refuse that while the interface is up: then, and only then, it is taken down for
    /// the moment, which costs it its IPv6 routes and, without `keep_addr_on_down`, its IPv6 addresses.
    ///
    /// # Errors
    ///
    /// What the kernel refuses.
    pub fn set_mac(&mut self, index: IfIndex, mac: Mac) -> Result<(), KernelError> {
        const CALL: &str = "set MAC";
        let change = |this: &mut Self| this.change(index, CALL, |message| message.push(attr::ADDRESS, &mac.0));
        match change(self) {
            Err(KernelError::Refused { failure, .. }) if failure.is(&[Errno::BUSY]) => {
                self.set_admin(index, false)?;
                let changed = change(self);
                self.set_admin(index, true)?;
                changed
            }
            other => other,
        }
    }

    /// Sets how IPv6 addresses are generated (`IN6_ADDR_GEN_MODE_*`).
    ///
    /// # Errors
    ///
    /// What the kernel refuses; `EAFNOSUPPORT` if the interface has no IPv6.
    pub fn set_addr_gen_mode(&mut self, index: IfIndex, mode: u8) -> Result<(), KernelError> {
        let inet6 = Builder::default().push(attr::INET6_ADDR_GEN_MODE, &[mode]);
        let spec = Builder::default().push_nested(u16::from(INET6), &inet6);
        self.change(index, "set IPv6 address generation", |message| message.push_nested(attr::AF_SPEC, &spec))
    }

    /// Sets the largest super-frame, lowered to what the device can do.
    fn set_gso(&mut self, link: &Link, size: u32, segments: u32) -> Result<(), KernelError> {
        let message = self
            .socket
            .get(GETLINK, &skip_stats(link.index).finish())
            .map_err(|failure| KernelError::refused(&*link.name, "get interface", failure))?;
        let attributes = Attributes::after(&message, HEADER);
        // Linux 5.19 says what the device can do; before, 65536 was the limit of all.
        let size = size.min(attributes.u32(attr::TSO_MAX_SIZE).unwrap_or(65_536));
        let segments = segments.min(attributes.u32(attr::TSO_MAX_SEGS).unwrap_or(65_535));
        if size != 0 && size != link.gso_max_size {
            self.change(link.index, "set gso_max_size", |message| message.push_u32(attr::GSO_MAX_SIZE, size))?;
        }
        if segments != 0 && segments != link.gso_max_segs {
            self.change(link.index, "set gso_max_segs", |message| message.push_u32(attr::GSO_MAX_SEGS, segments))?;
        }
        Ok(())
    }

    fn change(
        &mut self,
        index: IfIndex,
        call: &'static str,
        with: impl FnOnce(Builder) -> Builder,
    ) -> Result<(), KernelError> {
        let message = with(Builder::new(&header(index, 0, 0))).finish();
        self.socket.request(NEWLINK, 0, &message).map_err(|failure| self.refused(index, call, failure))
    }

    /// An error about an interface, by its name where it still has one.
    pub(crate) fn refused(&mut self, index: IfIndex, call: &'static str, failure: Failure) -> KernelError {
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
    let lower = attributes.u32(attr::LINK).filter(|lower| here && !pair && *lower != 0 && *lower != index.0);
    Some(Link {
        index,
        name: attributes.string(attr::IFNAME)?,
        ethernet: kind == libc::ARPHRD_ETHER,
        loopback: flags & LOOPBACK != 0,
        kind: info_kind,
        master: attributes.u32(attr::MASTER).filter(|master| *master != 0).map(IfIndex),
        lower: lower.map(IfIndex),
        admin_up: flags & UP != 0,
        carrier: flags & LOWER_UP != 0,
        promisc: flags & PROMISC != 0,
        allmulti: flags & ALLMULTI != 0,
        mac: attributes.find(attr::ADDRESS).and_then(mac_of).unwrap_or_default(),
        permanent_mac: attributes.find(attr::PERM_ADDRESS).and_then(mac_of),
        mtu: attributes.u32(attr::MTU).unwrap_or_default(),
        gso_max_size: attributes.u32(attr::GSO_MAX_SIZE).unwrap_or_default(),
        gso_max_segs: attributes.u32(attr::GSO_MAX_SEGS).unwrap_or_default(),
        addr_gen_mode: attributes.find(attr::AF_SPEC).and_then(addr_gen_mode),
        ..Link::default()
    })
}

/// The IPv6 address generation mode among the settings per address family.
fn addr_gen_mode(spec: &[u8]) -> Option<u8> {
    let inet6 = Attributes::nested(Attributes::nested(spec).find(u16::from(INET6))?);
    inet6.find(attr::INET6_ADDR_GEN_MODE)?.first().copied()
}

/// A MAC, if it has six octets.
pub(crate) fn mac_of(value: &[u8]) -> Option<Mac> {
    value.try_into().ok().map(Mac)
}

/// `struct rtnl_link_stats64`.
fn counters(value: &[u8]) -> Counters {
    let word = |position: usize| {
        let octets = value.get(position * 8..).and_then(|rest| rest.first_chunk());
        octets.copied().map_or(0, u64::from_ne_bytes)
    };
    Counters {
        rx_packets: word(0),
        tx_packets: word(1),
        rx_bytes: word(2),
        tx_bytes: word(3),
        rx_dropped: word(6),
        tx_dropped: word(7),
    }
}
