//! attach happens as a whole or not at all.
//!
//! `AGGCTL_FAULT=STEP:fail` makes the journal's step STEP (from 0) fail before it is carried out; `STEP:kill` kills the
//! process that carries it out right after it took effect.
#![allow(clippy::unwrap_used, reason = "tests end at the first surprise")]

use std::time::Duration;

use aggctl_tests::{
    Case, HostState, Lab, cases, holds_for,
    matrix::SOON,
    processes::kill,
    wait::{lossy, patience, patient},
    wait_for,
};

/// The rhythm of the pings.
const RHYTHM: Duration = Duration::from_millis(10);
/// How many pings an attach that is undone may lose, on a machine that is busy with other tests.
const LOST: u64 = 100;
/// More steps than any plan for two ports has.
const STEPS: usize = 400;
/// Fewer steps than any plan for two ports has: the fault hook must have been met.
const LEAST_STEPS: usize = 10;

cases!(a_failure_at_any_step_undoes_all: VETH_TCX, TAP_CLSACT, DIRECT_VETH_TCX);
fn a_failure_at_any_step_undoes_all(case: Case) {
    every_step(case, "fail");
}

cases!(death_at_any_step_undoes_all: VETH_CLSACT, TAP_TCX, DIRECT_VETH_CLSACT);
fn death_at_any_step_undoes_all(case: Case) {
    every_step(case, "kill");
}

/// Attaches with a fault at the first step, the second, …, until the fault lies behind the last one. Where patience is
/// asked for, only some of the steps stand for all: the plan is the same on every kernel.
fn every_step(case: Case, fault: &str) {
    let lab = Lab::two_ports(case);
    lab.host.ip("addr add 10.4.0.2/24 dev eth1");
    lab.host.ip("route add 192.0.2.0/24 via 10.0.0.1 dev eth0 src 10.0.0.2");
    let before = HostState::of(&lab.host);
    let ping = lab.ping(RHYTHM);
    for step in (0..STEPS).step_by(patience() as usize) {
        let what = format!("attach with AGGCTL_FAULT={step}:{fault}");
        let (succeeded, stats) = ping.during(|| {
            let line = lab.attach_line("");
            let outcome = lab.host.aggctl_with(&[("AGGCTL_FAULT", &format!("{step}:{fault}"))], &line);
            if !outcome.succeeded() {
                if fault == "fail" {
                    assert_eq!(outcome.code, Some(1), "{what}: {outcome}");
                    assert_eq!(outcome.complaints().len(), 1, "{what}: {outcome}");
                    before.expect_unchanged(&lab.host, &what);
                } else {
                    before.expect_again(&lab.host, &what);
                }
                wait_for("nobody left", SOON, || lab.host.processes().is_empty());
            }
            outcome.succeeded()
        });
        ping.wait_for_answer(SOON);
        assert!(stats.lost <= lossy(LOST), "{what}: {stats:?}");
        if succeeded {
            assert!(step >= LEAST_STEPS, "attach succeeded in spite of a fault at step {step}");
            lab.host.wait_for_controller("agg0");
            lab.host.aggctl("detach agg0").ok();
            before.expect_again(&lab.host, "detach");
            return;
        }
    }
    panic!("attach has more than {STEPS} steps");
}

/// The option that has an attach undone unless it is confirmed within so many seconds (of a real machine).
fn confirm(seconds: u32) -> String {
    format!("--confirm {}", seconds * patience())
}

cases!(an_attach_that_nobody_confirms_is_undone: VETH_TCX, TAP_CLSACT, DIRECT_VETH_TCX);
fn an_attach_that_nobody_confirms_is_undone(case: Case) {
    let lab = Lab::two_ports(case);
    let before = HostState::of(&lab.host);
    let ping = lab.ping(RHYTHM);
    lab.attach(&confirm(2));
    let controller = lab.host.wait_for_controller("agg0");
    let ((), stats) = ping.during(|| {
        wait_for("the attach undone", SOON, || !lab.host.ip("link show").contains("agg0"));
        controller.expect_gone();
    });
    assert!(stats.lost <= lossy(1), "{stats:?}");
    before.expect_again(&lab.host, "an attach that nobody confirmed");
}

cases!(a_crash_does_not_confirm: VETH_TCX);
fn a_crash_does_not_confirm(case: Case) {
    let lab = Lab::two_ports(case);
    let before = HostState::of(&lab.host);
    lab.attach(&confirm(3));
    kill(lab.host.wait_for_controller("agg0").pid);
    wait_for("the attach undone", SOON, || !lab.host.ip("link show").contains("agg0"));
    before.expect_again(&lab.host, "an attach that nobody confirmed");
}

cases!(an_attach_that_is_confirmed_stays: VETH_TCX);
fn an_attach_that_is_confirmed_stays(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach(&confirm(2));
    lab.host.aggctl("confirm agg0").ok();
    holds_for("agg0 is there", patient(Duration::from_secs(4)), || lab.host.ip("link show").contains("agg0"));
    lab.host.aggctl("confirm agg0").ok();
}

cases!(an_aggregate_without_any_link_is_no_failure: VETH_TCX, TAP_TCX, DIRECT_VETH_TCX);
fn an_aggregate_without_any_link_is_no_failure(case: Case) {
    let lab = Lab::bare(case);
    for port in ["eth0", "eth1"] {
        lab.cut(port);
        wait_for("no carrier", SOON, || !lab.host.has_carrier(port));
    }
    let before = HostState::of(&lab.host);
    lab.attach("");
    assert!(!lab.host.show("agg0").carrier());
    lab.restore("eth1");
    lab.host.wait_for_show("agg0", "eth1 carries", |show| show.active() == Some("eth1") && show.carrier());
    lab.cut("eth1");
    lab.host.wait_for_show("agg0", "no carrier", |show| !show.carrier());
    lab.host.aggctl("detach agg0").ok();
    before.expect_again(&lab.host, "detach");
}
