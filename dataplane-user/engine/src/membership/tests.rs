use etherparse::{NetSlice, SlicedPacket, TransportSlice};

use super::*;

const REPORTER: Reporter = Reporter {
    mac: Mac([2, 0, 0, 0, 0, 1]),
    v4: Ipv4Addr::new(192, 0, 2, 1),
    v6: Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1),
};

fn joined(igmp: IgmpVersion, groups: &[&str]) -> Memberships {
    let member = |group: &&str| GroupMembership { group: group.parse().unwrap(), sources: Vec::new() };
    Memberships { igmp, groups: groups.iter().map(member).collect() }
}

/// Who it is for, and the message after the IP header.
fn read(frame: &[u8]) -> ([u8; 6], IpAddr, Vec<u8>) {
    let packet = SlicedPacket::from_ethernet(frame).unwrap();
    let link = packet.link.as_ref().unwrap().to_header().unwrap().ethernet2().unwrap();
    assert_eq!(link.source, REPORTER.mac.0);
    match packet.net.as_ref().unwrap() {
        NetSlice::Ipv4(ip) => {
            let header = ip.header();
            assert_eq!((header.ttl(), header.options()), (1, &[0x94, 4, 0, 0][..]));
            assert_eq!(header.to_header().calc_header_checksum(), header.header_checksum());
            let payload = ip.payload().payload;
            assert_eq!(checksum(payload), 0, "the checksum of IGMP");
            (link.destination, header.destination_addr().into(), payload.to_vec())
        }
        NetSlice::Ipv6(ip) => {
            assert_eq!(ip.header().hop_limit(), 1);
            assert_eq!(&frame[54..62], &[58, 0, 5, 2, 0, 0, 1, 0], "hop-by-hop options");
            let Some(TransportSlice::Icmpv6(icmp)) = &packet.transport else { panic!("no ICMPv6") };
            assert!(icmp.is_checksum_valid(ip.header().source(), ip.header().destination()));
            (link.destination, ip.header().destination_addr().into(), icmp.slice().to_vec())
        }
        NetSlice::Arp(_) => panic!("ARP"),
    }
}

fn checksum(octets: &[u8]) -> u16 {
    let words = octets.chunks(2).map(|word| u32::from(u16::from_be_bytes([word[0], *word.get(1).unwrap_or(&0)])));
    let sum: u32 = words.sum();
    !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap()
}

#[test]
fn groups_are_reported_in_the_version_of_the_querier() {
    let frames = reports(REPORTER, &joined(IgmpVersion::V3, &["239.129.2.3", "224.0.0.251"]));
    let [frame] = &frames[..] else { panic!("{} frames", frames.len()) };
    let (mac, to, message) = read(frame);
    assert_eq!((mac, to), ([1, 0, 0x5e, 0, 0, 22], IpAddr::from(ALL_IGMPV3_ROUTERS)));
    assert_eq!((message[0], &message[4..8]), (0x22, &[0, 0, 0, 2][..]));
    assert_eq!(message[8..], [2, 0, 0, 0, 239, 129, 2, 3, 2, 0, 0, 0, 224, 0, 0, 251]);

    for (version, kind) in [(IgmpVersion::V2, 0x16), (IgmpVersion::V1, 0x12)] {
        let frames = reports(REPORTER, &joined(version, &["239.129.2.3", "224.0.0.251"]));
        let seen: Vec<_> = frames.iter().map(|frame| read(frame)).collect();
        assert_eq!(seen.len(), 2);
        let (mac, to, message) = &seen[0];
        assert_eq!((*mac, *to), ([1, 0, 0x5e, 1, 2, 3], "239.129.2.3".parse().unwrap()));
        assert_eq!((message[0], &message[4..]), (kind, &[239, 129, 2, 3][..]));
    }
}

#[test]
fn groups_of_ipv6_are_reported_by_mld() {
    let frames = reports(REPORTER, &joined(IgmpVersion::V3, &["ff02::fb", "ff15::9"]));
    let [frame] = &frames[..] else { panic!("{} frames", frames.len()) };
    let (mac, to, message) = read(frame);
    assert_eq!((mac, to), ([0x33, 0x33, 0, 0, 0, 0x16], IpAddr::from(ALL_MLDV2_ROUTERS)));
    assert_eq!((message[0], &message[4..8]), (143, &[0, 0, 0, 2][..]));
    assert_eq!((message.len(), message[8], message[27]), (8 + 2 * 20, 2, 0xfb));
}

#[test]
fn what_is_never_reported_is_left_out() {
    let none = ["224.0.0.1", "192.0.2.1", "ff02::1", "ff01::5", "ff00::5", "2001:db8::1"];
    assert_eq!(reports(REPORTER, &joined(IgmpVersion::V3, &none)), Vec::<Vec<u8>>::new());
    assert_eq!(reports(REPORTER, &joined(IgmpVersion::V2, &none)), Vec::<Vec<u8>>::new());
}

#[test]
fn sources_are_named_where_a_group_is_for_named_sources_only() {
    let member = |group: &str, source: &str| GroupMembership {
        group: group.parse().unwrap(),
        sources: vec![source.parse().unwrap()],
    };
    let report = |membership| {
        let groups = Memberships { igmp: IgmpVersion::V3, groups: vec![membership] };
        read(&reports(REPORTER, &groups)[0]).2.split_off(8)
    };
    assert_eq!(report(member("232.1.1.1", "192.0.2.9")), [1, 0, 0, 1, 232, 1, 1, 1, 192, 0, 2, 9]);
    assert_eq!(report(member("239.1.1.1", "192.0.2.9")), [2, 0, 0, 0, 239, 1, 1, 1]);
    assert_eq!(report(member("ff3e::1", "2001:db8::9"))[..4], [1, 0, 0, 1]);
    assert_eq!(report(member("ff1e::1", "2001:db8::9"))[..4], [2, 0, 0, 0]);
}

#[test]
fn many_groups_become_several_reports() {
    let groups: Vec<_> = (0..70).map(|last| format!("239.1.1.{last}")).collect();
    let groups: Vec<_> = groups.iter().map(String::as_str).collect();
    let frames = reports(REPORTER, &joined(IgmpVersion::V3, &groups));
    assert_eq!(frames.iter().map(|frame| read(frame).2[7]).collect::<Vec<_>>(), [32, 32, 6]);
}
