//! nftables, as far as it concerns ports: chains on their ingress, and rules that name them. Read only.

use rtnetlink::sys::protocols::NETLINK_NETFILTER;
use rustix::io::Errno;

use crate::{
    error::KernelError,
    netlink::{
        socket::Socket,
        tlv::{Attributes, Builder, string_of},
    },
};

/// `NFNL_SUBSYS_NFTABLES`, in the upper half of a message's type.
const SUBSYSTEM: u16 = 10 << 8;
/// `NFT_MSG_GETCHAIN`.
const GETCHAIN: u16 = SUBSYSTEM | 4;
/// `NFT_MSG_GETRULE`.
const GETRULE: u16 = SUBSYSTEM | 7;
/// `NFT_MSG_GETSET`.
const GETSET: u16 = SUBSYSTEM | 10;
/// `NFT_MSG_GETSETELEM`.
const GETSETELEM: u16 = SUBSYSTEM | 13;
/// The type of keys that are names of interfaces, as `nft` numbers types.
const TYPE_IFNAME: u32 = 41;
/// Octets of `struct nfgenmsg`.
const HEADER: usize = 4;
/// `NFPROTO_INET`, both IPv4 and IPv6.
const FAMILY_INET: u8 = 1;
/// `NFPROTO_NETDEV`, hooks of one interface.
const FAMILY_NETDEV: u8 = 5;
/// `NF_NETDEV_INGRESS`.
const NETDEV_INGRESS: u32 = 0;
/// `NF_INET_INGRESS` (Linux 5.10).
const INET_INGRESS: u32 = 5;

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
    pub(super) const SET_TABLE: u16 = 1;
    pub(super) const SET_NAME: u16 = 2;
    pub(super) const SET_KEY_TYPE: u16 = 4;
    pub(super) const ELEMENTS_TABLE: u16 = 1;
    pub(super) const ELEMENTS_SET: u16 = 2;
    pub(super) const ELEMENTS: u16 = 3;
    pub(super) const RULE_TABLE: u16 = 1;
    pub(super) const RULE_CHAIN: u16 = 2;
    pub(super) const RULE_EXPRESSIONS: u16 = 4;
}

/// A chain on the ingress of interfaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngressChain {
    /// Family, table and name, as `nft` would print them.
    pub name: String,
    /// The interfaces.
    devices: Vec<Device>,
}

/// How a chain names an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Device {
    Named(String),
    Prefixed(String),
}

