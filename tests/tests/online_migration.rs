//! Field scenario S2: online migration, and back.
#![allow(clippy::unwrap_used, reason = "tests end at the first surprise")]

use std::time::Duration;

use aggctl_tests::{
    Case, HostState, Lab, Ping, TcpSession, cases, holds_for,
    lab::{CLIENT_V4, CLIENT_V6, HOST_V4, HOST_V6, REMOTE_V4, REMOTE_V6},
    matrix::SOON,
    wait::{lossy, succeeds_once},
};

/// The rhythm of the pings.
const RHYTHM: Duration = Duration::from_millis(10);

cases!(
    a_host_moves_to_an_aggregate_and_back:
    VETH_TCX, VETH_CLSACT, VETH_TCX_VETH, VETH_CLSACT_NETKIT, TAP_TCX, TAP_CLSACT, DIRECT_VETH_TCX, DIRECT_VETH_CLSACT,
    DIRECT_TAP_TCX
);
fn a_host_moves_to_an_aggregate_and_back(case: Case) {
    succeeds_once(|| move_there_and_back(case));
}

fn move_there_and_back(case: Case) -> Result<(), String> {
    let lab = Lab::two_ports_with_dad(case);
    let before = HostState::of(&lab.host);
    let pings = [
        lab.ping(RHYTHM),
        lab.ping6(RHYTHM),
        Ping::start(&lab.client, &lab.host, HOST_V4, Some(REMOTE_V4), RHYTHM),
        Ping::start(&lab.client, &lab.host, HOST_V6, Some(REMOTE_V6), RHYTHM),
    ];
    let session = TcpSession::start(&lab.host, &lab.client, HOST_V4, 4096, Duration::from_millis(2));
    let session6 = TcpSession::start(&lab.host, &lab.client, HOST_V6, 4096, Duration::from_millis(2));
    let sessions_live = || {
        session.expect_alive();
        session6.expect_alive();
    };

    undisturbed(&pings, "attach", || {
        lab.attach("");
        pings[0].run(30);
    })?;
    sessions_live();
    let addresses = lab.host.ip("addr show dev agg0");
    assert!(addresses.contains(HOST_V4) && addresses.contains(HOST_V6), "{addresses}");
    for port in ["eth0", "eth1"] {
        let left = lab.host.ip(&format!("addr show dev {port} scope global"));
        assert!(!left.contains("inet"), "{left}");
    }
    for family in ["-4", "-6"] {
        let route = lab.host.ip(&format!("{family} route show default"));
        assert!(route.contains("dev agg0"), "{route}");
    }
    assert_eq!(lab.host.show("agg0").active(), Some("eth0"));

    lab.cut("eth0");
    pings.iter().for_each(|ping| ping.wait_for_answer(SOON));
    sessions_live();
    lab.host.wait_for_show("agg0", "eth1 took over", |show| show.active() == Some("eth1"));

    undisturbed(&pings, "the return of eth0", || {
        lab.restore("eth0");
        lab.host.wait_for_show("agg0", "eth0 waits", |show| show.state("eth0") == "standby");
        let stays = || lab.host.show("agg0").active() == Some("eth1");
        holds_for("eth1 stays active", Duration::from_millis(300), stays);
    })?;

    undisturbed(&pings, "detach", || {
        lab.host.aggctl("detach agg0").ok();
        pings[0].run(30);
    })?;
    sessions_live();
    before.expect_again(&lab.host, "attach and detach");
    assert!(pings.iter().all(|ping| ping.total().doubled == 0));
    Ok(())
}

cases!(a_host_with_much_configuration_is_as_before: VETH_TCX, TAP_CLSACT, DIRECT_VETH_TCX);
fn a_host_with_much_configuration_is_as_before(case: Case) {
    succeeds_once(|| move_much_there_and_back(case));
}

