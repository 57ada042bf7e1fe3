//! Multicast groups that were joined on a port. Its frames arrive on the aggregate, which is in none of them.

use std::{
    collections::BTreeSet,
    fs,
    net::{Ipv4Addr, Ipv6Addr},
};

use aggctl_common::IfIndex;

use super::{ConflictKind, Search};
use crate::error::KernelError;

/// IPv4 groups, by interface.
const IGMP: &str = "/proc/thread-self/net/igmp";
/// IPv6 groups, by interface.
const IGMP6: &str = "/proc/thread-self/net/igmp6";
/// Link-layer groups, by interface.
const DEV_MCAST: &str = "/proc/thread-self/net/dev_mcast";

pub(super) fn look(search: &mut Search) -> Result<bool, KernelError> {
    // A kernel without IPv6 or without multicast has no such file.
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let joined = [igmp(&read(IGMP)), igmp6(&read(IGMP6)), dev_mcast(&read(DEV_MCAST))].concat();
    for (index, group) in joined {
        if let Some(port) = search.interfaces.port(index).map(|port| port.name.clone()) {
            search.note(ConflictKind::Group, &port, group);
        }
    }
    Ok(true)
}

/// The groups in `/proc/net/igmp` but the one that every host is in: a line for each interface, with its number first;
/// below it one for each group, as the number that the address is in the machine's memory.
fn igmp(text: &str) -> Vec<(IfIndex, String)> {
    let mut groups = Vec::new();
    let mut index = None;
    for line in text.lines().skip(1) {
        let first = line.split_ascii_whitespace().next().unwrap_or_default();
        if line.starts_with(char::is_whitespace) {
            let group = u32::from_str_radix(first, 16).map(|group| Ipv4Addr::from(group.to_ne_bytes()));
            if let (Some(index), Ok(group)) = (index, group)
                && group != Ipv4Addr::new(224, 0, 0, 1)
            {
                groups.push((index, group.to_string()));
            }
        } else {
            index = first.parse().ok().map(IfIndex);
        }
    }
    groups
}

/// The groups in `/proc/net/igmp6` but those that the kernel joins by itself: number and name of the interface,
/// address.
fn igmp6(text: &str) -> Vec<(IfIndex, String)> {
    let group = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let index = IfIndex(fields.next()?.parse().ok()?);
        let group = Ipv6Addr::from_bits(u128::from_str_radix(fields.nth(1)?, 16).ok()?);
        (!is_usual(group)).then(|| (index, group.to_string()))
    };
    text.lines().filter_map(group).collect()
}

/// All nodes, all routers, and the solicited-node groups of addresses (RFC 4291, 2.7.1).
fn is_usual(group: Ipv6Addr) -> bool {
    let [scope, middle @ .., last] = group.segments();
    let well_known = matches!(scope, 0xff01 | 0xff02 | 0xff05) && middle == [0; 6] && matches!(last, 1 | 2);
    let solicited = group.octets().starts_with(&[0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff]);
    well_known || solicited
}

/// The groups in `/proc/net/dev_mcast` that belong to no IP address, and are not of the link itself (01:80:c2:00:00:0x:
/// those stay with the port): number, name, users, global users, address.
fn dev_mcast(text: &str) -> Vec<(IfIndex, String)> {
    let group = |line: &str| {
        let fields: Vec<_> = line.split_ascii_whitespace().collect();
        let (index, address) = (fields.first()?.parse().ok()?, *fields.get(4)?);
        let usual = ["01005e", "3333", "0180c200000"].iter().any(|prefix| address.starts_with(prefix));
        (address.len() == 12 && address.is_ascii() && !usual).then(|| (IfIndex(index), with_colons(address)))
    };
    let found: BTreeSet<_> = text.lines().filter_map(group).collect();
    found.into_iter().collect()
}

fn with_colons(address: &str) -> String {
    let octets: Vec<_> = (0..address.len()).step_by(2).map(|at| &address[at..at + 2]).collect();
    octets.join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ipv4_groups_that_somebody_joined_are_read() {
        let text = "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n\
                    1\tlo        :     1      V3\n\t\t\t\t010000E0     1 0:00000000\t\t0\n\
                    7\teth0      :     2      V3\n\t\t\t\t050201EF     1 0:00000000\t\t1\n\
                    \t\t\t\t010000E0     1 0:00000000\t\t0\n";
        assert_eq!(igmp(text), [(IfIndex(7), "239.1.2.5".to_owned())]);
        assert!(igmp("").is_empty());
    }

    #[test]
    fn ipv6_groups_that_somebody_joined_are_read() {
        let text = "\
1    lo              ff020000000000000000000000000001     1 0000000C 0
7    eth0            ff020000000000000000000000000001     1 0000000C 0
7    eth0            ff0200000000000000000001ff000002     1 0000000C 0
7    eth0            ff050000000000000000000000000002     1 00000008 0
7    eth0            ff0e0000000000000000000000000101     1 00000008 0
";
        assert_eq!(igmp6(text), [(IfIndex(7), "ff0e::101".to_owned())]);
    }

    #[test]
    fn link_layer_groups_of_neither_ip_nor_the_link_are_read() {
        let text = "\
7    eth0            1     0     01005e000001
7    eth0            1     0     333300000001
7    eth0            1     0     0180c200000e
7    eth0            1     0     011b19000000
7    eth0            1
";
        assert_eq!(dev_mcast(text), [(IfIndex(7), "01:1b:19:00:00:00".to_owned())]);
    }
}
