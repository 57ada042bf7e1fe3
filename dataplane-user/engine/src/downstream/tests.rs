use std::net::IpAddr;

use aggctl_common::{Mac, vlan::VlanId};
use proptest::prelude::*;

use super::*;
use crate::{
    membership::{GroupMembership, Memberships},
    samples,
    tag::Tag,
};

const DOT1Q: u16 = 0x8100;
const AGG: IfIndex = IfIndex(1);
const BRIDGE: IfIndex = IfIndex(2);
const GUEST_PORT: IfIndex = IfIndex(3);
const VLAN: IfIndex = IfIndex(4);
const OTHER: IfIndex = IfIndex(5);

fn mac(last: u8) -> Mac {
    Mac([2, 0, 0, 0, 0, last])
}

/// The MAC of an interface.
fn own(index: IfIndex) -> Mac {
    mac(u8::try_from(index.0).unwrap())
}

fn tag(vlan: u16) -> Tag {
    Tag { protocol: DOT1Q, vlan: VlanId(vlan) }
}

/// A picture made piece by piece.
impl Topology {
    fn of_aggregate() -> Self {
        Self::default().with(AGG, DeviceKind::Other, None, None)
    }

    fn with(mut self, index: IfIndex, kind: DeviceKind, lower: Option<IfIndex>, master: Option<IfIndex>) -> Self {
        let name = format!("if{index}");
        self.devices.insert(index, NetDevice { name, mac: own(index), up: true, lower, master, kind });
        let port = BridgePort { forwarding: true, ..BridgePort::default() };
        self.ports.insert(index, port);
        self
    }

    /// A bridge with `port` of the host's side and a port of a guest.
    fn with_bridge(mut self, port: IfIndex, filtering: Option<u16>) -> Self {
        self.devices.get_mut(&port).unwrap().master = Some(BRIDGE);
        self.with(BRIDGE, DeviceKind::Bridge { filtering }, None, None).with(
            GUEST_PORT,
            DeviceKind::Other,
            None,
            Some(BRIDGE),
        )
    }

    fn with_vlans(mut self, port: IfIndex, vlans: &[(u16, u16, bool, bool)]) -> Self {
        let vlans = vlans.iter().map(|(first, last, pvid, untagged)| PortVlan {
            first: VlanId(*first),
            last: VlanId(*last),
            pvid: *pvid,
            untagged: *untagged,
        });
        self.ports.get_mut(&port).unwrap().vlans = vlans.collect();
        self
    }

    fn with_guest(mut self, mac: Mac, port: IfIndex, vlan: Option<u16>) -> Self {
        let place = StationPlace::Behind { port, vlan: vlan.map(VlanId) };
        self.stations.entry(BRIDGE).or_default().push(Station { mac, place });
        self
    }

    fn receiving(mut self, index: IfIndex, mac: Mac) -> Self {
        self.stations.entry(index).or_default().push(Station { mac, place: StationPlace::Here });
        self
    }

    fn frames(&self, addresses: &[Address]) -> Vec<Vec<u8>> {
        frames(AGG, self, addresses, |_| Ipv6Role::Host)
    }

    /// The MACs that are taught, without addresses.
    fn taught(&self) -> BTreeSet<(Mac, Vec<Tag>)> {
        let frames = self.frames(&[]);
        let taught: BTreeSet<_> = frames.iter().map(|frame| source(frame)).collect();
        assert_eq!(taught.len(), frames.len(), "taught twice");
        taught
    }
}

/// The source of a frame, and its tags.
fn source(frame: &[u8]) -> (Mac, Vec<Tag>) {
    let tags = frame[12..].chunks(4).take_while(|chunk| matches!(chunk[..2], [0x81, 0] | [0x88, 0xa8]));
    let word = |octets: &[u8]| u16::from_be_bytes(octets.try_into().unwrap());
    let tags = tags.map(|chunk| Tag { protocol: word(&chunk[..2]), vlan: VlanId(word(&chunk[2..4])) });
    (Mac(frame[6..12].try_into().unwrap()), tags.collect())
}

