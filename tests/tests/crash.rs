//! Controllers and guardians that die, and those who come after them.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests end at the first surprise")]

use std::{process, time::Duration};

use aggctl_tests::{
    Case, HostState, Lab, cases,
    matrix::SOON,
    processes::{alive, kill, session, terminate},
    wait::{lossy, succeeds_once},
    wait_for,
};
use rustix::process::Pid;

/// The rhythm of the pings: nothing that lasts longer than this goes unseen.
const RHYTHM: Duration = Duration::from_millis(2);
/// How many pings judge that nothing is lost.
const PINGS: usize = 2000;

cases!(
    killing_the_controller_loses_nothing:
    VETH_TCX, VETH_CLSACT, TAP_TCX, TAP_CLSACT, DIRECT_VETH_TCX, DIRECT_VETH_CLSACT
);
fn killing_the_controller_loses_nothing(case: Case) {
    let lab = Lab::two_ports(case);
    let before = HostState::of(&lab.host);
    lab.attach("");
    let first = lab.host.wait_for_controller("agg0");
    let ping = lab.ping(RHYTHM);
    let ((), stats) = ping.during(|| {
        kill(first.pid);
        ping.run(PINGS);
    });
    assert_eq!(stats.lost, 0, "{stats:?}");
    let second = lab.host.wait_for_controller("agg0");
    assert_ne!(second.pid, first.pid);
    assert_eq!(second.guardian, first.guardian, "the guardian starts the next controller");
    lab.cut("eth0");
    ping.wait_for_answer(SOON);
    lab.host.wait_for_show("agg0", "the next controller does its work", |show| {
        show.active() == Some("eth1") && show.counter("eth0", "link_failures") == 1
    });
    kill(second.pid);
    let third = lab.host.wait_for_controller("agg0");
    let show = lab.host.show("agg0");
    assert_eq!(show.counter("eth0", "link_failures"), 1, "failures are remembered");
    lab.restore("eth0");
    lab.host.wait_for_show("agg0", "eth0 waits", |show| show.state("eth0") == "standby");
    lab.host.aggctl("detach agg0").ok();
    third.expect_gone();
    before.expect_again(&lab.host, "crashes and detach");
}

cases!(killing_the_guardian_loses_nothing: VETH_TCX, TAP_CLSACT);
fn killing_the_guardian_loses_nothing(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach("");
    let controller = lab.host.wait_for_controller("agg0");
    let ping = lab.ping(RHYTHM);
    let ((), stats) = ping.during(|| {
        kill(controller.guardian);
        ping.run(PINGS);
    });
    assert_eq!(stats.lost, 0, "{stats:?}");
    wait_for("a guardian that is gone", SOON, || !alive(controller.guardian));
    lab.host.wait_for_controller("agg0");
    lab.cut("eth0");
    ping.wait_for_answer(SOON);
    lab.host.aggctl("detach agg0 --force").ok();
    wait_for("nobody left", SOON, || lab.host.processes().is_empty());
}

cases!(
    killing_both_loses_nothing_and_adopt_recovers:
    VETH_TCX, VETH_CLSACT, VETH_TCX_VETH, VETH_CLSACT_NETKIT, TAP_TCX, TAP_CLSACT, DIRECT_VETH_TCX, DIRECT_TAP_CLSACT
);
fn killing_both_loses_nothing_and_adopt_recovers(case: Case) {
    let lab = Lab::two_ports(case);
    let before = HostState::of(&lab.host);
    lab.attach("");
    let ping = lab.ping(RHYTHM);
    let ((), stats) = ping.during(|| {
        kill_both(&lab);
        ping.run(PINGS);
    });
    assert_eq!(stats.lost, 0, "{stats:?}: {:#}", lab.host.show("agg0").0);
    let show = lab.host.show("agg0");
    assert_eq!(show.controller(), None);
    assert_eq!(show.active(), Some("eth0"));

    lab.cut("eth0");
    if lab.host.show("agg0").0["failover_path"] == "kernel" {
        // The programs see the link themselves, and take the next port.
        ping.wait_for_answer(SOON);
        assert_eq!(lab.host.show("agg0").controller(), None);
    } else {
        ping.expect_silence();
    }
    lab.host.aggctl("adopt agg0").ok();
    ping.wait_for_answer(SOON);
    lab.host.wait_for_controller("agg0");
    let show = lab.host.wait_for_show("agg0", "eth1 took over", |show| show.active() == Some("eth1"));
    assert_eq!(show.port("eth0")["link"], "down");

    lab.restore("eth0");
    lab.host.wait_for_show("agg0", "eth0 waits", |show| show.state("eth0") == "standby");
    kill_both(&lab);
    let ((), stats) = ping.during(|| {
        lab.host.aggctl("adopt agg0").ok();
        ping.run(100);
    });
    assert_eq!(stats.lost, 0, "{stats:?}");
    let controller = lab.host.wait_for_controller("agg0");
    lab.host.aggctl("detach agg0").ok();
    controller.expect_gone();
    before.expect_again(&lab.host, "two crashes, adopt and detach");
}

cases!(a_dataplane_without_controller_can_be_detached: VETH_TCX, TAP_CLSACT, DIRECT_VETH_TCX);
fn a_dataplane_without_controller_can_be_detached(case: Case) {
    succeeds_once(|| detach_without_controller(case));
}