impl IngressChain {
    /// Whether it hangs on this interface.
    #[must_use]
    pub fn hooks(&self, link: &str) -> bool {
        self.devices.iter().any(|device| match device {
            Device::Named(name) => name == link,
            Device::Prefixed(prefix) => link.starts_with(prefix.as_str()),
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

/// The chains that have a rule with the name of this interface in it, or with a set of names that it is in, as `nft`
/// would print them.
///
/// # Errors
///
/// If the kernel cannot be asked.
pub fn chains_naming(link: &str) -> Result<Vec<String>, KernelError> {
    let sets = sets_naming(link)?;
    let messages = dump(GETRULE, "nftables rules")?;
    let rules = messages.iter().filter_map(|message| Rule::parse(message));
    let concerned = rules.filter(|rule| {
        let in_reach = |set: &&Set| set.family == rule.family && set.table == rule.table;
        holds(rule.expressions, link) || sets.iter().filter(in_reach).any(|set| holds(rule.expressions, &set.name))
    });
    let mut chains: Vec<_> =
        concerned.map(|rule| format!("{} {} {}", family_name(rule.family), rule.table, rule.chain)).collect();
    chains.sort();
    chains.dedup();
    Ok(chains)
}

/// A set or map, with or without a name of its owner's.
struct Set {
    family: u8,
    table: String,
    name: String,
}

/// The sets and maps of names of interfaces that this one is in.
fn sets_naming(link: &str) -> Result<Vec<Set>, KernelError> {
    let mut sets = Vec::new();
    for message in dump(GETSET, "nftables sets")? {
        let attributes = Attributes::after(&message, HEADER);
        let key_type = attributes.find(attr::SET_KEY_TYPE).and_then(|value| value.first_chunk().copied());
        let names = (attributes.string(attr::SET_TABLE), attributes.string(attr::SET_NAME));
        let (Some(family), (Some(table), Some(name))) = (message.first().copied(), names) else { continue };
        // Others can be very large, and hold no names.
        if key_type.map(u32::from_be_bytes) != Some(TYPE_IFNAME) {
            continue;
        }
        let query = Builder::new(&[family, 0, 0, 0])
            .push_str(attr::ELEMENTS_TABLE, &table)
            .push_str(attr::ELEMENTS_SET, &name)
            .finish();
        let elements = dump_with(GETSETELEM, "nftables set elements", &query)?;
        if elements.iter().any(|message| {
            Attributes::after(message, HEADER).find(attr::ELEMENTS).is_some_and(|elements| holds(elements, link))
        }) {
            sets.push(Set { family, table, name });
        }
    }
    Ok(sets)
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

/// A chain, if it hangs on the ingress of interfaces.
fn parse_chain(message: &[u8]) -> Option<IngressChain> {
    let family = *message.first()?;
    let chain = Attributes::after(message, HEADER);
    let hook = Attributes::nested(chain.find(attr::CHAIN_HOOK)?);
    let number = u32::from_be_bytes(*hook.find(attr::HOOK_NUMBER)?.first_chunk()?);
    if (family, number) != (FAMILY_NETDEV, NETDEV_INGRESS) && (family, number) != (FAMILY_INET, INET_INGRESS) {
        return None;
    }
    let mut devices: Vec<_> = hook.string(attr::HOOK_DEVICE).map(Device::Named).into_iter().collect();
    for (kind, value) in hook.find(attr::HOOK_DEVICES).map(Attributes::nested).into_iter().flatten() {
        let name = string_of(value);
        match kind {
            attr::DEVICE_NAME => devices.push(Device::Named(name)),
            attr::DEVICE_PREFIX => devices.push(Device::Prefixed(name)),
            _ => {}
        }
    }
    let table = chain.string(attr::CHAIN_TABLE)?;
    let name = chain.string(attr::CHAIN_NAME)?;
    Some(IngressChain { name: format!("{} {table} {name}", family_name(family)), devices })
}

/// A rule, as far as it need be understood.
struct Rule<'a> {
    family: u8,
    table: String,
    chain: String,
    expressions: &'a [u8],
}

impl<'a> Rule<'a> {
    fn parse(message: &'a [u8]) -> Option<Self> {
        let rule = Attributes::after(message, HEADER);
        Some(Self {
            family: *message.first()?,
            table: rule.string(attr::RULE_TABLE)?,
            chain: rule.string(attr::RULE_CHAIN)?,
            expressions: rule.find(attr::RULE_EXPRESSIONS)?,
        })
    }
}

/// Whether the name of an interface or a set is somewhere in there. Nothing need be understood for that: names are kept
/// as text with a NUL behind.
fn holds(octets: &[u8], name: &str) -> bool {
    let mut needle = name.as_bytes().to_vec();
    needle.push(0);
    octets.windows(needle.len()).enumerate().any(|(position, window)| {
        // Not the tail of a longer name.
        window == needle && position.checked_sub(1).is_none_or(|before| !is_name_octet(octets[before]))
    })
}

/// Whether an octet can stand in the name of an interface.
const fn is_name_octet(octet: u8) -> bool {
    octet.is_ascii_graphic() && octet != b'/'
}

/// A family as `nft` calls it.
const fn family_name(family: u8) -> &'static str {
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

    #[test]
    fn a_name_is_found_as_a_whole() {
        assert!(holds(b"\x08\0\x01\0eth1\0\0\0", "eth1"));
        assert!(!holds(b"\x08\0\x01\0veth1\0\0\0", "eth1"));
        assert!(!holds(b"\x08\0\x01\0eth10\0\0\0", "eth1"));
    }
}
