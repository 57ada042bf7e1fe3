//! Rules of iptables, ip6tables and arptables of the older kind (`iptables-legacy`), which the kernel keeps apart from
//! nftables and returns through a socket option. Only tables that are there are asked for: a question makes those
//! that are not.
#![allow(unsafe_code, reason = "the tables are returned by getsockopt alone")]

use std::{
    fs, io,
    os::fd::{AsRawFd, OwnedFd},
};

use rustix::{
    io::Errno,
    net::{AddressFamily, Protocol, SocketFlags, SocketType, socket_with},
};

use super::{ConflictKind, Search, interface::Interface};
use crate::error::KernelError;

/// Octets of a table's name.
const NAME: usize = 32;
/// Octets of the name of an interface.
const INTERFACE: usize = 16;
/// Octets before the entries of `struct ipt_get_entries`: name, size, padding.
const ENTRIES: usize = NAME + 8;
/// Octets before the data of `struct xt_entry_match`: size, name, revision.
const MATCH: usize = 32;
/// How often a table that grew meanwhile is asked for again.
const ATTEMPTS: u32 = 5;

/// A family of tables, and how its entries are laid out.
struct Family {
    /// What its rules are made with.
    tool: &'static str,
    /// The file that names its tables.
    tables: &'static str,
    socket: AddressFamily,
    /// Level of its socket options.
    level: libc::c_int,
    /// `*_SO_GET_INFO`; `*_SO_GET_ENTRIES` is the next one.
    option: libc::c_int,
    /// How many hooks it has.
    hooks: usize,
    /// Where an entry has the names of the interfaces, each followed by its mask after both names.
    names: usize,
    /// Where an entry says where its target begins (`u16`) and, behind that, where the next entry does.
    offsets: usize,
    /// Where its matches begin.
    matches: usize,
}

/// `struct ipt_entry`, `struct ip6t_entry`, `struct arpt_entry`.
const FAMILIES: [Family; 3] = [
    Family {
        tool: "iptables-legacy",
        tables: "/proc/thread-self/net/ip_tables_names",
        socket: AddressFamily::INET,
        level: libc::IPPROTO_IP,
        option: 64,
        hooks: 5,
        names: 16,
        offsets: 88,
        matches: 112,
    },
    Family {
        tool: "ip6tables-legacy",
        tables: "/proc/thread-self/net/ip6_tables_names",
        socket: AddressFamily::INET6,
        level: libc::IPPROTO_IPV6,
        option: 64,
        hooks: 5,
        names: 64,
        offsets: 140,
        matches: 168,
    },
    Family {
        tool: "arptables-legacy",
        tables: "/proc/thread-self/net/arp_tables_names",
        socket: AddressFamily::INET,
        level: libc::IPPROTO_IP,
        option: 96,
        hooks: 3,
        names: 94,
        offsets: 164,
        matches: 192,
    },
];

pub(super) fn look(search: &mut Search) -> Result<bool, KernelError> {
    for family in &FAMILIES {
        let names = fs::read_to_string(family.tables).unwrap_or_default();
        for table in names.lines().filter(|table| table.len() < NAME) {
            if search.is_over() {
                return Ok(false);
            }
            let entries = family.entries(table)?;
            for port in search.interfaces.ports.clone() {
                let count =
                    rules(&entries, family).filter(|rule| rule.differs(&port, &search.interfaces.aggregate)).count();
                if count > 0 {
                    search.note(ConflictKind::Xtables, &port.name, format!("{} table {table}", family.tool));
                }
            }
        }
    }
    Ok(true)
}

