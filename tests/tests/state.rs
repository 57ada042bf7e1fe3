//! What is kept in `/run/aggctl`: an aggregate that runs never depends on it, and what was lost of it concerns nobody
//! else.
#![allow(clippy::unwrap_used, reason = "tests end at the first surprise")]

use std::{fs, path::Path, time::Duration};

use aggctl_tests::{
    Case, HostState, Lab, PrivateRun, cases,
    matrix::SOON,
    processes::kill,
    wait::{lossy, patience},
    wait_for,
};
use serde_json::Value;

/// Pages of a private /run: enough for an aggregate.
const PAGES: u64 = 1024;
/// The most free pages with which an attach is tried; some of them are enough.
const FEW: u64 = 48;
/// The rhythm of the pings.
const RHYTHM: Duration = Duration::from_millis(10);

fn truncate(dir: &Path, names: &[&str]) {
    names.iter().for_each(|name| fs::write(dir.join(name), "").unwrap());
}

cases!(a_full_run_costs_no_failover: VETH_TCX, DIRECT_VETH_CLSACT);
fn a_full_run_costs_no_failover(case: Case) {
    let lab = Lab::two_ports(case).with_port("eth2");
    let run = PrivateRun::new(PAGES);
    let ask = |line: &str| run.aggctl(&lab.host, line);
    ask(&lab.attach_line("")).ok();
    let processes = lab.host.processes();
    let ping = lab.ping(RHYTHM);

    run.leave(0);
    lab.host.ip("addr add 10.9.0.1/24 dev agg0");
    wait_for("the record on disk is known to be behind", SOON, || {
        run.show(&lab.host, "agg0")["record_behind"]["why"].is_string()
    });
    assert!(ask("show agg0").ok().contains("record on disk: BEHIND since "));
    let set = ask("set agg0 reselect=failure");
    assert!(set.succeeded() && set.stderr.contains("warning: "), "{set}");
    let refused = ask("port add agg0 eth2");
    assert_eq!((refused.code, refused.complaints().len()), (Some(1), 1), "{refused}");
    assert_eq!(run.show(&lab.host, "agg0")["ports"].as_array().unwrap().len(), 2);
    lab.cut("eth0");
    ping.wait_for_answer(SOON);
    wait_for("eth1 took over", SOON, || run.show(&lab.host, "agg0")["active_port"] == "eth1");
    assert_eq!(run.show(&lab.host, "agg0")["reselect"], "failure");
    assert_eq!(lab.host.processes(), processes, "nobody left, nobody was started");
    lab.restore("eth0");
    wait_for("eth0 waits", SOON, || run.show(&lab.host, "agg0")["ports"][0]["state"] == "standby");

    lab.host.kill_all();
    lab.cut("eth1");
    if run.show(&lab.host, "agg0")["failover_path"] == "kernel" {
        // The programs see the link themselves, and take the next port.
        ping.wait_for_answer(SOON);
    } else {
        ping.expect_silence();
    }
    let adopted = ask("adopt agg0");
    assert!(adopted.succeeded() && adopted.stderr.contains("older than its copy in the kernel"), "{adopted}");
    ping.wait_for_answer(SOON);
    assert_eq!(run.show(&lab.host, "agg0")["reselect"], "failure", "what was set while the disk was full");

    run.make_room();
    wait_for("the record is written", SOON, || run.show(&lab.host, "agg0")["record_behind"].is_null());
    ask("set agg0 min-ports=2").ok();
    lab.host.kill_all();
    ask("adopt agg0").ok();
    assert_eq!(run.show(&lab.host, "agg0")["min_ports"], 2);
    ask("detach agg0 --force").ok();
    wait_for("nobody left", SOON, || lab.host.processes().is_empty());
    assert!(run.contents().is_empty(), "{:?}", run.contents());
}

cases!(with_little_room_an_attach_succeeds_or_changes_nothing: VETH_TCX, DIRECT_VETH_CLSACT);
fn with_little_room_an_attach_succeeds_or_changes_nothing(case: Case) {
    let lab = Lab::two_ports(case);
    let before = HostState::of(&lab.host);
    let run = PrivateRun::new(PAGES);
    let mut outcomes = [0; 2];
    for pages in (0..=FEW).step_by(patience() as usize) {
        run.leave(pages);
        attach_or_nothing(&lab, &run, &before, &format!("attach with {pages} free pages"), &mut outcomes);
    }
    assert!(outcomes.iter().all(|count| *count > 0), "failed and succeeded: {outcomes:?}");
    run.make_room();
    for inodes in 0..=16 {
        run.leave_inodes(inodes);
        attach_or_nothing(&lab, &run, &before, &format!("attach with {inodes} free inodes"), &mut outcomes);
    }
}