fn address(link: IfIndex, local: &str) -> Address {
    samples::address(link, local, 24)
}

fn set<const N: usize>(expected: [(Mac, Vec<Tag>); N]) -> BTreeSet<(Mac, Vec<Tag>)> {
    expected.into()
}

#[test]
fn an_aggregate_with_addresses_and_nothing_above_it_carries_nothing() {
    let picture = Topology::of_aggregate();
    assert_eq!(picture.frames(&[address(AGG, "192.0.2.1")]), Vec::<Vec<u8>>::new());
    assert_eq!(picture.taught(), set([(own(AGG), vec![])]), "without an address its MAC is all there is to tell");
}

#[test]
fn guests_behind_a_bridge_are_taught_and_what_is_behind_the_aggregate_is_not() {
    let picture = Topology::of_aggregate()
        .with_bridge(AGG, None)
        .with_guest(mac(50), GUEST_PORT, None)
        .with_guest(mac(51), GUEST_PORT, None)
        .with_guest(mac(52), BRIDGE, None)
        .with_guest(mac(60), AGG, None);
    let expected = [own(BRIDGE), mac(50), mac(51), mac(52)].map(|mac| (mac, vec![]));
    assert_eq!(picture.taught(), set(expected));
}

#[test]
fn a_bridge_speaks_for_itself_by_its_addresses() {
    let picture = Topology::of_aggregate().with_bridge(AGG, None).with_guest(mac(50), GUEST_PORT, None);
    let frames = picture.frames(&[address(BRIDGE, "192.0.2.1"), address(BRIDGE, "2001:db8::1")]);
    let sources: Vec<_> = frames.iter().map(|frame| source(frame).0).collect();
    assert_eq!(sources, [own(BRIDGE), own(BRIDGE), mac(50)], "addresses first, and no learning frame for the same MAC");
    assert_eq!(frames[0][12..14], [0x08, 0x06]);
    assert_eq!(frames[2][12..14], [0x80, 0x35]);
}

#[test]
fn addresses_and_guests_of_vlan_devices_are_tagged() {
    let picture = Topology::of_aggregate()
        .with(VLAN, DeviceKind::Vlan(tag(10)), Some(AGG), None)
        .with(OTHER, DeviceKind::Vlan(tag(20)), Some(AGG), None)
        .with_bridge(OTHER, None)
        .with_guest(mac(50), GUEST_PORT, None);
    let frames = picture.frames(&[address(AGG, "192.0.2.1"), address(VLAN, "198.51.100.1")]);
    let sources: Vec<_> = frames.iter().map(|frame| source(frame)).collect();
    let expected = [(own(VLAN), vec![tag(10)]), (own(BRIDGE), vec![tag(20)]), (mac(50), vec![tag(20)])];
    assert_eq!(sources, expected);
}

#[test]
fn stacked_vlan_devices_give_stacked_tags() {
    let outer = Tag { protocol: 0x88a8, vlan: VlanId(7) };
    let picture = Topology::of_aggregate().with(VLAN, DeviceKind::Vlan(outer), Some(AGG), None).with(
        OTHER,
        DeviceKind::Vlan(tag(8)),
        Some(VLAN),
        None,
    );
    assert!(picture.taught().contains(&(own(OTHER), vec![outer, tag(8)])));
}

#[test]
fn a_bridge_that_filters_tags_as_its_port_to_the_aggregate_does() {
    let picture = Topology::of_aggregate()
        .with_bridge(AGG, Some(DOT1Q))
        .with_vlans(AGG, &[(1, 1, true, true), (10, 20, false, false)])
        .with_vlans(BRIDGE, &[(1, 1, true, true)])
        .with_guest(mac(50), GUEST_PORT, Some(1))
        .with_guest(mac(50), GUEST_PORT, Some(15))
        .with_guest(mac(51), GUEST_PORT, Some(30))
        .with_guest(mac(52), GUEST_PORT, None);
    let expected = [(own(BRIDGE), vec![]), (mac(50), vec![]), (mac(50), vec![tag(15)])];
    assert_eq!(picture.taught(), set(expected), "VLAN 30 ends at the bridge, and entries without VLAN mean nothing");
}

