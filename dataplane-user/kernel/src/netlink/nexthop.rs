//! Nexthop objects (Linux 5.3).

use aggctl_common::IfIndex;
use aggctl_engine::host::Nexthop;
use rustix::io::Errno;

use super::{
    CREATE, Netlink, REPLACE,
    tlv::{Attributes, Builder, u32_of},
};
use crate::error::KernelError;

/// `RTM_NEWNEXTHOP`.
const NEWNEXTHOP: u16 = 104;
/// `RTM_GETNEXTHOP`.
const GETNEXTHOP: u16 = 106;
/// Octets of `struct nhmsg`.
const HEADER: usize = 8;

/// Attributes (`NHA_*`).
mod attr {
    pub(super) const ID: u16 = 1;
    pub(super) const GROUP: u16 = 2;
    pub(super) const BLACKHOLE: u16 = 4;
    pub(super) const OIF: u16 = 5;
    pub(super) const GATEWAY: u16 = 6;
    pub(super) const ENCAP_TYPE: u16 = 7;
    pub(super) const ENCAP: u16 = 8;
    pub(super) const FDB: u16 = 11;
}

/// `RTNH_F_ONLINK`: the only flag that is the owner's.
const ONLINK: u32 = 4;

impl Netlink {
    /// All nexthop objects; none on kernels that do not know them.
    ///
    /// # Errors
    ///
    /// If the kernel cannot be asked.
    pub fn nexthops(&mut self) -> Result<Vec<Nexthop>, KernelError> {
        match self.socket.dump(GETNEXTHOP, &[0; HEADER]) {
            Ok(messages) => Ok(messages.iter().filter_map(|message| parse(message)).collect()),
            Err(failure) if failure.is(&[Errno::OPNOTSUPP, Errno::INVAL]) => Ok(Vec::new()),
            Err(failure) => Err(KernelError::refused("nexthop objects", "list", failure)),
        }
    }

    /// Makes a nexthop object be as described, but leaving by `to`. One that is there is replaced in one step, for all
    /// routes that use it.
    ///
    /// # Errors
    ///
    /// What the kernel refuses.
    pub fn move_nexthop(&mut self, nexthop: &Nexthop, to: IfIndex) -> Result<(), KernelError> {
        let message = rebind(nexthop, to)?;
        self.socket
            .request(NEWNEXTHOP, CREATE | REPLACE, &message)
            .map_err(|failure| KernelError::refused(format!("nexthop {}", nexthop.id), "replace", failure))
    }
}

/// The interfaces of the members of a group, or the one of a single object.
pub(crate) fn links(id: u32, all: &[Nexthop]) -> Vec<IfIndex> {
    let find = |id: u32| all.iter().find(|nexthop| nexthop.id == id);
    let Some(nexthop) = find(id) else { return Vec::new() };
    if let Some(link) = nexthop.link {
        return vec![link];
    }
    let group = Attributes::after(&nexthop.wire, HEADER).find(attr::GROUP).unwrap_or_default();
    let members = group.chunks_exact(8).filter_map(u32_of);
    let mut links: Vec<_> = members.filter_map(|member| find(member)?.link).collect();
    links.dedup();
    links
}

/// A nexthop object, without what is the kernel's account of the moment.
fn parse(message: &[u8]) -> Option<Nexthop> {
    let mut header = *message.first_chunk::<HEADER>()?;
    let flags = u32_of(&header[4..])? & ONLINK;
    header[4..].copy_from_slice(&flags.to_ne_bytes());
    // The scope is the kernel's conclusion; it refuses to be told.
    header[1] = 0;
    let attributes = Attributes::after(message, HEADER);
    let mut wire = Builder::new(&header);
    for (kind, value) in attributes {
        if matches!(
            kind,
            attr::ID
                | attr::GROUP
                | attr::BLACKHOLE
                | attr::OIF
                | attr::GATEWAY
                | attr::ENCAP_TYPE
                | attr::ENCAP
                | attr::FDB
        ) {
            wire.append(kind, value);
        }
    }
    Some(Nexthop { id: attributes.u32(attr::ID)?, link: attributes.u32(attr::OIF).map(IfIndex), wire: wire.finish() })
}

/// The description as a request, leaving by `to`.
fn rebind(nexthop: &Nexthop, to: IfIndex) -> Result<Vec<u8>, KernelError> {
    let malformed = || KernelError::Malformed { subject: format!("nexthop {}", nexthop.id), what: "nexthop object" };
    let mut message = Builder::new(nexthop.wire.get(..HEADER).ok_or_else(malformed)?);
    for (kind, value) in Attributes::after(&nexthop.wire, HEADER) {
        if kind == attr::OIF {
            message.append(kind, &to.0.to_ne_bytes());
        } else {
            message.append(kind, value);
        }
    }
    Ok(message.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_interface_changes() {
        let message = Builder::new(&[2, 253, 3, 0, 0x14, 0, 0, 0])
            .push_u32(attr::ID, 7)
            .push_u32(attr::OIF, 5)
            .push(attr::GATEWAY, &[192, 0, 2, 1])
            .push(16, &[1])
            .finish();
        let nexthop = parse(&message).unwrap();
        assert_eq!((nexthop.id, nexthop.link), (7, Some(IfIndex(5))));
        let moved = parse(&rebind(&nexthop, IfIndex(9)).unwrap()).unwrap();
        assert_eq!(moved.link, Some(IfIndex(9)));
        assert_eq!(moved.wire[..HEADER], [2, 0, 3, 0, 4, 0, 0, 0], "no scope, no flags of the moment");
        assert_eq!(rebind(&moved, IfIndex(5)).unwrap(), nexthop.wire);
    }

    #[test]
    fn a_group_leaves_by_the_interfaces_of_its_members() {
        let single = |id: u32, link: u32| {
            let message = Builder::new(&[2, 0, 0, 0, 0, 0, 0, 0]).push_u32(attr::ID, id).push_u32(attr::OIF, link);
            parse(&message.finish()).unwrap()
        };
        let members = [[1_u32, 0], [2, 0]].concat().into_iter().flat_map(u32::to_ne_bytes).collect::<Vec<_>>();
        let group = Builder::new(&[0; HEADER]).push_u32(attr::ID, 3).push(attr::GROUP, &members).finish();
        let all = [single(1, 5), single(2, 6), parse(&group).unwrap()];
        assert_eq!(links(3, &all), vec![IfIndex(5), IfIndex(6)]);
        assert_eq!(links(1, &all), vec![IfIndex(5)]);
        assert!(links(9, &all).is_empty());
    }
}