#[track_caller]
fn attach_or_nothing(lab: &Lab, run: &PrivateRun, before: &HostState, what: &str, outcomes: &mut [u32; 2]) {
    let outcome = run.aggctl(&lab.host, &lab.attach_line(""));
    outcomes[usize::from(outcome.succeeded())] += 1;
    if outcome.succeeded() {
        assert_eq!(run.show(&lab.host, "agg0")["controller"]["running"], true, "{what}");
        run.aggctl(&lab.host, "detach agg0").ok();
    } else {
        assert_eq!((outcome.code, outcome.complaints().len()), (Some(1), 1), "{what}: {outcome}");
        before.expect_unchanged(&lab.host, what);
    }
    wait_for("nobody left", SOON, || lab.host.processes().is_empty());
    before.expect_unchanged(&lab.host, what);
    assert!(run.contents().is_empty(), "{what}: {:?}", run.contents());
}

cases!(what_has_begun_is_undone_although_its_mark_is_lost: VETH_TCX, DIRECT_VETH_CLSACT);
fn what_has_begun_is_undone_although_its_mark_is_lost(case: Case) {
    let lab = Lab::two_ports(case);
    let before = HostState::of(&lab.host);
    lab.attach("");
    let record = fs::read(lab.host.state("agg0").join("record.json")).unwrap();
    let record: Value = serde_json::from_slice(&record).unwrap();
    let last = record["journal"].as_array().unwrap().len() - 1;
    lab.host.aggctl("detach agg0").ok();
    for (step, mark) in [(last / 3, ""), (last * 2 / 3, ""), (last * 2 / 3, "6x"), (last, "\0\0\0")] {
        let killed =
            lab.host.aggctl_with(&[("AGGCTL_FAULT", &format!("{step}:kill"))], &lab.attach_line("--foreground"));
        assert_eq!(killed.code, None, "{killed}");
        fs::write(lab.host.state("agg0").join("begun"), mark).unwrap();
        lab.host.aggctl("detach agg0").ok();
        before.expect_unchanged(&lab.host, &format!("a death after step {step} whose mark is {mark:?}"));
    }
}

cases!(a_record_that_somebody_spoils_is_written_again: VETH_TCX, DIRECT_VETH_TCX);
fn a_record_that_somebody_spoils_is_written_again(case: Case) {
    let lab = Lab::two_ports(case);
    let before = HostState::of(&lab.host);
    lab.attach("");
    let controller = lab.host.wait_for_controller("agg0");
    let dir = lab.host.state("agg0");
    for spoilt in [&["record.json"][..], &["record.json", "record.spare.json"]] {
        truncate(&dir, spoilt);
        assert_eq!(lab.host.show("agg0").active(), Some("eth0"), "the controller tells");
        lab.host.aggctl("set agg0 reselect=failure").ok();
        wait_for("both copies are there", SOON, || {
            let copies = ["record.json", "record.spare.json"].map(|name| fs::read(dir.join(name)).unwrap());
            !copies[0].is_empty() && copies[0] == copies[1]
        });
    }
    assert_eq!(lab.host.wait_for_controller("agg0"), controller);
    lab.host.aggctl("detach agg0").ok();
    before.expect_again(&lab.host, "detach");
}

cases!(the_second_copy_of_a_record_is_as_good: VETH_TCX, DIRECT_VETH_CLSACT);
fn the_second_copy_of_a_record_is_as_good(case: Case) {
    let lab = Lab::two_ports(case);
    let before = HostState::of(&lab.host);
    lab.attach("--reselect failure");
    let ping = lab.ping(RHYTHM);
    let dir = lab.host.state("agg0");
    let ((), stats) = ping.during(|| {
        lab.host.kill_all();
        truncate(&dir, &["record.json", "memory.json"]);
        let show = lab.host.show("agg0");
        assert!(show.0["record_damage"].is_string() && show.0["reselect"] == "failure", "{:#}", show.0);
        lab.host.aggctl("adopt agg0").ok();
        lab.host.wait_for_controller("agg0");
        assert!(lab.host.show("agg0").0["record_damage"].is_null());
    });
    assert_eq!(stats.lost, 0, "{stats:?}");
    lab.host.aggctl("detach agg0").ok();
    before.expect_again(&lab.host, "detach");
}

cases!(a_guardian_goes_on_although_the_record_is_lost: VETH_TCX);
fn a_guardian_goes_on_although_the_record_is_lost(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach("");
    let controller = lab.host.wait_for_controller("agg0");
    let dir = lab.host.state("agg0");
    truncate(&dir, &["record.json"]);
    kill(controller.pid);
    let next = lab.host.wait_for_controller("agg0");
    assert!(next.guardian == controller.guardian && next.pid != controller.pid);
    assert!(fs::metadata(dir.join("record.json")).unwrap().len() > 0);
}

