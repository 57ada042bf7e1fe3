//! The pair of an aggregate's interface and its peer: netkit or veth.

use std::os::fd::{AsRawFd, RawFd};

use aggctl_common::{IfIndex, Mac};
use aggctl_engine::{config::Device, host::Link};
use rustix::io::Errno;

use super::{
    super::{
        CREATE, EXCL, Netlink,
        tlv::{Attributes, Builder},
    },
    GETLINK, HEADER, NEWLINK, attr, header, skip_stats,
};
use crate::{error::KernelError, netns::PrivateNamespace};

/// `IN6_ADDR_GEN_MODE_NONE`.
const ADDR_GEN_NONE: u8 = 1;

/// `NETKIT_L2`: a netkit pair that carries Ethernet frames.
const NETKIT_L2: u32 = 0;
/// `NETKIT_PASS`: what an end sends without a program arrives at the other.
const NETKIT_PASS: u32 = 0;
/// `NETKIT_DROP`: what an end sends without a program is dropped.
const NETKIT_DROP: u32 = 2;

/// What a pair of interfaces shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PairSpec<'a> {
    /// What it is made of; [`Device::Auto`]: veth.
    pub device: Device,
    /// Name of the aggregate's interface.
    pub name: &'a str,
    /// Name of its peer.
    pub peer: &'a str,
    /// The network namespace that the peer is in; `None`: that of the aggregate's interface.
    pub namespace: Option<&'a PrivateNamespace>,
    /// MAC of the aggregate's interface.
    pub mac: Mac,
    /// MTU of both.
    pub mtu: u32,
    /// `gso_max_size` of both; lowered to what the pair can do. Zero: as the kernel has it.
    pub gso_max_size: u32,
    /// `gso_max_segs` of both; lowered likewise. Zero: as the kernel has it.
    pub gso_max_segs: u32,
}

/// A kind of device.
struct PairKind {
    /// IFLA_INFO_KIND.
    name: &'static str,
    /// What making one is called in errors.
    create: &'static str,
}

const fn kind(device: Device) -> PairKind {
    match device {
        Device::Netkit => PairKind { name: "netkit", create: "create netkit pair" },
        Device::Veth | Device::Auto => PairKind { name: "veth", create: "create veth pair" },
    }
}

/// What each end of a netkit pair does with what it sends while no program is attached.
fn netkit_policies() -> Builder {
    Builder::default().push_u32(attr::NETKIT_POLICY, NETKIT_DROP).push_u32(attr::NETKIT_PEER_POLICY, NETKIT_PASS)
}

impl PairSpec<'_> {
    const fn kind(&self) -> PairKind {
        kind(self.device)
    }

    /// The message that asks for the pair; `apart` is the open namespace of the peer, if that has another one.
    fn request(&self, apart: Option<RawFd>) -> Vec<u8> {
        let peer =
            Builder::new(&header(IfIndex::NONE, 0, 0)).push_str(attr::IFNAME, self.peer).push_u32(attr::MTU, self.mtu);
        let peer = match apart {
            Some(namespace) => peer.push(attr::NET_NS_FD, &namespace.to_ne_bytes()),
            None => peer,
        };
        let data = match self.device {
            Device::Netkit => {
                netkit_policies().push_u32(attr::NETKIT_MODE, NETKIT_L2).push_nested(attr::NETKIT_PEER, &peer)
            }
            Device::Veth | Device::Auto => Builder::default().push_nested(attr::VETH_PEER, &peer),
        };
        Builder::new(&header(IfIndex::NONE, 0, 0))
            .push_str(attr::IFNAME, self.name)
            .push(attr::ADDRESS, &self.mac.0)
            .push_u32(attr::MTU, self.mtu)
            .push_nested(attr::LINKINFO, &self.info(data))
            .finish()
    }

    /// The kind, and what is particular to it.
    fn info(&self, data: Builder) -> Builder {
        Builder::default().push_str(attr::INFO_KIND, self.kind().name).push_nested(attr::INFO_DATA, &data)
    }

    /// Whether the near end of a pair that is there is what it must be from its making on: of a netkit pair, the
    /// primary end, for Ethernet frames.
    fn is_alike(&self, near: Attributes<'_>) -> bool {
        let info = near.find(attr::LINKINFO).map(Attributes::nested);
        let data = info.and_then(|info| info.find(attr::INFO_DATA)).map(Attributes::nested);
        let is_primary = |data: Attributes<'_>| data.find(attr::NETKIT_PRIMARY).is_some_and(|value| value != [0]);
        let is_l2 = |data: Attributes<'_>| data.u32(attr::NETKIT_MODE) == Some(NETKIT_L2);
        self.device != Device::Netkit || data.is_some_and(|data| is_primary(data) && is_l2(data))
    }
}