impl Family {
    /// The entries of a table, one behind the other. None if it vanished.
    fn entries(&self, table: &str) -> Result<Vec<u8>, KernelError> {
        let refused = |error: io::Error| KernelError::refused(format!("{} table {table}", self.tool), "read", error);
        let socket = socket_with(
            self.socket,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            Some(Protocol::from_raw(rustix::net::RawProtocol::new(255).unwrap_or(rustix::net::RawProtocol::MIN))),
        )
        .map_err(|errno| refused(errno.into()))?;
        for _ in 0..ATTEMPTS {
            // `struct ipt_getinfo`: name, hooks, entries of hooks, underflows, number of entries, size.
            let mut info = vec![0; NAME + 4 + 2 * 4 * self.hooks + 4 + 4];
            info[..table.len()].copy_from_slice(table.as_bytes());
            match ask(&socket, self.level, self.option, &mut info) {
                Err(Errno::NOENT | Errno::NOPROTOOPT) => return Ok(Vec::new()),
                other => other.map_err(|errno| refused(errno.into()))?,
            }
            let size = info.last_chunk().copied().map_or(0, u32::from_ne_bytes);
            let mut all = vec![0; ENTRIES + usize::try_from(size).unwrap_or_default()];
            all[..table.len()].copy_from_slice(table.as_bytes());
            all[NAME..NAME + 4].copy_from_slice(&size.to_ne_bytes());
            match ask(&socket, self.level, self.option + 1, &mut all) {
                Err(Errno::AGAIN) => {}
                Err(Errno::NOENT) => return Ok(Vec::new()),
                Err(errno) => return Err(refused(errno.into())),
                Ok(()) => return Ok(all.split_off(ENTRIES)),
            }
        }
        Err(refused(Errno::AGAIN.into()))
    }
}

/// Asks for the value of a socket option, which the buffer describes and which fills it.
fn ask(socket: &OwnedFd, level: libc::c_int, option: libc::c_int, buffer: &mut [u8]) -> Result<(), Errno> {
    let mut length = libc::socklen_t::try_from(buffer.len()).map_err(|_| Errno::MSGSIZE)?;
    // SAFETY: the buffer is valid for writing as many octets as `length` says.
    let result =
        unsafe { libc::getsockopt(socket.as_raw_fd(), level, option, buffer.as_mut_ptr().cast(), &raw mut length) };
    if result == 0 { Ok(()) } else { Err(Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO)) }
}

/// The rules among the entries of a table.
fn rules<'a>(entries: &'a [u8], family: &'a Family) -> impl Iterator<Item = XtablesRule<'a>> {
    let mut rest = entries;
    std::iter::from_fn(move || {
        let next = usize::from(half(rest, family.offsets + 2)?);
        // Entries are never shorter than their header, so this ends.
        let octets = rest.get(..next).filter(|_| next >= family.matches)?;
        rest = rest.get(next..).unwrap_or_default();
        Some(XtablesRule { octets, family })
    })
}

/// A rule.
struct XtablesRule<'a> {
    octets: &'a [u8],
    family: &'a Family,
}

impl<'a> XtablesRule<'a> {
    /// Whether it treats the two interfaces differently.
    fn differs(&self, port: &Interface, aggregate: &Interface) -> bool {
        let differ = |check: &dyn Fn(&Interface) -> bool| check(port) != check(aggregate);
        (0..2).any(|which| differ(&|one| self.fits(which, &one.name)))
            || self.group_matches().any(|data| (0..2).any(|which| differ(&|one| is_in_group(data, which, one.group))))
    }

    /// Whether the interface that a packet came in by (0) or leaves by (1) may have this name: a rule without a name
    /// has an empty mask, one for `eth+` a mask for three octets.
    fn fits(&self, which: usize, name: &str) -> bool {
        let field = |at: usize| self.octets.get(at..at + INTERFACE).unwrap_or(&[0; INTERFACE]);
        let wanted = field(self.family.names + which * INTERFACE);
        let mask = field(self.family.names + (2 + which) * INTERFACE);
        let name = name.bytes().chain(std::iter::repeat(0));
        wanted.iter().zip(mask).zip(name).all(|((wanted, mask), name)| (wanted ^ name) & mask == 0)
    }

