//! The frames that tell switches and multicast routers again which groups this host receives: after a change of the
//! active port a switch that snoops would send them nowhere until its querier asks the next time.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use aggctl_common::Mac;
use etherparse::{
    IgmpType, IpHeaders, IpNumber, Ipv4Extensions, Ipv4Header, Ipv6Extensions, Ipv6Header, Ipv6RawExtHeader,
    PacketBuilder, PacketBuilderStep,
    igmp::{GroupAddress, MembershipReportV1Type, MembershipReportV2Type, MembershipReportV3Header},
};

/// Groups in one report, so that it fits into the smallest packet that every link carries.
const GROUPS: usize = 32;
/// Sources of one group, likewise.
const SOURCES: usize = 32;
/// Record types (RFC 3376, 4.2.12; RFC 3810, 5.2.12).
const MODE_IS_INCLUDE: u8 = 1;
const MODE_IS_EXCLUDE: u8 = 2;
/// Who receives reports of version 3 (RFC 3376, 4.2.14).
const ALL_IGMPV3_ROUTERS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 22);
/// Who receives reports of MLD version 2 (RFC 3810, 5.2.14).
const ALL_MLDV2_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x16);

/// The version of IGMP that the querier on an interface speaks, and the host with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IgmpVersion {
    /// RFC 1112.
    V1,
    /// RFC 2236.
    V2,
    /// RFC 3376.
    #[default]
    V3,
}

/// A group that is received.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupMembership {
    /// The group.
    pub group: IpAddr,
    /// The sources that were asked for, if only some were.
    pub sources: Vec<IpAddr>,
}

/// What an interface receives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memberships {
    /// How it says so, for IPv4.
    pub igmp: IgmpVersion,
    /// The groups.
    pub groups: Vec<GroupMembership>,
}

/// Who reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reporter {
    /// Its MAC.
    pub mac: Mac,
    /// Its address. A switch takes reports from 0.0.0.0 (RFC 4541, 2.1.1), routers do, too (RFC 3376, 4.2.13).
    pub v4: Ipv4Addr,
    /// Its link-local address, or `::` (RFC 3590).
    pub v6: Ipv6Addr,
}

/// The reports of all of these groups. Those that are never reported (RFC 3376, 6; RFC 3810, 6) are left out.
#[must_use]
pub fn reports(reporter: Reporter, memberships: &Memberships) -> Vec<Vec<u8>> {
    let groups = || memberships.groups.iter();
    let v4 = groups().filter(|membership| matches!(membership.group, IpAddr::V4(group) if is_reported_v4(group)));
    let v6 = groups().filter(|membership| matches!(membership.group, IpAddr::V6(group) if is_reported_v6(group)));
    let (v4, v6) = (v4.collect::<Vec<_>>(), v6.collect::<Vec<_>>());
    let igmp: Vec<_> = match memberships.igmp {
        IgmpVersion::V3 => v4.chunks(GROUPS).filter_map(|groups| igmpv3(reporter, groups)).collect(),
        older => v4.iter().filter_map(|membership| igmp(reporter, older, membership.group)).collect(),
    };
    igmp.into_iter().chain(v6.chunks(GROUPS).filter_map(|groups| mldv2(reporter, groups))).collect()
}

/// All but all systems (RFC 3376, 6).
fn is_reported_v4(group: Ipv4Addr) -> bool {
    group.is_multicast() && group != Ipv4Addr::new(224, 0, 0, 1)
}

/// All but all nodes, and what does not leave the host (RFC 3810, 6).
fn is_reported_v6(group: Ipv6Addr) -> bool {
    let scope = group.octets()[1] & 0x0f;
    group.is_multicast() && scope > 1 && group != Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1)
}

/// Whether a group is only received from sources that were named: IPv4's and IPv6's ranges for that (RFC 4607, 1).
fn is_source_specific(group: IpAddr) -> bool {
    match group {
        IpAddr::V4(group) => group.octets()[0] == 232,
        IpAddr::V6(group) => group.octets()[0] == 0xff && group.octets()[1] >> 4 == 3 && group.segments()[1] == 0,
    }
}