#[test]
fn a_vlan_device_on_a_bridge_that_filters_leaves_as_the_port_says() {
    let build = |untagged, on_bridge: u16| {
        Topology::of_aggregate()
            .with_bridge(AGG, Some(DOT1Q))
            .with_vlans(AGG, &[(10, 10, untagged, untagged)])
            .with_vlans(BRIDGE, &[(1, 1, true, true), (on_bridge, on_bridge, false, false)])
            .with(VLAN, DeviceKind::Vlan(tag(10)), Some(BRIDGE), None)
            .taught()
    };
    assert_eq!(build(false, 10), set([(own(VLAN), vec![tag(10)])]), "the bridge's own VLAN 1 does not leave");
    assert_eq!(build(true, 10), set([(own(VLAN), vec![])]));
    assert_eq!(build(true, 11), set([]), "the bridge itself takes no part in VLAN 10");
}

#[test]
fn macvlans_are_taught_also_those_of_other_namespaces() {
    let picture = Topology::of_aggregate()
        .with(OTHER, DeviceKind::Plain, Some(AGG), None)
        .receiving(AGG, own(OTHER))
        .receiving(AGG, mac(70));
    let frames = picture.frames(&[address(AGG, "192.0.2.1"), address(OTHER, "192.0.2.2")]);
    let sources: Vec<_> = frames.iter().map(|frame| source(frame)).collect();
    assert_eq!(sources, [(own(OTHER), vec![]), (mac(70), vec![])]);
}

#[test]
fn what_is_received_for_a_vlan_is_taught_in_that_vlan_only() {
    let picture = Topology::of_aggregate()
        .with(VLAN, DeviceKind::Vlan(tag(10)), Some(AGG), None)
        .receiving(VLAN, mac(70))
        .receiving(AGG, mac(70))
        .receiving(AGG, own(VLAN));
    let expected = [(own(AGG), vec![]), (own(VLAN), vec![tag(10)]), (mac(70), vec![tag(10)])];
    assert_eq!(picture.taught(), set(expected));
}

#[test]
fn what_is_down_blocked_isolated_or_hidden_in_a_tunnel_is_not_carried() {
    let build = || Topology::of_aggregate().with_bridge(AGG, None).with_guest(mac(50), GUEST_PORT, None);
    let guest = (mac(50), vec![]);
    assert!(build().taught().contains(&guest));

    let mut down = build();
    down.devices.get_mut(&BRIDGE).unwrap().up = false;
    assert_eq!(down.taught(), set([]));

    let mut blocked = build();
    blocked.ports.get_mut(&AGG).unwrap().forwarding = false;
    assert_eq!(blocked.taught(), set([]));

    let mut isolated = build();
    for port in [AGG, GUEST_PORT] {
        isolated.ports.get_mut(&port).unwrap().isolated = true;
    }
    assert_eq!(isolated.taught(), set([(own(BRIDGE), vec![])]));

    let tunnel = Topology::of_aggregate().with(OTHER, DeviceKind::Other, Some(AGG), None);
    assert_eq!(tunnel.taught(), set([(own(AGG), vec![])]));
}

#[test]
fn a_bridge_with_two_vlans_of_the_aggregate_carries_its_guests_in_both() {
    let mut picture = Topology::of_aggregate()
        .with(VLAN, DeviceKind::Vlan(tag(10)), Some(AGG), Some(BRIDGE))
        .with(OTHER, DeviceKind::Vlan(tag(20)), Some(AGG), None)
        .with_bridge(OTHER, None)
        .with_guest(mac(50), GUEST_PORT, None);
    picture.devices.get_mut(&AGG).unwrap().up = true;
    let taught = picture.taught();
    for vlan in [10, 20] {
        assert!(taught.contains(&(mac(50), vec![tag(vlan)])), "{taught:?}");
    }
}