    /// The data of its matches on groups of interfaces (`-m devgroup`).
    fn group_matches(&self) -> impl Iterator<Item = &'a [u8]> {
        let end = half(self.octets, self.family.offsets).map_or(0, usize::from);
        let mut rest = self.octets.get(self.family.matches..end).unwrap_or_default();
        let matches = std::iter::from_fn(move || {
            let size = usize::from(half(rest, 0)?);
            let one = rest.get(..size).filter(|_| size >= MATCH)?;
            rest = rest.get(size..).unwrap_or_default();
            Some(one)
        });
        matches.filter(|one| one[2..].starts_with(b"devgroup\0")).map(|one| &one[MATCH..])
    }
}

/// Whether an interface of this group is one that `struct xt_devgroup_info` (flags, group and mask in, group and mask
/// out) asks for, coming in (0) or going out (1).
pub(super) fn is_in_group(data: &[u8], which: usize, group: u32) -> bool {
    let word =
        |position: usize| data.get(position * 4..).and_then(<[u8]>::first_chunk).copied().map(u32::from_ne_bytes);
    let (Some(flags), Some(wanted), Some(mask)) = (word(0), word(1 + 2 * which), word(2 + 2 * which)) else {
        return false;
    };
    // XT_DEVGROUP_MATCH_SRC is 1, XT_DEVGROUP_MATCH_DST is 4.
    flags & [1, 4][which] != 0 && group & mask == wanted & mask
}

/// A `u16` at this place.
fn half(octets: &[u8], at: usize) -> Option<u16> {
    octets.get(at..)?.first_chunk().copied().map(u16::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use aggctl_common::IfIndex;

    use super::*;

    /// `iptables-legacy -A INPUT -i eth+ -p tcp --dport 80 -j ACCEPT` and
    /// `iptables-legacy -A FORWARD -p udp --dport 53 -m devgroup --src-group 7 -j DROP`, as Linux 6.18 hands them out.
    const V4: &[u8] = include_bytes!("captured/iptables.bin");
    /// `ip6tables-legacy -A FORWARD -o eth0 -p tcp -m tcp --dport 22 -j ACCEPT`.
    const V6: &[u8] = include_bytes!("captured/ip6tables.bin");
    /// `arptables-legacy -A INPUT -i eth0 -j DROP`.
    const ARP: &[u8] = include_bytes!("captured/arptables.bin");

    fn interface(name: &str, group: u32) -> Interface {
        Interface { index: IfIndex(7), name: name.to_owned(), group, kind: String::new() }
    }

    fn count(entries: &[u8], family: usize, port: &Interface) -> usize {
        let aggregate = interface("agg0", 0);
        rules(entries, &FAMILIES[family]).filter(|rule| rule.differs(port, &aggregate)).count()
    }

    #[test]
    fn rules_are_found_by_name_prefix_and_group() {
        assert_eq!(count(V4, 0, &interface("eth0", 0)), 1, "eth+");
        assert_eq!(count(V4, 0, &interface("et", 0)), 0);
        assert_eq!(count(V4, 0, &interface("lan", 7)), 1, "group 7");
        assert_eq!(count(V4, 0, &interface("eth0", 7)), 2);
        assert_eq!(count(V6, 1, &interface("eth0", 0)), 1);
        assert_eq!(count(V6, 1, &interface("eth01", 0)), 0);
        assert_eq!(count(ARP, 2, &interface("eth0", 0)), 1);
        assert_eq!(count(ARP, 2, &interface("eth1", 0)), 0);
    }

    #[test]
    fn a_table_is_read_to_its_end_and_no_further() {
        for (entries, family) in [(V4, 0), (V6, 1), (ARP, 2)] {
            assert!(rules(entries, &FAMILIES[family]).count() >= 4);
            for length in 0..entries.len() {
                rules(&entries[..length], &FAMILIES[family]).for_each(|rule| {
                    rule.differs(&interface("eth0", 7), &interface("agg0", 0));
                });
            }
        }
    }
}
