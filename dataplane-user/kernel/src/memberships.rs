//! The multicast groups that this host receives: `/proc/net/igmp`, `igmp6`, `mcfilter` and `mcfilter6` of the present
//! network namespace. (Netlink tells of IPv4 groups since Linux 6.14, and of no sources.)

use std::{
    collections::BTreeMap,
    fs,
    io::ErrorKind,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use aggctl_common::IfIndex;
use aggctl_engine::membership::{GroupMembership, IgmpVersion, Memberships};

use crate::error::KernelError;

/// Where they are, of the calling thread's namespace.
const PLACE: &str = "/proc/thread-self/net";

/// Sources that were asked for, by interface and group.
type Sources = BTreeMap<(IfIndex, IpAddr), Vec<IpAddr>>;

/// What every interface receives.
///
/// # Errors
///
/// If the kernel cannot be asked. That it has no IPv6 is no error.
pub fn memberships() -> Result<BTreeMap<IfIndex, Memberships>, KernelError> {
    let mut sources = sources(&read("mcfilter")?, v4_big_endian);
    sources.extend(self::sources(&read("mcfilter6")?, v6));
    let mut all = igmp(&read("igmp")?);
    for (index, group) in read("igmp6")?.lines().filter_map(igmp6) {
        all.entry(index).or_default().groups.push(GroupMembership { group, sources: Vec::new() });
    }
    for (index, memberships) in &mut all {
        for membership in &mut memberships.groups {
            membership.sources = sources.remove(&(*index, membership.group)).unwrap_or_default();
        }
    }
    Ok(all)
}

fn read(name: &str) -> Result<String, KernelError> {
    let path = format!("{PLACE}/{name}");
    match fs::read_to_string(&path) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(KernelError::refused(path, "read", error)),
    }
}

/// `igmp`: a line for each interface, which ends with the version of its querier, and one for each of its groups, whose
/// octets are written as one number of this processor's order.
fn igmp(text: &str) -> BTreeMap<IfIndex, Memberships> {
    let mut all = BTreeMap::<_, Memberships>::new();
    let mut current = None;
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let first = words.next();
        if !line.starts_with(char::is_whitespace) {
            current = first.and_then(|index| index.parse().ok()).map(IfIndex);
            if let (Some(index), Some(version)) = (current, words.next_back()) {
                let igmp = match version {
                    "V1" => IgmpVersion::V1,
                    "V2" => IgmpVersion::V2,
                    _ => IgmpVersion::V3,
                };
                all.insert(index, Memberships { igmp, groups: Vec::new() });
            }
        } else if let Some(index) = current
            && let Some(group) = first.and_then(|group| u32::from_str_radix(group, 16).ok())
        {
            let group = IpAddr::from(group.to_ne_bytes());
            all.entry(index).or_default().groups.push(GroupMembership { group, sources: Vec::new() });
        }
    }
    all
}

/// A line of `igmp6`: interface, name, group, and what is of no use here.
fn igmp6(line: &str) -> Option<(IfIndex, IpAddr)> {
    let mut words = line.split_whitespace();
    let index = words.next()?.parse().ok().map(IfIndex)?;
    Some((index, v6(words.nth(1)?)?))
}

/// `mcfilter`, `mcfilter6`: interface, name, group, source, and how many sockets include and exclude it.
fn sources(text: &str, address: fn(&str) -> Option<IpAddr>) -> Sources {
    let entry = |line: &str| {
        let words: Vec<_> = line.split_whitespace().collect();
        let [index, _, group, source, including, _] = words[..] else { return None };
        let index = IfIndex(index.parse().ok()?);
        (including != "0").then_some(((index, address(group)?), address(source)?))
    };
    let mut sources = Sources::new();
    for (key, source) in text.lines().filter_map(entry) {
        sources.entry(key).or_default().push(source);
    }
    sources
}

/// An address of `mcfilter`: its octets as one number.
fn v4_big_endian(word: &str) -> Option<IpAddr> {
    let number = u32::from_str_radix(word.strip_prefix("0x")?, 16).ok()?;
    Some(Ipv4Addr::from_bits(number).into())
}

/// An address of `igmp6` and `mcfilter6`: its octets, and nothing between them.
fn v6(word: &str) -> Option<IpAddr> {
    (word.len() == 32).then(|| u128::from_str_radix(word, 16).ok()).flatten().map(Ipv6Addr::from_bits).map(IpAddr::V6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_and_the_version_of_the_querier_are_read() {
        let group = format!("{:08X}", u32::from_ne_bytes([239, 1, 2, 3]));
        let text = format!(
            "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n\
             1\tlo        :     1      V3\n\t\t\t\t{group}     1 0:00000000\t\t0\n\
             4\tagg0      :     2      V2\n\t\t\t\t{group}     1 0:00000000\t\t1\n"
        );
        let all = igmp(&text);
        assert_eq!(all.keys().copied().collect::<Vec<_>>(), [IfIndex(1), IfIndex(4)]);
        let expected = GroupMembership { group: IpAddr::from([239, 1, 2, 3]), sources: Vec::new() };
        assert_eq!(all[&IfIndex(4)], Memberships { igmp: IgmpVersion::V2, groups: vec![expected] });
        assert_eq!(all[&IfIndex(1)].igmp, IgmpVersion::V3);
    }

    #[test]
    fn groups_of_ipv6_are_read() {
        let line = "4    agg0            ff0200000000000000000001ff000001     1 00000004 0";
        assert_eq!(igmp6(line), Some((IfIndex(4), "ff02::1:ff00:1".parse().unwrap())));
        assert_eq!(igmp6("4 agg0 ff02"), None);
    }

    #[test]
    fn sources_that_sockets_include_are_read() {
        let text = "Idx Device        MCA        SRC    INC    EXC\n\
                    4   agg0 0xe8010101 0xc0000209      1      0\n\
                    4   agg0 0xe8010101 0xc000020a      0      1\n";
        let key = (IfIndex(4), IpAddr::from([232, 1, 1, 1]));
        assert_eq!(sources(text, v4_big_endian), [(key, vec![IpAddr::from([192, 0, 2, 9])])].into());
    }
}
