//! Addresses.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    thread,
    time::{Duration, Instant},
};

use aggctl_common::IfIndex;
use aggctl_engine::host::Address;
use rustix::io::Errno;

use super::{
    CREATE, EXCL, INET, INET6, Netlink, REPLACE,
    tlv::{Attributes, Builder, ip_octets, ip_of, u32_of},
    unless,
};
use crate::error::{CallFailure, KernelError};

/// Octets of `struct ifaddrmsg`.
const HEADER: usize = 8;

/// Attributes (`IFA_*`).
mod attr {
    pub(super) const ADDRESS: u16 = libc::IFA_ADDRESS;
    pub(super) const LOCAL: u16 = libc::IFA_LOCAL;
    pub(super) const LABEL: u16 = libc::IFA_LABEL;
    pub(super) const BROADCAST: u16 = libc::IFA_BROADCAST;
    pub(super) const CACHEINFO: u16 = libc::IFA_CACHEINFO;
    pub(super) const FLAGS: u16 = libc::IFA_FLAGS;
    pub(super) const RT_PRIORITY: u16 = 9;
    pub(super) const PROTO: u16 = 11;
}

/// `IFA_F_TENTATIVE`: the kernel does not answer for the address yet, nor send from it.
const TENTATIVE: u32 = libc::IFA_F_TENTATIVE;
/// `IFA_F_NODAD`.
const NODAD: u32 = libc::IFA_F_NODAD;
/// The flags that an owner can set: nodad, optimistic, home address, manage temporary addresses, no prefix route,
/// multicast autojoin. All others are the kernel's own account of the address.
const OWNERS_IPV6: u32 =
    NODAD | libc::IFA_F_OPTIMISTIC | libc::IFA_F_HOMEADDRESS | libc::IFA_F_MANAGETEMPADDR | OWNERS_IPV4;
/// The same for IPv4, which would keep any other bit as given.
const OWNERS_IPV4: u32 = libc::IFA_F_NOPREFIXROUTE | libc::IFA_F_MCAUTOJOIN;
/// How long an IPv6 address may stay tentative that skips detection. A worker of the kernel's makes it usable
/// (`addrconf_dad_work`, net/ipv6/addrconf.c), at once unless the machine is very busy.
const SETTLED: Duration = Duration::from_secs(2);
/// How often is looked whether it still is.
const PAUSE: Duration = Duration::from_micros(200);
/// A lifetime without end.
const FOREVER: u32 = u32::MAX;

impl Netlink {
    /// All addresses, in the kernel's order. The label of an IPv4 address that is just its interface's name is none.
    ///
    /// # Errors
    ///
    /// If the kernel cannot be asked.
    pub fn addresses(&mut self) -> Result<Vec<Address>, KernelError> {
        let names: BTreeMap<_, _> = self.links()?.into_iter().map(|link| (link.index, link.name)).collect();
        self.dump_addresses(IfIndex::NONE, &names)
    }

    /// The addresses of one interface.
    ///
    /// # Errors
    ///
    /// If the kernel cannot be asked.
    pub fn addresses_of(&mut self, index: IfIndex) -> Result<Vec<Address>, KernelError> {
        let Some(link) = self.link(index)? else { return Ok(Vec::new()) };
        match self.dump_addresses(index, &BTreeMap::from([(index, link.name)])) {
            // It went away in this moment.
            Err(error) if error.errno() == Some(Errno::NODEV) => Ok(Vec::new()),
            addresses => addresses,
        }
    }

    /// The addresses of one interface, or of all.
    fn dump_addresses(
        &mut self,
        index: IfIndex,
        names: &BTreeMap<IfIndex, String>,
    ) -> Result<Vec<Address>, KernelError> {
        let mut addresses = Vec::new();
        for family in [INET, INET6] {
            let mut query = [0; HEADER];
            query[0] = family;
            query[4..].copy_from_slice(&index.0.to_ne_bytes());
            let messages = self.dump("addresses", libc::RTM_GETADDR, &query)?;
            addresses.extend(messages.iter().filter(|message| message.first() == Some(&family)).filter_map(
                |message| {
                    let mut address = parse(message)?;
                    address.label = address.label.filter(|label| names.get(&address.link) != Some(label));
                    Some(address)
                },
            ));
        }
        Ok(addresses)
    }

