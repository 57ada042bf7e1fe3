//! The unit of systemd: an aggregate is there and watched again whatever happens to its process, and ports may come
//! late.
#![allow(clippy::unwrap_used, reason = "tests end at the first surprise")]

use std::{fs, path::Path, process::Command, time::Duration};

use aggctl_tests::{
    Case, HostState, Lab,
    aggctl::binary,
    cases, command,
    matrix::SOON,
    processes::{kill, terminate},
    service::{self, Service},
    skip,
    systemd::Systemd,
};

/// The rhythm of the pings.
const RHYTHM: Duration = Duration::from_millis(2);
/// What checks unit files.
const VERIFIER: &str = "/usr/bin/systemd-analyze";

cases!(a_late_port_is_waited_for: VETH_TCX, DIRECT_VETH_CLSACT);
fn a_late_port_is_waited_for(case: Case) {
    let lab = Lab::two_ports(case);
    let before = HostState::of(&lab.host);
    let file = lab.config_file(&["eth0", "eth1", "eth2"]);
    let service = Service::start(&lab.host, "agg0", &file, &[]);
    service.wait_for("STATUS=waiting for eth2 to appear");
    // Others are none of its business.
    lab.host.ip("link add new0 type bridge");
    lab.host.ip("link del new0");
    assert!(!service.told().iter().any(|line| line == "READY=1"));
    before.expect_again(&lab.host, "a wait");
    assert!(lab.host.state_paths().is_empty(), "{:?}", lab.host.state_paths());
    // It gets its name later, as by udev.
    lab.switch.ip(&format!("link add sw2 type veth peer name new0 netns {}", lab.host.name()));
    lab.switch.ip("link set sw2 master br0 up");
    lab.host.ip("link set new0 name eth2");
    service.wait_for("READY=1");
    let show = lab.host.show("agg0");
    assert_eq!((show.controller(), show.0["ports"].as_array().unwrap().len()), (Some(service.pid()), 3));
    assert_eq!(service.times_said("waiting"), 1, "{}", service.said());
    lab.ping(RHYTHM).run(20);
}

cases!(a_wait_ends_with_nothing_done: VETH_TCX);
fn a_wait_ends_with_nothing_done(case: Case) {
    let lab = Lab::two_ports(case);
    let before = HostState::of(&lab.host);
    let file = lab.config_file(&["eth0", "eth9", "eth1", "eth8"]);
    for wait in ["30", "infinity"] {
        let mut service = Service::start(&lab.host, "agg0", &file, &[("AGGCTL_WAIT", wait)]);
        service.wait_for("STATUS=waiting for eth9, eth8 to appear");
        terminate(service.pid());
        assert_eq!(service.ended().code(), Some(0), "{}", service.said());
    }
    let outcome = lab.host.aggctl("attach agg0 --port eth0 --port eth9 --port eth1 --port eth8 --wait 1");
    assert_eq!(outcome.code, Some(1), "{outcome}");
    assert!(outcome.complaints()[1].contains("no interface eth9, eth8"), "{outcome}");
    before.expect_again(&lab.host, "waits");
    assert!(lab.host.state_paths().is_empty(), "{:?}", lab.host.state_paths());
}

cases!(the_unit_has_it_again_whatever_happens: VETH_TCX, DIRECT_VETH_TCX);
fn the_unit_has_it_again_whatever_happens(case: Case) {
    let lab = Lab::two_ports(case);
    let before = HostState::of(&lab.host);
    let file = lab.config_file(&["eth0", "eth1"]);
    let mut service = Service::start(&lab.host, "agg0", &file, &[]);
    service.wait_for("READY=1");
    service.wait_for("WATCHDOG=1");
    let ping = lab.ping(RHYTHM);
    lab.host.aggctl("set agg0 mode=random partner=plain down-delay=50").ok();
    lab.host.aggctl("port set agg0 eth1,priority=7").ok();
    let ((), stats) = ping.during(|| {
        for life in 1..=5 {
            kill(service.pid());
            assert!(service.restarted());
            service.wait_for("READY=1");
            assert_eq!(lab.host.show("agg0").controller(), Some(service.pid()));
            for what in
                ["mode=random, not active-backup", "partner=plain", "down-delay=50", "eth1 of agg0 has priority=7"]
            {
                assert_eq!(service.times_said(what), life, "{what}: {}", service.said());
            }
            assert_eq!(service.times_said("as asked for"), 4 * life, "{}", service.said());
        }
    });
    assert_eq!(stats.lost, 0, "{stats:?}");
    assert_eq!(lab.host.show("agg0").0["mode"], "random");
    // Stopping it leaves the aggregate; the next start has it again.
    terminate(service.pid());
    assert!(!service.restarted(), "{}", service.said());
    assert_eq!(lab.host.show("agg0").controller(), None);
    ping.run(20);
    let mut service = Service::start(&lab.host, "agg0", &file, &[]);
    service.wait_for("READY=1");
    lab.host.aggctl("detach agg0").ok();
    assert!(!service.restarted(), "{}", service.said());
    before.expect_again(&lab.host, "detach");
}