cases!(what_could_not_be_undone_is_tried_again: VETH_TCX, DIRECT_VETH_CLSACT);
fn what_could_not_be_undone_is_tried_again(case: Case) {
    let lab = Lab::two_ports(case);
    let before = HostState::of(&lab.host);
    let run = PrivateRun::new(PAGES);
    let ping = lab.ping(RHYTHM);
    run.aggctl(&lab.host, &lab.attach_line("")).ok();
    run.enter("mount", &["--bind", "/proc/sys", "/proc/sys"]).ok();
    run.enter("mount", &["-o", "remount,ro,bind", "/proc/sys"]).ok();
    for line in ["detach agg0", "detach agg0 --force", "adopt agg0", &lab.attach_line("")] {
        let failed = run.aggctl(&lab.host, line);
        assert_eq!((failed.code, failed.complaints().len()), (Some(1), 1), "{failed}");
        assert!(failed.stderr.contains("eth0") && failed.stderr.contains("mend that"), "{failed}");
        assert!(run.state(&lab.host, "agg0").join("record.json").exists(), "the evidence stays: {failed}");
        wait_for("nobody left", SOON, || lab.host.processes().is_empty());
    }
    assert!(!before.difference(&HostState::of(&lab.host)).is_empty());
    run.enter("umount", &["/proc/sys"]).ok();
    run.aggctl(&lab.host, "detach agg0 --force").ok();
    before.expect_again(&lab.host, "an undo that was tried again");
    assert!(run.contents().is_empty(), "{:?}", run.contents());
    ping.wait_for_answer(SOON);
}

cases!(a_newer_record_is_left_alone: VETH_TCX, DIRECT_VETH_TCX);
fn a_newer_record_is_left_alone(case: Case) {
    let lab = Lab::two_ports(case);
    let before = HostState::of(&lab.host);
    lab.attach("");
    let ping = lab.ping(RHYTHM);
    let dir = lab.host.state("agg0");
    let ((), stats) = ping.during(|| {
        lab.host.kill_all();
        let attached = HostState::of(&lab.host);
        let ours = fs::read(dir.join("record.json")).unwrap();
        let mut newer: Value = serde_json::from_slice(&ours).unwrap();
        newer["version"] = 99.into();
        fs::write(dir.join("record.json"), newer.to_string()).unwrap();
        for line in ["adopt agg0", "set agg0 min-ports=2", "detach agg0", "detach agg0 --force", &lab.attach_line("")] {
            let refused = lab.host.aggctl(line);
            assert_eq!((refused.code, refused.complaints().len()), (Some(1), 1), "{refused}");
            assert!(refused.stderr.contains("newer version"), "{refused}");
        }
        attached.expect_unchanged(&lab.host, "commands on a newer record");
        assert_eq!(fs::read_to_string(dir.join("record.json")).unwrap(), newer.to_string());
        fs::write(dir.join("record.json"), ours).unwrap();
    });
    assert!(stats.lost <= lossy(0), "{stats:?}");
    lab.host.aggctl("adopt agg0").ok();
    lab.host.wait_for_controller("agg0");
    lab.host.aggctl("detach agg0").ok();
    before.expect_again(&lab.host, "detach");
}

cases!(an_aggregate_whose_record_is_lost_concerns_no_other: VETH_TCX, DIRECT_VETH_CLSACT);
fn an_aggregate_whose_record_is_lost_concerns_no_other(case: Case) {
    let lab = Lab::two_ports(case).with_port("eth2");
    lab.attach("");
    let dir = lab.host.state("agg0");
    lab.host.kill_all();
    truncate(&dir, &["record.json", "record.spare.json"]);
    fs::remove_file(lab.host.pins("agg0").join("record")).unwrap();

    let refused = lab.host.aggctl("attach agg1 --port eth1");
    assert!(refused.code == Some(1) && refused.stderr.contains("agg0"), "its ports are still its own: {refused}");
    lab.host.aggctl("attach agg1 --port eth2").ok();
    let all: Value = serde_json::from_str(&lab.host.aggctl("show --json").ok()).unwrap();
    let names: Vec<_> =
        all.as_array().unwrap().iter().map(|one| (one["name"].clone(), one["problem"].is_string())).collect();
    assert_eq!(names, [("agg0".into(), true), ("agg1".into(), false)]);
    for line in ["show agg0", "show"] {
        let text = lab.host.aggctl(line).ok();
        assert!(text.contains("agg0: NOT KNOWN, ports eth0, eth1") && text.contains("detach agg0 --force"), "{text}");
    }
    for line in ["adopt agg0", "detach agg0", "set agg0 min-ports=2"] {
        let refused = lab.host.aggctl(line);
        assert_eq!((refused.code, refused.complaints().len()), (Some(1), 1), "{refused}");
        assert!(refused.stderr.contains("detach agg0 --force"), "{refused}");
    }

    let taken_off = lab.host.aggctl("detach agg0 --force");
    assert!(taken_off.succeeded() && taken_off.stderr.contains("warning: its record was lost"), "{taken_off}");
    let links = lab.host.ip("link show");
    assert!(!links.contains("agg0"), "{links}");
    assert!(lab.host.ip("addr show dev eth0").contains("10.0.0.2/24"));
    assert!(!dir.exists());
    for port in ["eth0", "eth1"] {
        let filters = lab.host.tc(&format!("filter show dev {port} ingress")).ok();
        assert!(!filters.contains("aggctl"), "{filters}");
    }
    lab.ping(RHYTHM).wait_for_answer(SOON);
    lab.host.aggctl("detach agg1").ok();
}
