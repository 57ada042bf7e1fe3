//! The pair of an aggregate's interface and its hidden end.

use aggctl_common::{IfIndex, Mac};
use aggctl_engine::host::Link;
use rustix::io::Errno;

use super::{
    super::{
        CREATE, EXCL, Netlink,
        tlv::{Attributes, Builder},
    },
    GETLINK, HEADER, NEWLINK, attr, header, skip_stats,
};
use crate::error::KernelError;

/// `IN6_ADDR_GEN_MODE_NONE`.
const ADDR_GEN_NONE: u8 = 1;

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

impl Netlink {
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
