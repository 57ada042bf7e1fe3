//! The aggregate's interface and its ports in the hands of others.
#![allow(clippy::unwrap_used, reason = "tests end at the first surprise")]

use std::time::Duration;

use aggctl_tests::{
    Case, HostState, Lab, cases,
    lab::{CLIENT_V4, CLIENT_V6, HOST_V6},
    matrix::SOON,
    wait_for,
};

/// The rhythm of the pings.
const RHYTHM: Duration = Duration::from_millis(10);

cases!(ports_are_promiscuous_while_the_aggregate_is: VETH_TCX, TAP_CLSACT, DIRECT_VETH_TCX);
fn ports_are_promiscuous_while_the_aggregate_is(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach("");
    let promiscuous = |on: bool| {
        let is = |port: &str| lab.host.link(port)["promiscuity"].as_u64().unwrap() > 0;
        wait_for("ports that follow", SOON, || is("eth0") == on && is("eth1") == on);
    };
    promiscuous(false);
    lab.host.ip("link add mv0 link agg0 type macvlan mode bridge");
    lab.host.ip("link set mv0 up");
    promiscuous(true);
    lab.host.ip("link del mv0");
    promiscuous(false);
    lab.host.ip("link set agg0 promisc on");
    promiscuous(true);
    lab.host.ip("link set agg0 promisc off");
    promiscuous(false);
    lab.host.ip("link add br0 type bridge");
    lab.host.ip("link set agg0 master br0");
    promiscuous(true);
    lab.host.ip("link del br0");
    promiscuous(false);
}

cases!(ports_receive_all_groups: VETH_TCX, TAP_CLSACT);
fn ports_receive_all_groups(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach("");
    for port in ["eth0", "eth1"] {
        assert!(lab.host.link(port)["allmulti"].as_u64().unwrap() > 0, "{port}");
        assert_eq!(lab.host.sysctl(&format!("net/ipv6/conf/{port}/disable_ipv6")), "1");
    }
    lab.host.aggctl("set agg0 allmulti=off").ok();
    wait_for("all-multicast off", SOON, || lab.host.link("eth1")["allmulti"] == 0);
}

cases!(deleting_the_device_is_a_detach: VETH_TCX, VETH_CLSACT, TAP_TCX, DIRECT_VETH_TCX, DIRECT_VETH_CLSACT);
fn deleting_the_device_is_a_detach(case: Case) {
    let lab = Lab::two_ports(case);
    let before = HostState::of(&lab.host);
    let ping = lab.ping(RHYTHM);
    lab.attach("");
    let controller = lab.host.wait_for_controller("agg0");
    lab.host.ip("link del agg0");
    ping.wait_for_answer(SOON);
    controller.expect_gone();
    before.expect_again(&lab.host, "ip link del agg0");
}

cases!(a_rename_of_the_aggregate_is_followed: VETH_TCX, TAP_CLSACT, DIRECT_VETH_TCX, DIRECT_TAP_CLSACT);
fn a_rename_of_the_aggregate_is_followed(case: Case) {
    let lab = Lab::two_ports(case);
    let before = HostState::of(&lab.host);
    let ping = lab.ping(RHYTHM);
    lab.attach("");
    // Since Linux 6.3 an interface may be renamed while it is up.
    if !lab.host.try_ip("link set agg0 name trunk0").succeeded() {
        lab.host.ip("link set agg0 down");
        lab.host.ip("link set agg0 name trunk0");
        lab.host.ip("link set trunk0 up");
        // What the kernel takes from an interface that is down.
        lab.host.ip(&format!("addr add {HOST_V6}/64 dev trunk0"));
        lab.host.ip(&format!("route add default via {CLIENT_V4} dev trunk0"));
        lab.host.ip(&format!("route add default via {CLIENT_V6} dev trunk0"));
    }
    wait_for("the new name", SOON, || lab.host.aggctl("show trunk0 --json").succeeded());
    let controller = lab.host.wait_for_controller("trunk0");
    lab.cut("eth0");
    ping.wait_for_answer(SOON);
    lab.host.wait_for_show("trunk0", "eth1 took over", |show| show.active() == Some("eth1"));
    lab.restore("eth0");
    lab.host.wait_for_show("trunk0", "eth0 waits", |show| show.state("eth0") == "standby");
    lab.host.aggctl("detach trunk0").ok();
    controller.expect_gone();
    before.expect_again(&lab.host, "a rename and detach");
}