#[test]
fn interfaces_above_are_found_over_all_storeys() {
    let picture = Topology::of_aggregate()
        .with(VLAN, DeviceKind::Vlan(tag(10)), Some(AGG), None)
        .with_bridge(VLAN, None)
        .with(OTHER, DeviceKind::Plain, Some(BRIDGE), None)
        .with(IfIndex(9), DeviceKind::Other, Some(AGG), None);
    assert_eq!(above(AGG, &picture.devices), [AGG, VLAN, BRIDGE, OTHER].into());
}

#[test]
fn no_more_than_the_limit_is_taught_in_a_round() {
    let mut picture = Topology::of_aggregate().with_bridge(AGG, None);
    for number in 0..=u16::try_from(LIMIT).unwrap() {
        let [a, b] = number.to_be_bytes();
        picture = picture.with_guest(Mac([2, 1, 0, 0, a, b]), GUEST_PORT, None);
    }
    assert_eq!(picture.taught().len(), LIMIT);
}

proptest! {
    /// Any tangle of interfaces: the walk ends, and says nothing twice.
    #[test]
    fn a_tangle_is_walked_through(parts in prop::collection::vec((0_u8..4, 0_u32..12, 0_u32..12), 1..12)) {
        let mut picture = Topology::default();
        for (position, (kind, lower, master)) in parts.into_iter().enumerate() {
            let kind = match kind {
                0 => DeviceKind::Vlan(tag(10)),
                1 => DeviceKind::Plain,
                2 => DeviceKind::Bridge { filtering: None },
                _ => DeviceKind::Other,
            };
            let index = IfIndex(u32::try_from(position).unwrap() + 1);
            picture = picture.with(index, kind, Some(IfIndex(lower)), Some(IfIndex(master)));
        }
        let taught = picture.taught();
        prop_assert!(taught.len() <= walk::WAYS);
    }
}

/// Whose MAC a report is from, its tags, and the last octet of the group that it names.
fn reported(frame: &[u8]) -> (Mac, Vec<Tag>, u8) {
    let (mac, tags) = source(frame);
    (mac, tags, *frame.last().unwrap())
}

#[test]
fn groups_are_reported_where_they_are_received() {
    let group = |last| IpAddr::from([239, 1, 1, last]);
    let member = |last| GroupMembership { group: group(last), sources: Vec::new() };
    let joined = |last| Memberships { groups: vec![member(last)], ..Memberships::default() };
    let bridge = IfIndex(6);
    let guests_port = IfIndex(7);
    let filtering = Some(DOT1Q);
    let mut picture = Topology::of_aggregate()
        .with(VLAN, DeviceKind::Vlan(tag(10)), Some(AGG), None)
        .with(OTHER, DeviceKind::Vlan(tag(20)), Some(AGG), Some(bridge))
        .with(bridge, DeviceKind::Bridge { filtering }, None, None)
        .with(guests_port, DeviceKind::Other, None, Some(bridge))
        .with_vlans(OTHER, &[(1, 1, true, true), (30, 30, false, false)])
        .with_vlans(bridge, &[(1, 1, true, true)])
        .with_vlans(guests_port, &[(1, 1, true, true), (30, 30, false, false)]);
    picture.memberships = [(AGG, joined(1)), (VLAN, joined(2)), (bridge, joined(3))].into();
    let behind = |port, vlan, last| BridgeGroup { port, vlan: Some(VlanId(vlan)), group: group(last) };
    let entries =
        vec![behind(guests_port, 1, 4), behind(guests_port, 30, 5), behind(guests_port, 40, 6), behind(OTHER, 1, 7)];
    picture.bridge_groups = [(bridge, entries)].into();
    let seen = |own| rejoin(AGG, &picture, &[], own).iter().map(|frame| reported(frame)).collect::<Vec<_>>();
    let others = [
        (own(VLAN), vec![tag(10)], 2),
        (own(bridge), vec![tag(20)], 3),
        (own(bridge), vec![tag(20)], 4),
        (own(bridge), vec![tag(20), tag(30)], 5),
    ];
    assert_eq!(seen(false), others);
    assert_eq!(seen(true), [&[(own(AGG), vec![], 1)][..], &others].concat());
}