impl Netlink {
    /// Makes a pair, in the namespace of this socket but for what [`PairSpec::namespace`] says; both ends down and
    /// without IPv6 address generation. If the pair is there, its settings are made.
    ///
    /// Of a netkit pair, the aggregate's interface is the primary end, which programs can be attached to. Without a
    /// program, what it sends is dropped (the peer is nobody's), and what the peer sends arrives on it.
    ///
    /// # Errors
    ///
    /// [`KernelError::NameTaken`] if one of the names belongs to something else; else what the kernel refuses.
    pub fn create_pair(&mut self, pair: &PairSpec<'_>) -> Result<(), KernelError> {
        let namespace = pair.namespace.map(PrivateNamespace::file).transpose()?;
        let request = pair.request(namespace.as_ref().map(AsRawFd::as_raw_fd));
        let existed = match self.socket.request(NEWLINK, CREATE | EXCL, &request) {
            Ok(()) => false,
            Err(failure) if failure.is(&[Errno::EXIST]) => true,
            Err(failure) => return Err(KernelError::refused(pair.name, pair.kind().create, failure)),
        };
        let mut apart = pair.namespace.map(PrivateNamespace::netlink).transpose()?;
        let near = self.end(pair, pair.name)?;
        let far = apart.as_mut().unwrap_or(self).end(pair, pair.peer)?;
        self.check_pair(pair, &near, &far)?;
        self.set_end(&near, pair, existed)?;
        apart.as_mut().unwrap_or(self).set_end(&far, pair, existed)?;
        if existed {
            self.set_mac(near.index, pair.mac)?;
            if pair.device == Device::Netkit {
                let info = pair.info(netkit_policies());
                self.change(near.index, "set netkit policies", |message| message.push_nested(attr::LINKINFO, &info))?;
            }
        }
        Ok(())
    }

    /// Whether the kernel makes netkit pairs with a MAC that we give. Nothing is made to find that out: it is asked for
    /// a pair that has all that we want, and a multicast MAC, which no interface may have. A kernel that would take
    /// another MAC objects to that one; others to netkit, or to any MAC.
    ///
    /// Minimum kernel version for such pairs: 6.11 (netkit itself: 6.7).
    pub fn has_netkit(&mut self) -> bool {
        let pair = PairSpec {
            device: Device::Netkit,
            name: "aggctl-probe",
            peer: "aggctl-probe-p",
            namespace: None,
            mac: Mac([1, 0, 0, 0, 0, 0]),
            mtu: 1500,
            gso_max_size: 0,
            gso_max_segs: 0,
        };
        match self.socket.request(NEWLINK, CREATE | EXCL, &pair.request(None)) {
            Err(failure) => failure.is(&[Errno::ADDRNOTAVAIL]),
            Ok(()) => {
                // Not the kernel that we know: it does what it should not.
                tracing::warn!("the kernel gave a netkit interface a multicast MAC; using veth");
                if let Err(error) = self.delete_pair(pair.peer, Device::Netkit) {
                    tracing::warn!(%error, "the probe stays");
                }
                false
            }
        }
    }

    /// What each end of a pair gets.
    fn set_end(&mut self, link: &Link, pair: &PairSpec<'_>, existed: bool) -> Result<(), KernelError> {
        self.set_gso(link, pair.gso_max_size, pair.gso_max_segs)?;
        match self.set_addr_gen_mode(link.index, ADDR_GEN_NONE) {
            // Without IPv6 there are no addresses to be generated.
            Err(KernelError::Refused { failure, .. }) if failure.is(&[Errno::AFNOSUPPORT, Errno::OPNOTSUPP]) => {}
            other => other?,
        }
        if existed { self.set_mtu(link.index, pair.mtu) } else { Ok(()) }
    }

    /// An end of an existing pair, by its name in this namespace.
    fn end(&mut self, pair: &PairSpec<'_>, name: &str) -> Result<Link, KernelError> {
        let link = self.link_named(name)?.filter(|link| link.kind == pair.kind().name);
        link.ok_or_else(|| KernelError::NameTaken(name.to_owned()))
    }

    /// Checks that these two belong together, and are what they must be from their making on.
    fn check_pair(&mut self, pair: &PairSpec<'_>, near: &Link, far: &Link) -> Result<(), KernelError> {
        let message = self
            .socket
            .get(GETLINK, &skip_stats(near.index).finish())
            .map_err(|failure| KernelError::refused(pair.name, "get interface", failure))?;
        let attributes = Attributes::after(&message, HEADER);
        let is_apart = attributes.find(attr::LINK_NETNSID).is_some();
        let peer = attributes.u32(attr::LINK).filter(|_| is_apart == pair.namespace.is_some()).map(IfIndex);
        if peer == Some(far.index) && pair.is_alike(attributes) {
            Ok(())
        } else {
            Err(KernelError::NameTaken(pair.name.to_owned()))
        }
    }

    /// Removes a pair by its peer. Fine if there is no such pair, or if the name belongs to something else.
    ///
    /// # Errors
    ///
    /// What the kernel refuses.
    pub fn delete_pair(&mut self, peer: &str, device: Device) -> Result<(), KernelError> {
        match self.link_named(peer)? {
            Some(link) if link.kind == kind(device).name => self.delete_link(link.index),
            Some(_) | None => Ok(()),
        }
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
}