cases!(a_rename_of_a_port_is_followed: VETH_TCX, TAP_CLSACT);
fn a_rename_of_a_port_is_followed(case: Case) {
    let lab = Lab::two_ports(case);
    let ping = lab.ping(RHYTHM);
    lab.attach("--primary eth1");
    // The active port, then one that waits; as udev renames, which takes an interface down for it.
    for (former, name, other) in [("eth1", "lan1", "eth0"), ("eth0", "lan0", "lan1")] {
        lab.host.wait_for_show("agg0", "the primary", |show| matches!(show.active(), Some("eth1" | "lan1")));
        lab.host.ip(&format!("link set {former} down"));
        ping.wait_for_answer(SOON);
        lab.host.wait_for_show("agg0", "the other port", |show| {
            show.state(former) == "disabled" && show.active() == Some(other)
        });
        lab.host.ip(&format!("link set {former} name {name}"));
        lab.host.ip(&format!("link set {name} up"));
        lab.host.wait_for_show("agg0", "the new name", |show| {
            show.0["ports"].as_array().unwrap().iter().any(|port| port["name"] == name && port["usable"] == true)
        });
    }
    lab.host.wait_for_show("agg0", "the primary under its new name", |show| show.active() == Some("lan1"));
    ping.wait_for_answer(SOON);
    lab.cut("eth1");
    ping.wait_for_answer(SOON);
    let show = lab.host.wait_for_show("agg0", "failover", |show| show.active() == Some("lan0"));
    assert_eq!(show.0["ports"].as_array().unwrap().len(), 2);
    lab.restore("eth1");
    lab.host.wait_for_show("agg0", "the primary again", |show| show.active() == Some("lan1"));
    lab.host.aggctl("detach agg0").ok();
    ping.wait_for_answer(SOON);
    for name in ["lan0", "lan1"] {
        assert_eq!(lab.host.link(name)["promiscuity"], 0, "{name}");
        assert_eq!(lab.host.sysctl(&format!("net/ipv6/conf/{name}/disable_ipv6")), "0", "{name}");
    }
    assert!(lab.host.ip("addr show dev lan0").contains(HOST_V6), "addresses go back to the port under its new name");
}

cases!(mac_and_mtu_of_the_aggregate_go_to_the_ports: VETH_TCX, TAP_CLSACT, DIRECT_VETH_TCX);
fn mac_and_mtu_of_the_aggregate_go_to_the_ports(case: Case) {
    let lab = Lab::two_ports(case);
    let before = HostState::of(&lab.host);
    let ping = lab.ping(RHYTHM);
    lab.attach("");
    lab.host.ip("link set agg0 mtu 1400");
    let mtu = |mtu: u64| ["eth0", "eth1"].iter().all(|port| lab.host.link(port)["mtu"].as_u64() == Some(mtu));
    wait_for("the MTU on the ports", SOON, || mtu(1400));
    let mac = "02:00:00:00:12:34";
    lab.host.ip(&format!("link set agg0 address {mac}"));
    wait_for("the MAC on the ports", SOON, || {
        ["agg0", "eth0", "eth1"].iter().all(|name| lab.host.link(name)["address"] == mac)
    });
    wait_for("the MAC in the state view", SOON, || lab.host.show("agg0").0["mac"] == mac);
    ping.wait_for_answer(SOON);
    lab.cut("eth0");
    ping.wait_for_answer(SOON);
    lab.restore("eth0");
    lab.host.wait_for_show("agg0", "eth0 waits", |show| show.port("eth0")["usable"] == true);
    lab.host.aggctl("detach agg0").ok();
    before.expect_again(&lab.host, "changes of MAC and MTU and detach");
}

cases!(a_port_taken_down_by_its_owner_is_disabled: VETH_TCX, TAP_CLSACT);
fn a_port_taken_down_by_its_owner_is_disabled(case: Case) {
    let lab = Lab::two_ports(case);
    let ping = lab.ping(RHYTHM);
    lab.attach("");
    lab.host.ip("link set eth0 down");
    ping.wait_for_answer(SOON);
    let show = lab.host.wait_for_show("agg0", "eth0 is disabled", |show| show.state("eth0") == "disabled");
    assert_eq!(show.active(), Some("eth1"));
    assert_eq!(show.port("eth0")["usable"], false);
    lab.host.ip("link set eth0 up");
    lab.host.wait_for_show("agg0", "eth0 waits", |show| show.state("eth0") == "standby");
}

cases!(a_port_that_is_deleted_is_a_port_down: VETH_TCX, DIRECT_VETH_TCX);
fn a_port_that_is_deleted_is_a_port_down(case: Case) {
    let lab = Lab::two_ports(case);
    let ping = lab.ping(RHYTHM);
    lab.attach("");
    lab.host.ip("link del eth0");
    ping.wait_for_answer(SOON);
    let show = lab.host.wait_for_show("agg0", "eth1 took over", |show| show.active() == Some("eth1"));
    assert_eq!(show.state("eth0"), "down");
    lab.host.aggctl("detach agg0 --force").ok();
    assert!(lab.host.ip("link show").contains("eth1"));
    ping.wait_for_answer(SOON);
    assert!(lab.host.state_paths().is_empty());
}