fn detach_without_controller(case: Case) -> Result<(), String> {
    let lab = Lab::two_ports(case);
    let before = HostState::of(&lab.host);
    let ping = lab.ping(Duration::from_millis(10));
    lab.attach("");
    kill_both(&lab);
    let (_, stats) = ping.during(|| lab.host.aggctl("detach agg0").ok());
    before.expect_again(&lab.host, "a crash and detach");
    if stats.lost <= lossy(1) { Ok(()) } else { Err(format!("{stats:?}")) }
}

cases!(attach_over_an_orphan_adopts_it_if_it_is_the_same: VETH_TCX, DIRECT_VETH_TCX);
fn attach_over_an_orphan_adopts_it_if_it_is_the_same(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach("--reselect failure");
    let ping = lab.ping(RHYTHM);
    kill_both(&lab);
    let orphan = HostState::of(&lab.host);
    let refused = lab.try_attach("--reselect always");
    assert_eq!(refused.code, Some(1), "{refused}");
    assert_eq!(refused.complaints().len(), 1, "{refused}");
    orphan.expect_unchanged(&lab.host, "a refused attach");
    let ((), stats) = ping.during(|| {
        lab.attach("--reselect failure");
        ping.run(100);
    });
    assert_eq!(stats.lost, 0, "{stats:?}");
    lab.host.wait_for_controller("agg0");
}

cases!(what_was_broken_meanwhile_is_mended_by_adopt: VETH_CLSACT, DIRECT_VETH_CLSACT);
fn what_was_broken_meanwhile_is_mended_by_adopt(case: Case) {
    let lab = Lab::two_ports(case);
    let before = HostState::of(&lab.host);
    lab.attach("");
    let ping = lab.ping(RHYTHM);
    kill_both(&lab);
    // Where the sending program of a veth pair is attached: what the host sends goes to the peer, or leaves before the
    // device.
    let agg0 = lab.host.link("agg0");
    let place = agg0["link"].as_str().map_or_else(|| "agg0 egress".to_owned(), |peer| format!("{peer} ingress"));
    lab.host.tc(&format!("filter del dev {place}")).ok();
    ping.expect_silence();
    lab.host.aggctl("adopt agg0").ok();
    ping.wait_for_answer(SOON);
    lab.host.aggctl("detach agg0").ok();
    before.expect_again(&lab.host, "adopt and detach");
}

cases!(a_controller_that_is_asked_to_leave_leaves_the_dataplane: VETH_TCX, TAP_CLSACT);
fn a_controller_that_is_asked_to_leave_leaves_the_dataplane(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach("");
    let controller = lab.host.wait_for_controller("agg0");
    let ping = lab.ping(RHYTHM);
    let ((), stats) = ping.during(|| {
        terminate(controller.pid);
        controller.expect_gone();
        ping.run(500);
    });
    assert_eq!(stats.lost, 0, "{stats:?}");
    assert_eq!(lab.host.show("agg0").controller(), None);
    assert!(lab.host.processes().is_empty(), "the guardian starts no other");
    lab.host.aggctl("adopt agg0").ok();
    lab.host.wait_for_controller("agg0");
}

cases!(the_controller_is_detached_from_its_caller: VETH_TCX);
fn the_controller_is_detached_from_its_caller(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach("");
    let controller = lab.host.wait_for_controller("agg0");
    let own = session(Pid::from_raw(process::id().cast_signed()).unwrap());
    for pid in [controller.pid, controller.guardian] {
        assert_ne!(session(pid), own);
        let files = (0..=2).map(|fd| std::fs::read_link(format!("/proc/{}/fd/{fd}", pid.as_raw_pid())));
        for file in files.flatten() {
            assert!(!file.starts_with("/dev/pts"), "{}", file.display());
        }
    }
}

cases!(in_the_foreground_there_is_no_guardian: VETH_TCX);
fn in_the_foreground_there_is_no_guardian(case: Case) {
    let lab = Lab::two_ports(case);
    let before = HostState::of(&lab.host);
    let files = tempfile::tempdir().unwrap();
    let line = lab.attach_line("--foreground");
    let mut attach = lab.host.aggctl_in_background(&line, &files.path().join("output"));
    wait_for("the aggregate", SOON, || lab.host.aggctl("show agg0 --json").succeeded());
    let controller = lab.host.wait_for_controller("agg0");
    assert_eq!(controller.pid, attach.pid());
    assert_eq!(lab.host.processes(), [attach.pid()]);
    terminate(attach.pid());
    assert_eq!(attach.wait(), Some(0));
    assert_eq!(lab.host.show("agg0").controller(), None);
    let mut adopt = lab.host.aggctl_in_background("adopt agg0 --foreground", &files.path().join("output"));
    assert_eq!(lab.host.wait_for_controller("agg0").pid, adopt.pid());
    lab.host.aggctl("detach agg0").ok();
    assert_eq!(adopt.wait(), Some(0));
    before.expect_again(&lab.host, "detach");
}

/// kill -9 of the guardian and the controller; nobody starts another.
#[track_caller]
fn kill_both(lab: &Lab) {
    let controller = lab.host.wait_for_controller("agg0");
    kill(controller.guardian);
    kill(controller.pid);
    controller.expect_gone();
    wait_for("nobody left", SOON, || lab.host.processes().is_empty());
}