cases!(an_attach_is_whole_when_it_is_asked_to_end: VETH_TCX, DIRECT_VETH_TCX);
fn an_attach_is_whole_when_it_is_asked_to_end(case: Case) {
    let lab = Lab::two_ports(case);
    let ping = lab.ping(RHYTHM);
    let outcome = lab.host.aggctl_with(&[("AGGCTL_FAULT", "5:end")], &lab.attach_line("--foreground"));
    assert_eq!(outcome.code, Some(0), "{outcome}");
    assert_eq!(lab.host.show("agg0").controller(), None);
    ping.wait_for_answer(SOON);
    lab.host.aggctl("detach agg0").ok();
}

cases!(what_runs_is_adopted_on_request_only: VETH_TCX);
fn what_runs_is_adopted_on_request_only(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach("--min-ports 2");
    let guarded = lab.host.wait_for_controller("agg0");
    let line = lab.attach_line("--primary eth1");
    let refused = lab.host.aggctl(&line);
    assert_eq!((refused.code, refused.complaints().len()), (Some(1), 1), "{refused}");
    // In the background it has all that it needs: nothing changes.
    let outcome = lab.host.aggctl(&format!("{line} --or-adopt"));
    assert_eq!(outcome.code, Some(0), "{outcome}");
    let differences = [
        "agg0 runs with primary=none, not eth1 as asked for: `aggctl set agg0 primary=eth1`",
        "agg0 runs with min-ports=2, not 1 as asked for: `aggctl set agg0 min-ports=1`",
    ];
    assert_eq!(outcome.stderr.lines().count(), 2, "{outcome}");
    assert!(differences.iter().all(|line| outcome.stderr.contains(line)), "{outcome}");
    assert_eq!(lab.host.wait_for_controller("agg0"), guarded);
    // A service manager takes the guardian's place.
    let file = lab.config_file(&["eth0", "eth1"]);
    let mut service = Service::start(&lab.host, "agg0", &file, &[]);
    service.wait_for("READY=1");
    guarded.expect_gone();
    assert_eq!(lab.host.show("agg0").controller(), Some(service.pid()));
    assert_eq!(lab.host.processes(), [service.pid()]);
    // Nobody there: the same, with a guardian.
    kill(service.pid());
    assert_eq!(service.ended().code(), None, "{}", service.said());
    let refused = lab.host.aggctl(&line);
    assert_eq!(refused.code, Some(1), "{refused}");
    assert!(refused.stderr.contains("--or-adopt"), "{refused}");
    lab.host.aggctl(&format!("{line} --or-adopt")).ok();
    lab.host.wait_for_controller("agg0");
}

cases!(systemd_keeps_the_aggregate: VETH_TCX);
fn systemd_keeps_the_aggregate(case: Case) {
    if let Some(missing) = Systemd::missing() {
        return skip(&missing);
    }
    let lab = Lab::two_ports(case);
    let file = lab.config_file(&["eth0", "eth1", "eth2"]);
    let systemd = Systemd::start(&lab.host, "agg0", &file);
    let mode = || systemd.run.show(&lab.host, "agg0")["mode"].clone();
    systemd.ctl("start --no-block aggctl@agg0").ok();
    let waits = [("ActiveState", "activating"), ("StatusText", "waiting for eth2 to appear")];
    systemd.wait_for("aggctl@agg0", &waits);
    lab.switch.ip(&format!("link add sw2 type veth peer name eth2 netns {}", lab.host.name()));
    systemd.wait_for("aggctl@agg0", &[("ActiveState", "active"), ("StatusText", "in control"), ("NRestarts", "0")]);
    systemd.run.aggctl(&lab.host, "set agg0 mode=random partner=plain").ok();
    systemd.ctl("restart aggctl@agg0").ok();
    assert_eq!(mode(), "random");
    // More often than systemd allows by default.
    for count in 1..=6 {
        systemd.ctl("kill --signal=KILL --kill-who=main aggctl@agg0").ok();
        systemd.wait_for("aggctl@agg0", &[("NRestarts", &count.to_string()), ("ActiveState", "active")]);
    }
    assert_eq!(mode(), "random");
    // Until it is told to go by its file again.
    fs::write(systemd.file("agg0"), format!("mode = \"hash\"\n{file}")).unwrap();
    systemd.ctl("reload aggctl@agg0").ok();
    assert_eq!(mode(), "hash");
    systemd.run.aggctl(&lab.host, "detach agg0").ok();
    systemd.wait_for("aggctl@agg0", &[("ActiveState", "inactive"), ("SubState", "dead"), ("Result", "success")]);
}

cases!(the_unit_is_one_that_systemd_takes: VETH_TCX);
fn the_unit_is_one_that_systemd_takes(_: Case) {
    assert_eq!(service::settings("StartLimitIntervalSec"), ["0"]);
    assert_eq!(service::settings("Type"), ["notify"]);
    if !Path::new(VERIFIER).exists() {
        return skip(&format!("{VERIFIER} is not installed (package systemd)"));
    }
    // It looks whether the program is there.
    let files = tempfile::tempdir().unwrap();
    let unit = fs::read_to_string(service::unit()).unwrap();
    let unit = unit.replace("/usr/bin/aggctl", binary().to_str().unwrap());
    fs::write(files.path().join("aggctl@.service"), unit).unwrap();
    let copy = files.path().join("aggctl@agg0.service");
    let outcome = command::run(Command::new(VERIFIER).args(["verify", "--man=no"]).arg(copy));
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "{outcome}");
}