    /// Adds an address to an interface, ready for use at once: IPv6 skips duplicate address detection, and the flag
    /// that says so is taken off again where the original has none. Fine if it is there.
    ///
    /// # Errors
    ///
    /// What the kernel refuses.
    pub fn add_address(&mut self, index: IfIndex, address: &Address) -> Result<(), KernelError> {
        let wanted = wanted_flags(address);
        let without_detection = if address.local.is_ipv6() { wanted | NODAD } else { wanted };
        let mut result = unless(self.new_address(index, address, without_detection, CREATE | EXCL), &[Errno::EXIST]);
        if result.is_ok() && address.local.is_ipv6() {
            // What is done next may rely on it; and without the flag the worker would begin a detection.
            result = self.await_settled(index, address);
        }
        if result.is_ok() && without_detection != wanted {
            result = self.new_address(index, address, wanted, CREATE | REPLACE);
        }
        result.map_err(|failure| {
            let subject = self.about(index, address);
            KernelError::refused(subject, "add address", failure)
        })
    }

    /// Waits until an address is not tentative any more, or is gone; not without end.
    fn await_settled(&mut self, index: IfIndex, address: &Address) -> Result<(), CallFailure> {
        // A question that says more of the address is refused.
        let mut header = [0; HEADER];
        header[0] = INET6;
        header[4..].copy_from_slice(&index.0.to_ne_bytes());
        let question = Builder::new(&header).push(attr::LOCAL, &ip_octets(address.local)).finish();
        let until = Instant::now() + SETTLED;
        loop {
            let is_tentative = match self.socket.get(libc::RTM_GETADDR, &question) {
                Ok(message) => parse(&message).is_some_and(|address| address.flags & TENTATIVE != 0),
                Err(failure) if failure.is(&[Errno::ADDRNOTAVAIL, Errno::NODEV]) => false,
                Err(failure) => return Err(failure),
            };
            if !is_tentative || Instant::now() >= until {
                return Ok(());
            }
            thread::sleep(PAUSE);
        }
    }

    fn new_address(&mut self, index: IfIndex, address: &Address, flags: u32, how: u16) -> Result<(), CallFailure> {
        let message = emit(index, address).push_u32(attr::FLAGS, flags).finish();
        self.socket.request(libc::RTM_NEWADDR, how, &message)
    }

    /// Removes an address from an interface. Fine if it is not there, or if the interface is not.
    ///
    /// # Errors
    ///
    /// What the kernel refuses.
    pub fn delete_address(&mut self, index: IfIndex, address: &Address) -> Result<(), KernelError> {
        let message = emit(index, address).finish();
        let result = self.socket.request(libc::RTM_DELADDR, 0, &message);
        unless(result, &[Errno::ADDRNOTAVAIL, Errno::NODEV]).map_err(|failure| {
            let subject = self.about(index, address);
            KernelError::refused(subject, "delete address", failure)
        })
    }

    /// The address and the interface, for messages.
    fn about(&mut self, index: IfIndex, address: &Address) -> String {
        let name = self.link(index).ok().flatten().map_or_else(|| format!("interface {index}"), |link| link.name);
        format!("{name}: {}/{}", address.local, address.prefix_len)
    }
}

/// The flags that its owner gave the address.
fn wanted_flags(address: &Address) -> u32 {
    address.flags & if address.local.is_ipv6() { OWNERS_IPV6 } else { OWNERS_IPV4 }
}

