//! The groups that are received through an aggregate, by the host itself and by those behind its bridges.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use aggctl_common::{IfIndex, Mac};

use super::{LIMIT, Topology, Walk};
use crate::{
    host::Address,
    membership::{GroupMembership, Memberships, Reporter, reports},
    tag::{Tag, tagged},
};

/// `IFA_F_TENTATIVE`: it is not known yet whether somebody else has the address.
const TENTATIVE: u32 = 0x40;

/// The frames that report again all groups that are received through `aggregate`: first what the host itself receives
/// by the aggregate (if `own`) and by devices above it, from their addresses; then, for the machines behind a bridge
/// above it, what the bridge has learnt of them, from nobody's address.
pub fn rejoin(aggregate: IfIndex, picture: &Topology, addresses: &[Address], own: bool) -> Vec<Vec<u8>> {
    let walk = Walk::of(aggregate, picture);
    let mut frames = Vec::new();
    let mut add = |reporter, memberships: &Memberships, tags: &[Tag]| {
        frames.extend(reports(reporter, memberships).iter().map(|frame| tagged(frame, tags)));
    };
    for (index, tags) in walk.speakers.iter().filter(|(index, _)| own || *index != aggregate) {
        let (Some(device), Some(memberships)) = (picture.devices.get(index), picture.memberships.get(index)) else {
            continue;
        };
        let of_link = || addresses.iter().filter(|address| address.link == *index && address.flags & TENTATIVE == 0);
        add(reporter(device.mac, of_link().map(|address| address.local)), memberships, tags);
    }
    let mut behind: BTreeMap<(IfIndex, Vec<Tag>), Vec<GroupMembership>> = BTreeMap::new();
    for (bridge, group, tags) in walk.groups {
        behind.entry((bridge, tags)).or_default().push(GroupMembership { group, sources: Vec::new() });
    }
    for ((bridge, tags), mut groups) in behind {
        let Some(device) = picture.devices.get(&bridge) else { continue };
        groups.sort();
        groups.dedup();
        let igmp = picture.memberships.get(&bridge).map(|memberships| memberships.igmp).unwrap_or_default();
        add(reporter(device.mac, std::iter::empty()), &Memberships { igmp, groups }, &tags);
    }
    frames.truncate(LIMIT);
    frames
}

/// Who reports for a device: by the first address of each family that will do.
fn reporter(mac: Mac, mut addresses: impl Iterator<Item = IpAddr> + Clone) -> Reporter {
    let v4 = addresses.clone().find_map(|address| match address {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    });
    let v6 = addresses.find_map(|address| match address {
        IpAddr::V6(address) => address.is_unicast_link_local().then_some(address),
        IpAddr::V4(_) => None,
    });
    Reporter { mac, v4: v4.unwrap_or(Ipv4Addr::UNSPECIFIED), v6: v6.unwrap_or(Ipv6Addr::UNSPECIFIED) }
}
