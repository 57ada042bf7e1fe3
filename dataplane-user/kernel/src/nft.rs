//! nftables, as far as it concerns ports: chains on their ingress. Read only. (Rules that name a port:
//! [`crate::conflicts`].)

use rtnetlink::sys::protocols::NETLINK_NETFILTER;
use rustix::io::Errno;

use crate::{
    error::KernelError,
    netlink::{
        socket::Socket,
        tlv::{Attributes, number_u8, number_u16, string_of},
    },
};

/// `NFNL_SUBSYS_NFTABLES`, in the upper half of a message's type.
pub(crate) const SUBSYSTEM: u16 = number_u16(libc::NFNL_SUBSYS_NFTABLES) << 8;
/// `NFT_MSG_GETCHAIN`.
const GETCHAIN: u16 = SUBSYSTEM | number_u16(libc::NFT_MSG_GETCHAIN);
/// Octets of `struct nfgenmsg`.
pub(crate) const HEADER: usize = 4;
/// `NFPROTO_INET`, both IPv4 and IPv6.
const FAMILY_INET: u8 = number_u8(libc::NFPROTO_INET);
/// `NFPROTO_NETDEV`, hooks of one interface.
const FAMILY_NETDEV: u8 = number_u8(libc::NFPROTO_NETDEV);
/// `NF_NETDEV_INGRESS`.
const NETDEV_INGRESS: u32 = libc::NF_NETDEV_INGRESS as u32;
/// `NF_INET_INGRESS` (Linux 5.10).
const INET_INGRESS: u32 = libc::NF_INET_INGRESS as u32;

/// Attributes (`NFTA_*`).
mod attr {
    pub(super) const CHAIN_TABLE: u16 = 1;
    pub(super) const CHAIN_NAME: u16 = 3;
    pub(super) const CHAIN_HOOK: u16 = 4;
    pub(super) const HOOK_NUMBER: u16 = 1;
    pub(super) const HOOK_DEVICE: u16 = 3;
    pub(super) const HOOK_DEVICES: u16 = 4;
    pub(super) const DEVICE_NAME: u16 = 1;
    pub(super) const DEVICE_PREFIX: u16 = 2;
}

/// A chain on the ingress of interfaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngressChain {
    /// Family, table and name, as `nft` would print them.
    pub name: String,
    /// The interfaces.
    devices: Vec<ChainDevice>,
}

/// How a chain names an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
enum ChainDevice {
    Named(String),
    Prefixed(String),
}

impl IngressChain {
    /// Whether it is attached to this interface.
    #[must_use]
    pub fn hooks(&self, link: &str) -> bool {
        self.devices.iter().any(|device| match device {
            ChainDevice::Named(name) => name == link,
            ChainDevice::Prefixed(prefix) => link.starts_with(prefix.as_str()),
        })
    }
}

/// All chains on the ingress of interfaces; none where the kernel has no nftables.
///
/// # Errors
///
/// If the kernel cannot be asked.
pub fn ingress_chains() -> Result<Vec<IngressChain>, KernelError> {
    Ok(dump(GETCHAIN, "nftables chains")?.iter().filter_map(|message| parse_chain(message)).collect())
}

/// All objects of a kind, of all families.
fn dump(kind: u16, subject: &str) -> Result<Vec<Vec<u8>>, KernelError> {
    dump_with(kind, subject, &[0; HEADER])
}

/// All objects of a kind that a query describes. One that vanished meanwhile has none.
fn dump_with(kind: u16, subject: &str, query: &[u8]) -> Result<Vec<Vec<u8>>, KernelError> {
    let list = || Socket::open(NETLINK_NETFILTER)?.dump(kind, query);
    match list() {
        Ok(messages) => Ok(messages),
        Err(failure) if failure.is(&[Errno::PROTONOSUPPORT, Errno::INVAL, Errno::OPNOTSUPP, Errno::NOENT]) => {
            Ok(Vec::new())
        }
        Err(failure) => Err(KernelError::refused(subject, "list", failure)),
    }
}

/// A chain, if it is attached to the ingress of interfaces.
fn parse_chain(message: &[u8]) -> Option<IngressChain> {
    let family = *message.first()?;
    let chain = Attributes::after(message, HEADER);
    let hook = Attributes::nested(chain.find(attr::CHAIN_HOOK)?);
    let number = u32::from_be_bytes(*hook.find(attr::HOOK_NUMBER)?.first_chunk()?);
    if (family, number) != (FAMILY_NETDEV, NETDEV_INGRESS) && (family, number) != (FAMILY_INET, INET_INGRESS) {
        return None;
    }
    let mut devices: Vec<_> = hook.string(attr::HOOK_DEVICE).map(ChainDevice::Named).into_iter().collect();
    for (kind, value) in hook.find(attr::HOOK_DEVICES).map(Attributes::nested).into_iter().flatten() {
        let name = string_of(value);
        match kind {
            attr::DEVICE_NAME => devices.push(ChainDevice::Named(name)),
            attr::DEVICE_PREFIX => devices.push(ChainDevice::Prefixed(name)),
            _ => {}
        }
    }
    let table = chain.string(attr::CHAIN_TABLE)?;
    let name = chain.string(attr::CHAIN_NAME)?;
    Some(IngressChain { name: format!("{} {table} {name}", family_name(family)), devices })
}

/// A family as `nft` calls it.
pub(crate) const fn family_name(family: u8) -> &'static str {
    match family {
        FAMILY_INET => "inet",
        2 => "ip",
        3 => "arp",
        FAMILY_NETDEV => "netdev",
        7 => "bridge",
        10 => "ip6",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::tlv::Builder;

    fn chain(family: u8, number: u32, devices: &Builder) -> Option<IngressChain> {
        let hook =
            Builder::default().push(attr::HOOK_NUMBER, &number.to_be_bytes()).push_nested(attr::HOOK_DEVICES, devices);
        let message = Builder::new(&[family, 0, 0, 0])
            .push_str(attr::CHAIN_TABLE, "t")
            .push_str(attr::CHAIN_NAME, "c")
            .push_nested(attr::CHAIN_HOOK, &hook);
        parse_chain(&message.finish())
    }

    #[test]
    fn ingress_chains_know_their_interfaces() {
        let devices = Builder::default().push_str(attr::DEVICE_NAME, "eth1").push_str(attr::DEVICE_PREFIX, "wl");
        let found = chain(FAMILY_NETDEV, NETDEV_INGRESS, &devices).unwrap();
        assert_eq!(found.name, "netdev t c");
        assert!(found.hooks("eth1") && found.hooks("wl0") && !found.hooks("eth10"));
        assert!(chain(FAMILY_NETDEV, 1, &devices).is_none(), "egress");
        assert!(chain(FAMILY_INET, INET_INGRESS, &devices).is_some());
        assert!(chain(2, 0, &devices).is_none(), "prerouting");
    }
}
