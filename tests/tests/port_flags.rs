//! Promiscuous and all-multicast mode of ports, which their owner may want as well as the aggregate.
#![allow(clippy::unwrap_used, reason = "tests end at the first surprise")]

use aggctl_tests::{Case, HostState, Lab, cases, matrix::SOON, processes::kill, wait_for};

cases!(what_the_owner_had_set_survives_the_aggregate: VETH_TCX, TAP_CLSACT, DIRECT_VETH_TCX);
fn what_the_owner_had_set_survives_the_aggregate(case: Case) {
    let lab = Lab::two_ports(case);
    lab.host.ip("link set eth1 promisc on allmulticast on");
    let before = HostState::of(&lab.host);
    lab.attach("");
    assert!(has(&lab, "eth1", "PROMISC"), "while it is a port");
    be_promiscuous_for_a_while(&lab, "eth0");
    assert!(has(&lab, "eth1", "PROMISC"), "after the aggregate needed it, too");
    lab.host.aggctl("detach agg0").ok();
    before.expect_again(&lab.host, "attach and detach");
    assert!(has(&lab, "eth1", "PROMISC") && has(&lab, "eth1", "ALLMULTI"));
    assert!(!has(&lab, "eth0", "PROMISC") && !has(&lab, "eth0", "ALLMULTI"));
}

cases!(what_the_owner_sets_on_a_port_survives_the_aggregate: VETH_TCX, TAP_CLSACT, DIRECT_VETH_TCX);
fn what_the_owner_sets_on_a_port_survives_the_aggregate(case: Case) {
    let lab = Lab::two_ports(case).with_port("eth2");
    lab.host.ip("link set eth1 allmulticast on");
    lab.attach("--port eth2");
    lab.host.ip("link set eth0 promisc on");
    lab.host.ip("link set eth2 promisc on");
    be_promiscuous_for_a_while(&lab, "eth1");
    assert!(has(&lab, "eth0", "PROMISC") && has(&lab, "eth2", "PROMISC"));
    // What the aggregate needs is put back, but it is the owner's no more.
    lab.host.ip("link set eth1 allmulticast off");
    wait_for("what the aggregate needs", SOON, || has(&lab, "eth1", "ALLMULTI"));
    lab.host.aggctl("port remove agg0 eth2").ok();
    assert!(has(&lab, "eth2", "PROMISC") && !has(&lab, "eth2", "ALLMULTI"));
    lab.host.aggctl("detach agg0").ok();
    assert!(has(&lab, "eth0", "PROMISC") && !has(&lab, "eth0", "ALLMULTI"));
    assert!(!has(&lab, "eth1", "PROMISC") && !has(&lab, "eth1", "ALLMULTI"));
}

cases!(what_the_owner_sets_while_nobody_watches_survives_too: VETH_TCX, DIRECT_TAP_CLSACT);
fn what_the_owner_sets_while_nobody_watches_survives_too(case: Case) {
    let lab = Lab::two_ports(case);
    lab.host.ip("link set eth1 allmulticast on");
    lab.attach("");
    be_promiscuous_for_a_while(&lab, "eth0");
    // That it answers means that it has done with all that.
    let controller = lab.host.wait_for_controller("agg0");
    kill(controller.guardian);
    kill(controller.pid);
    controller.expect_gone();
    lab.host.ip("link set eth0 promisc on");
    lab.host.ip("link set eth1 allmulticast off");
    lab.host.aggctl("adopt agg0").ok();
    wait_for("what the aggregate needs", SOON, || has(&lab, "eth1", "ALLMULTI"));
    assert!(has(&lab, "eth0", "PROMISC"));
    lab.host.aggctl("detach agg0").ok();
    assert!(has(&lab, "eth0", "PROMISC") && !has(&lab, "eth1", "ALLMULTI"));
}

/// The aggregate is promiscuous, and its ports with it, until it is so no more, nor is `unwanted`, whose owner does not
/// want it.
#[track_caller]
fn be_promiscuous_for_a_while(lab: &Lab, unwanted: &str) {
    lab.host.ip("link set agg0 promisc on");
    wait_for("promiscuous ports", SOON, || ["eth0", "eth1"].iter().all(|port| has(lab, port, "PROMISC")));
    lab.host.ip("link set agg0 promisc off");
    wait_for("a port as it was", SOON, || !has(lab, unwanted, "PROMISC"));
}

/// Whether an interface has a flag that was set on purpose: what the kernel's own users want is counted elsewhere.
fn has(lab: &Lab, name: &str, flag: &str) -> bool {
    lab.host.link(name)["flags"].as_array().unwrap().iter().any(|set| set == flag)
}