/// A message about an address, without its flags.
fn emit(index: IfIndex, address: &Address) -> Builder {
    let mut header = [0; HEADER];
    header[0] = if address.local.is_ipv6() { INET6 } else { INET };
    header[1] = address.prefix_len;
    header[3] = address.scope;
    header[4..8].copy_from_slice(&index.0.to_ne_bytes());
    let mut message = Builder::new(&header)
        .push(attr::LOCAL, &ip_octets(address.local))
        .push(attr::ADDRESS, &ip_octets(address.peer.unwrap_or(address.local)))
        .push_some(attr::BROADCAST, address.broadcast.map(ip_octets).as_deref());
    if let (IpAddr::V4(_), Some(label)) = (address.local, &address.label) {
        message = message.push_str(attr::LABEL, label);
    }
    if let Some(metric) = address.metric {
        message = message.push_u32(attr::RT_PRIORITY, metric);
    }
    if let Some(protocol) = address.protocol {
        message = message.push(attr::PROTO, &[protocol]);
    }
    if address.valid_lifetime.is_some() || address.preferred_lifetime.is_some() {
        // struct ifa_cacheinfo: preferred, valid, created, updated
        let mut lifetimes = [0; 16];
        lifetimes[..4].copy_from_slice(&address.preferred_lifetime.unwrap_or(FOREVER).to_ne_bytes());
        lifetimes[4..8].copy_from_slice(&address.valid_lifetime.unwrap_or(FOREVER).to_ne_bytes());
        message = message.push(attr::CACHEINFO, &lifetimes);
    }
    message
}

/// An address.
pub(crate) fn parse(message: &[u8]) -> Option<Address> {
    let [_, prefix_len, short_flags, scope, ..] = *message.first_chunk::<HEADER>()?;
    let attributes = Attributes::after(message, HEADER);
    let far = attributes.find(attr::ADDRESS).and_then(ip_of);
    let local = attributes.find(attr::LOCAL).and_then(ip_of).or(far)?;
    let lifetimes = attributes.find(attr::CACHEINFO).unwrap_or_default();
    let lifetime = |position: usize| u32_of(lifetimes.get(position..)?).filter(|seconds| *seconds != FOREVER);
    Some(Address {
        link: IfIndex(u32_of(&message[4..])?),
        local,
        peer: far.filter(|far| *far != local),
        prefix_len,
        broadcast: attributes.find(attr::BROADCAST).and_then(ip_of),
        label: attributes.string(attr::LABEL),
        scope,
        flags: attributes.u32(attr::FLAGS).unwrap_or_else(|| short_flags.into()),
        protocol: attributes.find(attr::PROTO).and_then(|value| value.first().copied()).filter(|proto| *proto != 0),
        metric: attributes.u32(attr::RT_PRIORITY).filter(|metric| *metric != 0),
        preferred_lifetime: lifetime(0),
        valid_lifetime: lifetime(4),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_it_is_written() {
        let address = Address {
            link: IfIndex(7),
            local: "192.0.2.1".parse().unwrap(),
            peer: Some("192.0.2.9".parse().unwrap()),
            prefix_len: 24,
            broadcast: Some("192.0.2.255".parse().unwrap()),
            label: Some("eth0:1".into()),
            scope: 253,
            flags: 0,
            protocol: Some(9),
            metric: Some(512),
            valid_lifetime: Some(1000),
            preferred_lifetime: Some(0),
        };
        assert_eq!(parse(&emit(IfIndex(7), &address).finish()), Some(address));
    }

    #[test]
    fn the_kernels_own_flags_are_not_sent_back() {
        let mut address = Address {
            link: IfIndex(1),
            local: "2001:db8::1".parse().unwrap(),
            peer: None,
            prefix_len: 64,
            broadcast: None,
            label: None,
            scope: 0,
            flags: 0xffff_ffff,
            protocol: None,
            metric: None,
            valid_lifetime: None,
            preferred_lifetime: None,
        };
        assert_eq!(wanted_flags(&address), OWNERS_IPV6);
        address.local = "192.0.2.1".parse().unwrap();
        assert_eq!(wanted_flags(&address), 0x600);
    }
}