fn move_much_there_and_back(case: Case) -> Result<(), String> {
    let lab = Lab::two_ports_with_dad(case).with_port("eth2");
    for line in [
        "addr add 10.8.0.2/24 dev eth2",
        "addr add fd08::2/64 dev eth2 nodad",
        "addr add 10.0.0.3/24 dev eth0 label eth0:web",
        "addr add 10.1.0.2/16 dev eth0 metric 300",
        "addr add 10.2.0.1 peer 10.2.0.2 dev eth0",
        "addr add 10.3.0.1/32 dev eth0 scope link",
        "addr add 10.4.0.2/24 dev eth1",
        "addr add 10.5.0.2/24 dev eth0 noprefixroute",
        "addr add fd00::3/64 dev eth0 nodad",
        "addr add fd04::2/64 dev eth1 nodad",
        "route add 192.0.2.0/24 via 10.0.0.1 dev eth0 src 10.0.0.3",
        "route add 192.0.3.0/24 via 10.0.0.1 dev eth0 metric 50 mtu 1400",
        "route add 192.0.4.0/24 dev eth0 table 77 scope link",
        "route add default via 10.0.0.1 dev eth0 table 77",
        "route add 192.0.5.0/24 nexthop via 10.0.0.1 dev eth0 weight 3 nexthop via 10.8.0.1 dev eth2 weight 1",
        "route add default via 10.4.0.1 dev eth1 metric 900",
        "-6 route add fd90::/64 via fd00::1 dev eth0 metric 77",
        "-6 route add fd91::/64 via fd00::1 dev eth0 table 77",
        "-6 route add fd92::/64 nexthop via fd00::1 dev eth0 nexthop via fd08::1 dev eth2",
        "rule add from 10.0.0.3 lookup 77 priority 500",
        "neigh add 10.0.0.50 lladdr 02:00:00:00:00:50 dev eth0 nud permanent",
        "neigh add fd00::50 lladdr 02:00:00:00:00:50 dev eth0 nud permanent",
        "neigh add proxy 10.0.0.60 dev eth0",
        "nexthop add id 10 via 10.0.0.1 dev eth0",
        "nexthop add id 11 via 10.4.0.1 dev eth1",
        "nexthop add id 12 via 10.8.0.1 dev eth2",
        "nexthop add id 20 group 10/12",
        "route add 192.0.6.0/24 nhid 10",
        "route add 192.0.7.0/24 nhid 20",
        "link set eth1 mtu 1450",
    ] {
        lab.host.ip(line);
    }
    lab.wait_for_dad();
    lab.host.set_sysctl("net/ipv4/conf/eth0/rp_filter", "1");
    lab.host.set_sysctl("net/ipv4/conf/all/rp_filter", "1");
    lab.host.set_sysctl("net/ipv4/conf/eth0/arp_ignore", "1");
    lab.host.set_sysctl("net/ipv6/conf/eth0/accept_ra", "0");
    let before = HostState::of(&lab.host);
    let pings = [lab.ping(RHYTHM), lab.ping6(RHYTHM), Ping::start(&lab.client, &lab.host, "10.0.0.3", None, RHYTHM)];

    undisturbed(&pings, "attach", || {
        lab.attach("");
        pings[0].run(20);
    })?;
    let routes = lab.host.ip("route show table all");
    let routes6 = lab.host.ip("-6 route show table all");
    for part in
        ["192.0.2.0/24 via 10.0.0.1 dev agg0 src 10.0.0.3", "192.0.4.0/24 dev agg0 table 77", "192.0.6.0/24 nhid 10"]
    {
        assert!(routes.contains(part), "{part} in\n{routes}");
    }
    assert!(routes6.contains("fd90::/64 via fd00::1 dev agg0 metric 77"), "{routes6}");
    for port in ["eth0", "eth1"] {
        assert!(!routes.contains(&format!("dev {port}")), "{routes}");
    }
    assert_eq!(lab.host.sysctl("net/ipv4/conf/agg0/arp_ignore"), "1");
    assert_eq!(lab.host.sysctl("net/ipv6/conf/agg0/accept_ra"), "0");
    assert!(lab.host.ip("neigh show dev agg0 nud permanent").contains("10.0.0.50"));
    assert!(lab.host.ip(&format!("route get {CLIENT_V4}")).contains("dev agg0"));
    assert!(lab.host.ip(&format!("-6 route get {CLIENT_V6}")).contains("dev agg0"));

    undisturbed(&pings, "detach", || {
        lab.host.aggctl("detach agg0").ok();
        pings[0].run(20);
    })?;
    before.expect_again(&lab.host, "attach and detach");
    Ok(())
}

cases!(what_changed_meanwhile_goes_to_the_ports: VETH_TCX, DIRECT_VETH_TCX);
fn what_changed_meanwhile_goes_to_the_ports(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach("");
    lab.host.ip("addr add 10.0.0.44/24 dev agg0");
    lab.host.ip("route add 192.0.2.0/24 via 10.0.0.1 dev agg0");
    lab.host.ip("-6 route del default");
    lab.host.ip(&format!("-6 addr del {HOST_V6}/64 dev agg0"));
    lab.host.aggctl("detach agg0").ok();
    let addresses = lab.host.ip("addr show dev eth0");
    assert!(addresses.contains("10.0.0.44/24") && addresses.contains(HOST_V4), "{addresses}");
    assert!(!addresses.contains(HOST_V6), "{addresses}");
    assert!(lab.host.ip("route show 192.0.2.0/24").contains("via 10.0.0.1 dev eth0"));
    assert!(!lab.host.ip("link show").contains("agg0"));
}

cases!(detach_to_a_port_without_link_wants_force: VETH_TCX, TAP_CLSACT);
fn detach_to_a_port_without_link_wants_force(case: Case) {
    let lab = Lab::two_ports(case);
    let before = HostState::of(&lab.host);
    let ping = lab.ping(RHYTHM);
    lab.attach("");
    lab.cut("eth0");
    ping.wait_for_answer(SOON);
    lab.host.wait_for_show("agg0", "eth1 took over", |show| show.active() == Some("eth1"));
    let refused = lab.host.aggctl("detach agg0");
    assert_eq!(refused.code, Some(1), "{refused}");
    assert_eq!(refused.complaints().len(), 1, "{refused}");
    assert!(refused.stderr.contains("--force"), "{refused}");
    ping.wait_for_answer(SOON);
    lab.host.aggctl("detach agg0 --force").ok();
    lab.restore("eth0");
    ping.wait_for_answer(SOON);
    before.expect_again(&lab.host, "detach --force");
}

/// Does `work`; no ping may be lost, but for one that a busy machine delays too long. (With clsact the kernel stops the
/// port's queue for a grace period, which takes long on such a machine: `qdisc_graft`, net/sched/sch_api.c.)
fn undisturbed(pings: &[Ping], what: &str, work: impl FnOnce()) -> Result<(), String> {
    let marks: Vec<_> = pings.iter().map(Ping::mark).collect();
    work();
    let stats: Vec<_> = pings.iter().zip(marks).map(|(ping, mark)| ping.since(mark)).collect();
    if stats.iter().all(|stats| stats.lost <= lossy(1)) { Ok(()) } else { Err(format!("{what}: {stats:#?}")) }
}
