//! MTUs that not every port takes: all ports and the aggregate have the same, or nothing changes.
#![allow(clippy::unwrap_used, reason = "tests end at the first surprise")]

use std::fs;

use aggctl_tests::{Case, HostState, Lab, cases, matrix::SOON, processes::kill, wait_for};

/// More than a tap takes (65521, IFLA_MAX_MTU), and not more than a veth or netkit device takes.
const TOO_LARGE: u64 = 65_530;

cases!(an_mtu_that_a_port_does_not_take_is_taken_by_none: TAP_TCX, DIRECT_TAP_CLSACT);
fn an_mtu_that_a_port_does_not_take_is_taken_by_none(case: Case) {
    let lab = Lab::two_ports(case);
    let before = HostState::of(&lab.host);
    lab.attach("");
    expect_taken_back(&lab, "eth0", TOO_LARGE, &["68 to 65521"]);
    // While nobody watches.
    let controller = lab.host.wait_for_controller("agg0");
    kill(controller.guardian);
    kill(controller.pid);
    controller.expect_gone();
    lab.host.ip(&format!("link set agg0 mtu {TOO_LARGE}"));
    lab.host.aggctl("adopt agg0").ok();
    expect_mtu(&lab, &["agg0", "eth0", "eth1"], 1500);
    // What all take is taken by all.
    lab.host.ip("link set agg0 mtu 9000");
    expect_mtu(&lab, &["agg0", "eth0", "eth1"], 9000);
    lab.host.aggctl("detach agg0").ok();
    before.expect_again(&lab.host, "MTUs that were refused");
}

cases!(an_mtu_that_a_driver_refuses_without_a_word_before_is_taken_back: VETH_TCX, DIRECT_VETH_CLSACT);
fn an_mtu_that_a_driver_refuses_without_a_word_before_is_taken_back(case: Case) {
    let lab = with_limited_port(case);
    lab.attach("--port eth9");
    expect_taken_back(&lab, "eth9", 2000, &["set MTU", "Invalid argument"]);
    expect_mtu(&lab, &["eth9"], 1500);
    let controller = lab.host.wait_for_controller("agg0");
    kill(controller.guardian);
    kill(controller.pid);
    controller.expect_gone();
    lab.host.ip("link set agg0 mtu 2000");
    lab.host.aggctl("adopt agg0").ok();
    expect_mtu(&lab, &["agg0", "eth0", "eth1", "eth9"], 1500);
}

cases!(a_port_that_does_not_take_the_mtu_is_not_attached: VETH_TCX, DIRECT_VETH_TCX);
fn a_port_that_does_not_take_the_mtu_is_not_attached(case: Case) {
    let lab = with_limited_port(case);
    lab.host.ip("tuntap add dev tap9 mode tap");
    for port in ["eth0", "eth1"] {
        lab.host.ip(&format!("link set {port} mtu {TOO_LARGE}"));
    }
    let before = HostState::of(&lab.host);
    let expect_refused = |outcome: aggctl_tests::Outcome, parts: &[&str]| {
        assert_eq!(outcome.code, Some(1), "{outcome}");
        let [line] = outcome.complaints()[..] else { panic!("{outcome}") };
        assert!(parts.iter().all(|part| line.contains(part)), "{line}");
    };
    let said = &["tap9", "68 to 65521", "eth0", "mtu 65521"];
    expect_refused(lab.try_attach("--port tap9"), said);
    before.expect_unchanged(&lab.host, "an attach that was refused");
    // Of this one nothing is known before it is tried: all is undone.
    expect_refused(lab.try_attach("--port eth9"), &["eth9", "set MTU"]);
    before.expect_again(&lab.host, "an attach that was undone");

    lab.attach("");
    lab.host.wait_for_show("agg0", "both ports usable", |show| show.port("eth1")["usable"] == true);
    let before = HostState::of(&lab.host);
    expect_refused(lab.host.aggctl("port add agg0 tap9"), &["tap9", "68 to 65521", "agg0", "mtu 65521"]);
    expect_refused(lab.host.aggctl("port add agg0 eth9"), &["eth9", "set MTU"]);
    before.expect_again(&lab.host, "ports that were refused");
    expect_mtu(&lab, &["agg0", "eth0", "eth1"], TOO_LARGE);
}

/// The host has another interface, `eth9`, that takes no larger MTU than the one below it has, and does not say so.
fn with_limited_port(case: Case) -> Lab {
    let lab = Lab::two_ports(case);
    lab.host.ip("link add below type veth peer name end");
    lab.host.ip("link add eth9 link below type macvlan mode private");
    lab
}

/// Gives the aggregate, which has 1500 as its ports have, an MTU that `port` does not take.
#[track_caller]
fn expect_taken_back(lab: &Lab, port: &str, mtu: u64, why: &[&str]) {
    let files = tempfile::tempdir().unwrap();
    let events = files.path().join("events");
    let _monitor = lab.host.aggctl_in_background("monitor agg0 --json", &events);
    // Again until the monitor listens.
    wait_for("what is told", SOON, || {
        lab.host.ip(&format!("link set agg0 mtu {mtu}"));
        expect_mtu(lab, &["agg0", "eth0", "eth1"], 1500);
        let told = fs::read_to_string(&events).unwrap();
        let line = told.lines().find(|line| line.contains("mtu_refused"));
        line.is_some_and(|line| [port, &mtu.to_string()].iter().chain(why).all(|part| line.contains(part)))
    });
}

/// Waits until these interfaces have this MTU.
#[track_caller]
fn expect_mtu(lab: &Lab, names: &[&str], mtu: u64) {
    wait_for("the MTU of all", SOON, || names.iter().all(|name| lab.host.link(name)["mtu"] == mtu));
}
