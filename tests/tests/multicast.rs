//! Multicast survives failover, failback and hand-over behind a switch that snoops: what is received is reported again
//! through the new port. (The switch's querier asks once in a quarter of an hour here.)
#![allow(clippy::unwrap_used, reason = "tests end at the first surprise")]

use std::net::{IpAddr, UdpSocket};

use aggctl_tests::{Case, Lab, Namespace, cases, guest::Guest, lab::HOST_V4, matrix::SOON, wait, wait_for};

/// What the host receives.
const GROUPS: [&str; 2] = ["239.1.1.1", "ff15::9"];
/// What a guest of the host receives.
const GUESTS_GROUPS: [&str; 2] = ["239.2.2.2", "ff15::a"];
/// Longer than it takes to report.
const QUIET: std::time::Duration = std::time::Duration::from_millis(600);

cases!(groups_follow_the_active_port: VETH_TCX, VETH_CLSACT, TAP_TCX, DIRECT_VETH_TCX);
fn groups_follow_the_active_port(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach("--reselect failure");
    snoop(&lab.switch);
    let _sockets = GROUPS.map(|group| join(&lab.host, "agg0", HOST_V4, group));
    expect_behind(&lab, "sw0", &GROUPS);
    assert!(!is_behind(&lab, "sw1", GROUPS[0]), "a port that is standby reports nothing");

    lab.cut("eth0");
    expect_behind(&lab, "sw1", &GROUPS);
    // A bridge is told of a link that comes back within a second only then, and may never know that it was lost.
    let forgot = || GROUPS.iter().all(|group| !is_behind(&lab, "sw0", group));
    wait_for("the switch forgets what was behind a link that it lost", SOON, forgot);
    lab.restore("eth0");
    lab.host.wait_for_show("agg0", "eth0 waits", |show| show.state("eth0") == "standby");
    assert!(!is_behind(&lab, "sw0", GROUPS[0]), "a port that is standby reports nothing");
    lab.host.aggctl("set agg0 active-port=eth0").ok();
    expect_behind(&lab, "sw0", &GROUPS);
}

cases!(groups_of_guests_follow_the_active_port: VETH_TCX, DIRECT_VETH_TCX);
fn groups_of_guests_follow_the_active_port(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach("--reselect failure");
    snoop(&lab.switch);
    lab.host.ip("link add br1 type bridge mcast_snooping 1");
    lab.host.ip("link set br1 up");
    lab.host.ip("link set agg0 master br1");
    let guest = Guest::new(&lab.host, "g1");
    lab.host.ip("link set g1 master br1");
    guest.namespace.ip("addr add 10.0.0.11/24 dev eth0");
    wait_for("the guest on the network", SOON, || guest.namespace.exec("ping -c 1 -W 1 10.0.0.1").succeeded());
    let _sockets = GUESTS_GROUPS.map(|group| join(&guest.namespace, "eth0", "10.0.0.11", group));
    expect_behind(&lab, "sw0", &GUESTS_GROUPS);
    lab.host.aggctl("set agg0 active-port=eth1").ok();
    expect_behind(&lab, "sw1", &GUESTS_GROUPS);
}

cases!(groups_are_not_reported_where_that_is_off: VETH_TCX);
fn groups_are_not_reported_where_that_is_off(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach("--reselect failure --announce groups=0");
    snoop(&lab.switch);
    // The kernel says again by itself what it said when the socket joined: of version 2 it shows when it has.
    lab.host.set_sysctl("net/ipv4/conf/agg0/force_igmp_version", "2");
    lab.host.set_sysctl("net/ipv4/conf/agg0/igmpv2_unsolicited_report_interval", "100");
    let _socket = join(&lab.host, "agg0", HOST_V4, GROUPS[0]);
    expect_behind(&lab, "sw0", &GROUPS[..1]);
    wait_for("the last report of the kernel's own", SOON, || !will_report(&lab.host, "010101EF"));
    lab.host.aggctl("set agg0 active-port=eth1").ok();
    let seen = wait::quiet(QUIET, || is_behind(&lab, "sw1", GROUPS[0]).then_some(()));
    assert!(seen.is_none(), "the kernel does not report by itself, so the other tests show that we do");
    // The option of bonding.
    lab.host.aggctl("set agg0 active-port=eth0").ok();
    lab.host.aggctl("set agg0 resend_igmp=2").ok();
    lab.host.aggctl("set agg0 active-port=eth1").ok();
    expect_behind(&lab, "sw1", &GROUPS[..1]);
}

/// Has the bridge of the switch snoop, as its own querier.
fn snoop(switch: &Namespace) {
    switch.set_sysctl("net/ipv6/conf/br0/disable_ipv6", "0");
    switch.ip("addr add 10.0.0.254/24 dev br0");
    wait_for("a link-local address of the switch", SOON, || {
        let addresses = switch.ip("-6 addr show dev br0");
        addresses.contains("fe80::") && !addresses.contains("tentative")
    });
    // A querier is believed only after what it calls its longest response time.
    switch.ip("link set br0 type bridge mcast_query_response_interval 10 mcast_query_interval 90000");
    switch.ip("link set br0 type bridge mcast_snooping 1 mcast_querier 1");
}

/// Receives a group on an interface.
fn join(host: &Namespace, interface: &str, address: &str, group: &str) -> UdpSocket {
    let index = u32::try_from(host.link(interface)["ifindex"].as_u64().unwrap()).unwrap();
    host.enter(|| match group.parse().unwrap() {
        IpAddr::V4(group) => {
            let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
            socket.join_multicast_v4(&group, &address.parse().unwrap()).unwrap();
            socket
        }
        IpAddr::V6(group) => {
            let socket = UdpSocket::bind("[::]:0").unwrap();
            socket.join_multicast_v6(&group, index).unwrap();
            socket
        }
    })
}

/// Whether the kernel is going to report an IPv4 group, in the kernel's spelling, by itself.
fn will_report(host: &Namespace, group: &str) -> bool {
    let groups = host.exec("cat /proc/net/igmp").ok();
    let group = groups.lines().find(|line| line.split_whitespace().next() == Some(group));
    !group.unwrap().contains(" 0:")
}

/// Whether the switch knows that somebody behind this port receives a group.
fn is_behind(lab: &Lab, end: &str, group: &str) -> bool {
    let entry = format!("port {end} grp {group} ");
    lab.switch.exec("bridge mdb show dev br0").ok().lines().any(|line| line.contains(&entry))
}

#[track_caller]
fn expect_behind(lab: &Lab, end: &str, groups: &[&str]) {
    for group in groups {
        wait_for(&format!("{group} behind {end}"), SOON, || is_behind(lab, end, group));
    }
}
