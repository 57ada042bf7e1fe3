//! Aggregates and network namespaces.
#![allow(clippy::unwrap_used, reason = "tests end at the first surprise")]

use std::time::Duration;

use aggctl_tests::{Case, HostState, Lab, cases, matrix::SOON, processes, wait_for};

/// The rhythm of the pings.
const RHYTHM: Duration = Duration::from_millis(5);

cases!(attach_kill_and_adopt_from_three_separate_commands: VETH_TCX, VETH_CLSACT, TAP_TCX, DIRECT_VETH_TCX);
fn attach_kill_and_adopt_from_three_separate_commands(case: Case) {
    let lab = Lab::two_ports(case);
    let before = HostState::of(&lab.host);
    let ping = lab.ping(RHYTHM);
    lab.attach("");
    let controller = lab.host.wait_for_controller("agg0");
    let (guardian, pid) = (controller.guardian.as_raw_pid(), controller.pid.as_raw_pid());
    lab.host.exec(&format!("kill -9 {guardian} {pid}")).ok();
    controller.expect_gone();
    let (_, stats) = ping.during(|| lab.host.aggctl("adopt agg0").ok());
    assert_eq!(stats.lost, 0, "{stats:?}");
    lab.cut("eth0");
    ping.wait_for_answer(SOON);
    lab.host.aggctl("detach agg0 --force").ok();
    lab.restore("eth0");
    before.expect_again(&lab.host, "detach");
}

cases!(the_same_names_in_two_namespaces_do_not_meet: VETH_TCX, VETH_CLSACT, DIRECT_VETH_TCX);
fn the_same_names_in_two_namespaces_do_not_meet(case: Case) {
    let labs = [Lab::two_ports(case), Lab::two_ports(case)];
    let before = HostState::of(&labs[0].host);
    let pings = labs.each_ref().map(|lab| lab.ping(RHYTHM));
    labs.iter().for_each(|lab| lab.attach(""));
    let controllers = labs.each_ref().map(|lab| lab.host.wait_for_controller("agg0"));
    assert_ne!(controllers[0].pid, controllers[1].pid);
    labs[0].cut("eth0");
    pings[0].wait_for_answer(SOON);
    labs[0].host.wait_for_show("agg0", "eth1 took over", |show| show.active() == Some("eth1"));
    assert_eq!(labs[1].host.show("agg0").active(), Some("eth0"));
    labs[0].restore("eth0");
    labs[0].host.wait_for_show("agg0", "eth0 waits", |show| show.state("eth0") == "standby");
    let (_, stats) = pings[1].during(|| labs[0].host.aggctl("detach agg0").ok());
    assert_eq!(stats.lost, 0, "{stats:?}");
    before.expect_again(&labs[0].host, "detach");
    assert_eq!(labs[1].host.wait_for_controller("agg0"), controllers[1]);
    labs[1].cut("eth0");
    pings[1].wait_for_answer(SOON);
}

cases!(two_aggregates_share_a_namespace: VETH_TCX, TAP_CLSACT);
fn two_aggregates_share_a_namespace(case: Case) {
    let lab = Lab::two_ports(case).with_port("eth2");
    let hook = case.hook.name();
    let before = HostState::of(&lab.host);
    lab.host.aggctl(&format!("attach agg0 --port eth0 --hook {hook}")).ok();
    lab.host.aggctl(&format!("attach agg1 --port eth1 --port eth2 --hook {hook}")).ok();
    let all: serde_json::Value = serde_json::from_str(&lab.host.aggctl("show --json").ok()).unwrap();
    let mut names: Vec<_> = all.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["agg0", "agg1"]);
    lab.host.aggctl("detach agg1").ok();
    assert!(lab.host.aggctl("show agg0").succeeded());
    assert!(!lab.host.aggctl("show agg1").succeeded());
    lab.host.aggctl("detach agg0").ok();
    before.expect_again(&lab.host, "detach of both");
    assert_eq!(lab.host.aggctl("show --json").ok().trim(), "[]");
}

cases!(a_deleted_namespace_leaves_nothing: VETH_TCX, VETH_CLSACT, DIRECT_VETH_TCX);
fn a_deleted_namespace_leaves_nothing(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach("");
    let controller = lab.host.wait_for_controller("agg0");
    assert!(!lab.host.state_paths().is_empty());
    lab.host.delete();
    wait_for("controller and guardian gone", SOON, || {
        !processes::alive(controller.pid) && !processes::alive(controller.guardian)
    });
    wait_for("no state", SOON, || lab.host.state_paths().is_empty());
}