/// The records of a report. Outside of the range for it, a group is reported as received from everybody: the kernel
/// does not say whether somebody else on this host asked for that, and filters what nobody asked for itself.
fn records(groups: &[&GroupMembership]) -> Vec<u8> {
    let mut records = Vec::new();
    for GroupMembership { group, sources } in groups {
        let named = if is_source_specific(*group) { &sources[..sources.len().min(SOURCES)] } else { &[] };
        let kind = if named.is_empty() { MODE_IS_EXCLUDE } else { MODE_IS_INCLUDE };
        let count = u8::try_from(named.len()).unwrap_or_default();
        records.extend([kind, 0, 0, count]);
        for address in std::iter::once(group).chain(named) {
            match address {
                IpAddr::V4(address) => records.extend(address.octets()),
                IpAddr::V6(address) => records.extend(address.octets()),
            }
        }
    }
    records
}

/// A report of version 1 or 2: one group, sent to the group itself.
fn igmp(reporter: Reporter, version: IgmpVersion, group: IpAddr) -> Option<Vec<u8>> {
    let IpAddr::V4(group) = group else { return None };
    let group_address = GroupAddress::new(group.octets());
    let report = match version {
        IgmpVersion::V1 => IgmpType::MembershipReportV1(MembershipReportV1Type { group_address }),
        IgmpVersion::V2 | IgmpVersion::V3 => IgmpType::MembershipReportV2(MembershipReportV2Type { group_address }),
    };
    let builder = ipv4(reporter, group)?.igmp(report);
    let mut frame = Vec::with_capacity(builder.size(0));
    builder.write(&mut frame, &[]).ok()?;
    Some(frame)
}

/// A report of version 3.
fn igmpv3(reporter: Reporter, groups: &[&GroupMembership]) -> Option<Vec<u8>> {
    let records = records(groups);
    let header = MembershipReportV3Header { flags: [0; 2], num_of_records: u16::try_from(groups.len()).ok()? };
    let builder = ipv4(reporter, ALL_IGMPV3_ROUTERS)?.igmp(IgmpType::MembershipReportV3(header));
    let mut frame = Vec::with_capacity(builder.size(records.len()));
    builder.write(&mut frame, &records).ok()?;
    Some(frame)
}

/// A report of MLD version 2.
fn mldv2(reporter: Reporter, groups: &[&GroupMembership]) -> Option<Vec<u8>> {
    /// ICMPv6 type (RFC 3810, 5.2).
    const REPORT: u8 = 143;
    /// Hop-by-hop option "router alert: MLD" (RFC 2711), and padding.
    const ROUTER_ALERT: [u8; 6] = [5, 2, 0, 0, 1, 0];

    let records = records(groups);
    let [high, low] = u16::try_from(groups.len()).ok()?.to_be_bytes();
    let alert = Ipv6RawExtHeader::new_raw(IpNumber::IPV6_ICMP, &ROUTER_ALERT).ok()?;
    let header = Ipv6Header {
        hop_limit: 1,
        source: reporter.v6.octets(),
        destination: ALL_MLDV2_ROUTERS.octets(),
        ..Ipv6Header::default()
    };
    let extensions = Ipv6Extensions { hop_by_hop_options: Some(alert), ..Ipv6Extensions::default() };
    let builder = PacketBuilder::ethernet2(reporter.mac.0, group_mac(ALL_MLDV2_ROUTERS.into()))
        .ip(IpHeaders::Ipv6(header, extensions))
        .icmpv6_raw(REPORT, 0, [0, 0, high, low]);
    let mut frame = Vec::with_capacity(builder.size(records.len()));
    builder.write(&mut frame, &records).ok()?;
    Some(frame)
}

/// The headers before IGMP: one hop, and the option "router alert" (RFC 2113). `None` is not to be expected.
fn ipv4(reporter: Reporter, to: Ipv4Addr) -> Option<PacketBuilderStep<IpHeaders>> {
    const ROUTER_ALERT: [u8; 4] = [0x94, 4, 0, 0];

    let mut header = Ipv4Header::new(0, 1, IpNumber::IGMP, reporter.v4.octets(), to.octets()).ok()?;
    header.options = ROUTER_ALERT.into();
    let ethernet = PacketBuilder::ethernet2(reporter.mac.0, group_mac(to.into()));
    Some(ethernet.ip(IpHeaders::Ipv4(header, Ipv4Extensions::default())))
}

/// The MAC of a group (RFC 1112, 6.4; RFC 2464, 7).
fn group_mac(group: IpAddr) -> [u8; 6] {
    match group {
        IpAddr::V4(group) => {
            let [_, b, c, d] = group.octets();
            [1, 0, 0x5e, b & 0x7f, c, d]
        }
        IpAddr::V6(group) => {
            let [.., a, b, c, d] = group.octets();
            [0x33, 0x33, a, b, c, d]
        }
    }
}

#[cfg(test)]
mod tests;
