//! What a real kernel says about bridges, macvlans and stations above an interface.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, Ipv6Addr},
};

use aggctl_common::IfIndex;
use aggctl_engine::{
    action::Announcement,
    downstream::{LIMIT, Station, StationPlace},
};
use aggctl_kernel::{announce, netlink::Netlink};

use crate::support::{feed, in_namespace, index, ip, run};

const ADDRESSES: Announcement = Announcement { addresses: true, groups: false, own: true };
const GROUPS: Announcement = Announcement { addresses: false, groups: true, own: true };

/// The sources of the frames that are to be sent for what is above an interface.
fn sources(of: IfIndex) -> BTreeSet<String> {
    let frames = announce::downstream(&mut Netlink::open().unwrap(), of, ADDRESSES).unwrap();
    let octets = |frame: &[u8]| frame[6..12].iter().map(|octet| format!("{octet:02x}")).collect::<Vec<_>>();
    frames.iter().map(|frame| octets(frame).join(":")).collect()
}

/// Waits until a bridge lets frames through both ports: their carrier is reported to it in the background.
fn wait_for_bridge(ports: [&str; 2]) {
    let ports = ports.map(index);
    for _ in 0..1000 {
        let known = Netlink::open().unwrap().bridge_ports().unwrap();
        if ports.iter().all(|port| known[port].forwarding) {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("the bridge does not forward");
}

#[test]
fn stations_behind_other_ports_of_the_bridge_are_carried() {
    in_namespace(|| {
        ip("link add p0 address 02:00:00:00:00:01 type veth peer name q0
            link add g0 address 02:00:00:00:00:02 type veth peer name h0
            link add br0 address 02:00:00:00:00:03 type bridge
            link set p0 master br0
            link set g0 master br0");
        // A station that says nothing by itself.
        std::fs::write("/proc/sys/net/ipv6/conf/h0/disable_ipv6", "1").unwrap();
        ip("link set p0 up
            link set q0 up
            link set g0 up
            link set h0 up
            link set br0 up");
        wait_for_bridge(["p0", "g0"]);
        run("bridge fdb add 02:00:00:00:01:01 dev g0 master static");
        run("bridge fdb add 02:00:00:00:01:02 dev g0 master dynamic");
        run("bridge fdb add 02:00:00:00:01:03 dev p0 master static");
        run("bridge fdb add 02:00:00:00:01:04 dev br0 self local");
        let expected = ["02:00:00:00:00:03", "02:00:00:00:01:01", "02:00:00:00:01:02", "02:00:00:00:01:04"];
        assert_eq!(sources(index("p0")), expected.map(String::from).into());
        let (br0, g0) = (index("br0"), index("g0"));
        let stations = Netlink::open().unwrap().bridge_stations(br0).unwrap();
        let place = StationPlace::Behind { port: g0, vlan: None };
        assert!(stations.contains(&Station { mac: "02:00:00:00:01:01".parse().unwrap(), place }), "{stations:?}");
        ip("link set p0 down");
        assert_eq!(sources(index("p0")), BTreeSet::new(), "nothing leaves through an interface that is down");
    });
}

#[test]
fn macvlans_of_other_namespaces_are_carried() {
    in_namespace(|| {
        ip("link add p0 address 02:00:00:00:00:01 type veth peer name q0
            link set p0 up
            link add mv0 link p0 address 02:00:00:00:00:02 type macvlan
            link set mv0 up");
        let expected = ["02:00:00:00:00:01", "02:00:00:00:00:02"];
        assert_eq!(sources(index("p0")), expected.map(String::from).into());
        // As if it were elsewhere: only the address that the interface must receive is left of it.
        let received = Netlink::open().unwrap().unicast_addresses(index("p0")).unwrap();
        assert_eq!(received, [Station { mac: "02:00:00:00:00:02".parse().unwrap(), place: StationPlace::Here }]);
    });
}

/// The EtherType of learning frames: reverse ARP.
const RARP: [u8; 2] = 0x8035_u16.to_be_bytes();

#[test]
fn a_full_forwarding_database_is_read_up_to_the_limit() {
    in_namespace(|| {
        ip("link add p0 type veth peer name q0
            link add g0 type veth peer name h0
            link add br0 type bridge
            link set p0 master br0
            link set g0 master br0
            link set p0 up
            link set q0 up
            link set g0 up
            link set h0 up
            link set br0 up");
        wait_for_bridge(["p0", "g0"]);
        let add = |number: usize| {
            format!("fdb add 02:01:00:00:{:02x}:{:02x} dev g0 master static\n", number >> 8, number & 0xff)
        };
        feed("bridge -batch -", &(0..LIMIT + 100).map(add).collect::<String>());
        let frames = announce::downstream(&mut Netlink::open().unwrap(), index("p0"), ADDRESSES).unwrap();
        // The bridge's own address is announced, too, as soon as nobody else was found to have it.
        assert_eq!(frames.iter().filter(|frame| frame[12..14] == RARP).count(), LIMIT);
    });
}

#[test]
fn an_interface_that_is_gone_carries_nothing() {
    in_namespace(|| {
        assert_eq!(sources(IfIndex(9999)), BTreeSet::new());
        assert!(Netlink::open().unwrap().bridge_stations(IfIndex(9999)).unwrap().is_empty());
    });
}

#[test]
fn groups_of_the_host_and_behind_its_bridge_are_reported() {
    in_namespace(|| {
        ip("link add p0 type veth peer name q0
            link add g0 type veth peer name h0
            link add br0 type bridge mcast_snooping 1
            link set p0 master br0
            link set g0 master br0
            link set p0 up
            link set q0 up
            link set g0 up
            link set h0 up
            link set br0 up
            address add 192.0.2.1/24 dev br0");
        wait_for_bridge(["p0", "g0"]);
        feed(
            "bridge -batch -",
            "mdb add dev br0 port g0 grp 239.1.2.3 permanent\nmdb add dev br0 port p0 grp 239.9.9.9 permanent\n\
             mdb add dev br0 port g0 grp ff15::9 permanent\n",
        );
        let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
        socket.join_multicast_v4(&Ipv4Addr::new(239, 5, 5, 5), &Ipv4Addr::new(192, 0, 2, 1)).unwrap();
        let frames = announce::downstream(&mut Netlink::open().unwrap(), index("p0"), GROUPS).unwrap();
        let named =
            |group: &[u8]| frames.iter().filter(|frame| frame.windows(group.len()).any(|part| part == group)).count();
        assert_eq!(named(&[239, 1, 2, 3]), 1, "a guest's");
        assert_eq!(named(&"ff15::9".parse::<Ipv6Addr>().unwrap().octets()), 1, "a guest's");
        assert_eq!(named(&[239, 5, 5, 5]), 1, "the host's own");
        assert_eq!(named(&[239, 9, 9, 9]), 0, "what is received behind the port itself");
    });
}
