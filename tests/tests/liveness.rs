//! Processes that are stopped, late, in each other's way, or flooded.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests end at the first surprise")]

use std::{
    io::{BufRead, BufReader, Write},
    os::unix::{fs::MetadataExt, net::UnixStream},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use aggctl_tests::{
    Case, HostState, Lab, Namespace, Outcome, aggctl, cases,
    matrix::SOON,
    processes::{self, alive, kill, stop},
    wait::{self, patient},
    wait_for,
};
use rustix::process::Pid;
use serde_json::{Value, json};

/// The rhythm of the pings.
const RHYTHM: Duration = Duration::from_millis(5);
/// What no command may take that cannot ask its controller. It is 2 s on an idle machine; what it was before was 25 s
/// and more.
const ANSWER: Duration = Duration::from_secs(8);

cases!(a_stopped_controller_is_replaced: VETH_TCX, TAP_CLSACT, DIRECT_VETH_TCX);
fn a_stopped_controller_is_replaced(case: Case) {
    let lab = Lab::two_ports(case);
    let before = HostState::of(&lab.host);
    lab.attach("");
    let first = lab.host.wait_for_controller("agg0");
    let ping = lab.ping(RHYTHM);
    stop(first.pid);
    lab.cut("eth0");
    ping.wait_for_answer(SOON);
    wait_for("the stopped controller gone", SOON, || !alive(first.pid));
    let second = lab.host.wait_for_controller("agg0");
    assert_eq!(second.guardian, first.guardian, "the guardian starts the next controller");
    lab.host.wait_for_show("agg0", "eth1 took over", |show| show.active() == Some("eth1"));
    lab.restore("eth0");
    lab.host.wait_for_show("agg0", "eth0 waits", |show| show.state("eth0") == "standby");
    lab.host.aggctl("detach agg0").ok();
    second.expect_gone();
    before.expect_again(&lab.host, "detach");
}

cases!(commands_answer_while_controller_and_guardian_are_stopped: VETH_TCX, DIRECT_VETH_CLSACT);
fn commands_answer_while_controller_and_guardian_are_stopped(case: Case) {
    let lab = Lab::two_ports(case);
    let before = HostState::of(&lab.host);
    lab.attach("");
    stop_both(&lab);
    let show: Value = serde_json::from_str(&in_time(&lab.host, "show agg0 --json").ok()).unwrap();
    assert_eq!(show["controller"]["running"], true, "{show:#}");
    assert_eq!(show["controller"]["answers"], false, "{show:#}");
    assert_eq!(show["active_port"], "eth0", "{show:#}");
    assert_ne!(show["failover_path"], "poll", "nobody polls: {show:#}");
    assert!(in_time(&lab.host, "show").ok().contains("DOES NOT ANSWER"));
    for line in ["set agg0 reselect=failure", "port set agg0 eth1,priority=3", "confirm agg0", "detach agg0"] {
        let refused = in_time(&lab.host, line);
        assert_eq!(refused.code, Some(1), "{refused}");
        assert!(matches!(&refused.complaints()[..], [one] if one.contains("does not answer")), "{refused}");
    }
    in_time(&lab.host, "explain agg0 --flow src=10.0.0.2,dst=10.0.0.1").ok();
    in_time(&lab.host, "detach agg0 --force").ok();
    before.expect_again(&lab.host, "detach --force");
    wait_for("nobody left", SOON, || lab.host.processes().is_empty());
}

cases!(adopt_replaces_a_controller_that_does_not_answer: VETH_TCX);
fn adopt_replaces_a_controller_that_does_not_answer(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach("");
    let (former, _) = stop_both(&lab);
    in_time(&lab.host, "adopt agg0").ok();
    let show = lab.host.wait_for_show("agg0", "a controller answers", |show| show.0["controller"]["answers"] == true);
    assert_ne!(show.controller(), Some(former));
    assert!(!alive(former));
    let refused = lab.host.aggctl("adopt agg0");
    assert_eq!(refused.code, Some(1), "{refused}");
}

cases!(an_attach_is_undone_although_controller_and_guardian_were_killed: VETH_TCX, DIRECT_VETH_TCX);
fn an_attach_is_undone_although_controller_and_guardian_were_killed(case: Case) {
    undone_without_confirmation(case, kill);
}

cases!(an_attach_is_undone_although_controller_and_guardian_were_stopped: VETH_TCX);
fn an_attach_is_undone_although_controller_and_guardian_were_stopped(case: Case) {
    undone_without_confirmation(case, stop);
}

fn undone_without_confirmation(case: Case, disable: fn(Pid)) {
    let lab = Lab::two_ports(case);
    let before = HostState::of(&lab.host);
    lab.attach(&format!("--confirm {}", 2 * wait::patience()));
    let controller = lab.host.wait_for_controller("agg0");
    disable(controller.guardian);
    disable(controller.pid);
    wait_for("the attach undone", SOON * 2, || !lab.host.ip("link show").contains("agg0"));
    before.expect_again(&lab.host, "an attach that nobody confirmed");
    wait_for("nobody left", SOON, || lab.host.processes().is_empty());
}

cases!(nobody_keeps_the_time_of_what_is_confirmed: VETH_TCX);
fn nobody_keeps_the_time_of_what_is_confirmed(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach("--confirm 1000");
    let controller = lab.host.wait_for_controller("agg0");
    assert_eq!(lab.host.processes().len(), 3, "controller, guardian and timekeeper");
    lab.host.aggctl("confirm agg0").ok();
    wait_for("no timekeeper", SOON, || lab.host.processes().len() == 2);
    assert!(alive(controller.pid) && alive(controller.guardian));
}

cases!(a_guardian_that_dies_early_is_no_success: VETH_TCX, DIRECT_VETH_TCX);
fn a_guardian_that_dies_early_is_no_success(case: Case) {
    let lab = Lab::two_ports(case);
    let before = HostState::of(&lab.host);
    let mut failed = 0;
    for round in 0..20 {
        let outcome = thread::scope(|scope| {
            let attach = scope.spawn(|| lab.try_attach(""));
            let guardian = wait::find(SOON, || {
                let guardians = |pid: &Pid| processes::words(*pid).get(1).is_some_and(|word| word == "guardian");
                attach
                    .is_finished()
                    .then_some(None)
                    .or_else(|| lab.host.processes().into_iter().find(guardians).map(Some))
            });
            // From before it has begun to after all is done.
            thread::sleep(Duration::from_micros(round * round * 300));
            if let Some(Some(pid)) = guardian.filter(|_| !attach.is_finished()) {
                kill(pid);
            }
            attach.join().unwrap()
        });
        if outcome.succeeded() {
            lab.host.wait_for_controller("agg0");
            lab.host.aggctl("detach agg0").ok();
        } else {
            failed += 1;
            assert_eq!(outcome.code, Some(1), "round {round}: {outcome}");
            assert_eq!(outcome.complaints().len(), 1, "round {round}: {outcome}");
        }
        before.expect_again(&lab.host, &format!("round {round}: {outcome}"));
        wait_for("nobody left", SOON, || lab.host.processes().is_empty());
    }
    assert!(failed > 0, "no guardian was killed early enough");
}

cases!(of_two_attaches_one_says_what_the_other_does: VETH_TCX, DIRECT_VETH_TCX);
fn of_two_attaches_one_says_what_the_other_does(case: Case) {
    let lab = Lab::two_ports(case);
    let before = HostState::of(&lab.host);
    for round in 0..6 {
        let (outcomes, took) = thread::scope(|scope| {
            let started = Instant::now();
            let racers = [0, 1].map(|_| scope.spawn(|| lab.try_attach("")));
            (racers.map(|racer| racer.join().unwrap()), started.elapsed())
        });
        assert!(took < patient(ANSWER), "round {round}: {took:?} {outcomes:?}");
        let (won, lost): (Vec<_>, Vec<_>) = outcomes.iter().partition(|outcome| outcome.succeeded());
        assert_eq!(won.len(), 1, "round {round}: {outcomes:?}");
        names_the_other(lost[0]);
        lab.host.wait_for_controller("agg0");
        lab.host.aggctl("detach agg0").ok();
        before.expect_again(&lab.host, "detach");
        wait_for("nobody left", SOON, || lab.host.processes().is_empty());
    }
}

cases!(attach_and_detach_at_once_end_in_order: VETH_TCX);
fn attach_and_detach_at_once_end_in_order(case: Case) {
    let lab = Lab::two_ports(case);
    let before = HostState::of(&lab.host);
    for round in 0..8 {
        lab.attach("");
        let [detached, attached] = thread::scope(|scope| {
            let detach = scope.spawn(|| lab.host.aggctl("detach agg0"));
            let attach = scope.spawn(|| {
                thread::sleep(Duration::from_millis(20 * round));
                lab.try_attach("")
            });
            [detach.join().unwrap(), attach.join().unwrap()]
        });
        assert!(detached.succeeded(), "round {round}: {detached}");
        if attached.succeeded() {
            lab.host.aggctl("detach agg0").ok();
        } else {
            names_the_other(&attached);
        }
        before.expect_again(&lab.host, "detach");
        wait_for("nobody left", SOON, || lab.host.processes().is_empty());
    }
}

/// One line, about processes and not about files.
#[track_caller]
fn names_the_other(outcome: &Outcome) {
    assert_eq!(outcome.code, Some(1), "{outcome}");
    let [line] = outcome.complaints()[..] else { panic!("{outcome}") };
    let other = ["is being attached by", "is being detached by", "is attached already", "by somebody else"];
    assert!(other.iter().any(|words| line.contains(words)) && !line.contains("/run/"), "{outcome}");
}

cases!(a_namespace_without_a_name_goes_with_its_last_process: VETH_TCX, DIRECT_VETH_TCX);
fn a_namespace_without_a_name_goes_with_its_last_process(case: Case) {
    let (aggctl, wiring) = (aggctl::binary(), case.wiring.name());
    let script = format!(
        "set -e; ip link add eth0 type veth peer name p0; ip link add eth1 type veth peer name p1
         for link in eth0 eth1 p0 p1; do ip link set $link up; done
         for name in agg0 agg1; do
             {} attach $name --port eth${{name#agg}} --wiring {wiring} --hook {} --device {}
         done
         echo ready; read end",
        aggctl.display(),
        case.hook.name(),
        case.device()
    );
    let mut shell = Command::new("unshare");
    let shell = shell.args(["--net", "sh", "-c", &script]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut shell = shell.spawn().unwrap();
    let mut ready = String::new();
    BufReader::new(shell.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    assert_eq!(ready, "ready\n");
    let inode = std::fs::metadata(format!("/proc/{}/ns/net", shell.id())).unwrap().ino();
    let inside = || processes::in_network_namespace(inode);
    // The shell, and two controllers with their guardians, stay as long as there is somebody.
    wait::holds_for("all are there", Duration::from_secs(3), || inside().len() == 5);
    drop(shell.stdin.take());
    shell.wait().unwrap();
    wait_for("nobody left", SOON * 2, || inside().is_empty());
}

cases!(the_socket_bears_what_is_sent_to_it: VETH_TCX);
fn the_socket_bears_what_is_sent_to_it(case: Case) {
    let lab = Lab::two_ports(case).with_port("eth2");
    lab.attach("");
    let controller = lab.host.wait_for_controller("agg0");
    // A line without end.
    let mut endless = connect(&lab.host);
    let mut sent = 0;
    while sent < 8 << 20 {
        match endless.write(&[b'x'; 4096]) {
            Ok(count) => sent += count,
            Err(_) => break,
        }
    }
    assert!(sent < 8 << 20, "the controller reads on and on");
    // Whatever is asked is checked as if it was typed.
    let set = |key: &str, value: &str| {
        let change = json!({"options": [{"key": key, "value": value}], "ports": {}});
        json!({"request": "change", "change": change, "active_port": null})
    };
    for (request, complaint) in [
        (
            json!({"request": "add_port", "port": {"name": "eth2", "priority": 0, "sticky": false, "weight": 0}}),
            "weight=0",
        ),
        (
            json!({"request": "add_port", "port": {"name": "../eth2", "priority": 0, "sticky": false, "weight": 1}}),
            "name",
        ),
        (set("poll", "4294967295"), "poll=4294967295"),
        (set("poll", "0"), "poll=0"),
        (set("up-delay", "300001"), "up-delay=300001"),
        (set("min-ports", "3"), "min-ports 3"),
        (set("vlan", "access=4095"), "4094"),
        (json!({"request": "what"}), "does not know"),
    ] {
        let answer = ask(&lab.host, &request);
        let reason = answer["reason"].as_str().unwrap_or_default();
        assert!(answer["answer"] == "refused" && reason.contains(complaint), "{request}: {answer}");
    }
    // Connections without end.
    let crowd: Vec<_> = (0..200).map(|_| connect(&lab.host)).collect();
    let open = || std::fs::read_dir(format!("/proc/{}/fd", controller.pid.as_raw_pid())).unwrap().count();
    wait_for("no more connections than there may be", SOON, || open() < 150);
    let mut last = String::new();
    BufReader::new(&crowd[199]).read_line(&mut last).unwrap();
    assert!(last.contains("refused") && last.contains("64"), "{last}");
    drop(crowd);
    wait_for("the controller is free again", SOON, || lab.host.show("agg0").0["controller"]["answers"] == true);
    assert_eq!(lab.host.wait_for_controller("agg0"), controller, "it is the same one");
}

cases!(
    background_processes_have_no_more_privileges_than_they_need:
    VETH_TCX, VETH_CLSACT, DIRECT_VETH_TCX, DIRECT_VETH_CLSACT
);
fn background_processes_have_no_more_privileges_than_they_need(case: Case) {
    /// `CAP_NET_ADMIN`, `CAP_NET_RAW`, `CAP_SYS_PTRACE`, `CAP_SYS_ADMIN`, `CAP_PERFMON` and `CAP_BPF`.
    const NEEDED: u64 = 1 << 12 | 1 << 13 | 1 << 19 | 1 << 21 | 1 << 38 | 1 << 39;
    let lab = Lab::two_ports(case).with_port("eth2");
    let before = HostState::of(&lab.host);
    lab.attach("--confirm 1000");
    kill(lab.host.wait_for_controller("agg0").pid);
    lab.host.wait_for_controller("agg0");
    let background = lab.host.processes();
    assert_eq!(background.len(), 3, "controller, guardian and timekeeper");
    for pid in background {
        for set in ["CapEff", "CapPrm", "CapBnd", "CapInh", "CapAmb"] {
            let has = u64::from_str_radix(&processes::status(pid, set), 16).unwrap();
            assert_eq!(has & !NEEDED, 0, "{set} of {:?}: {has:x}", processes::words(pid));
        }
        assert_eq!(processes::status(pid, "NoNewPrivs"), "1");
    }
    // What a controller does by itself.
    lab.host.aggctl("port add agg0 eth2").ok();
    lab.host.aggctl("set agg0 mode=hash").ok();
    lab.host.aggctl("port remove agg0 eth2").ok();
    lab.host.ip("link set agg0 name agg9");
    lab.host.wait_for_show("agg9", "the new name", |show| show.0["controller"]["answers"] == true);
    lab.host.ip("link del agg9");
    wait_for("nobody left", SOON, || lab.host.processes().is_empty());
    before.expect_again(&lab.host, "deleting the aggregate");
}

/// Stops guardian and controller; returns controller and guardian.
fn stop_both(lab: &Lab) -> (Pid, Pid) {
    let controller = lab.host.wait_for_controller("agg0");
    stop(controller.guardian);
    stop(controller.pid);
    (controller.pid, controller.guardian)
}

/// Runs a command that must not wait for a controller.
#[track_caller]
fn in_time(host: &Namespace, line: &str) -> Outcome {
    let started = Instant::now();
    let outcome = host.aggctl(line);
    let took = started.elapsed();
    assert!(took < patient(ANSWER), "{took:?}: {outcome}");
    outcome
}

fn connect(host: &Namespace) -> UnixStream {
    let stream = UnixStream::connect(format!("/run/aggctl/{}/agg0/control", host.cookie())).unwrap();
    stream.set_read_timeout(Some(patient(SOON))).unwrap();
    stream.set_write_timeout(Some(patient(SOON))).unwrap();
    stream
}

/// What the controller answers once it has carried out a request.
#[track_caller]
fn ask(host: &Namespace, request: &Value) -> Value {
    let mut stream = connect(host);
    writeln!(stream, "{request}").unwrap();
    let answers = BufReader::new(stream).lines();
    let mut answers = answers.map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
    answers.find(|answer| answer["answer"] != "received").expect("an answer")
}
