//! Who is a port and who is not, whatever index or name an interface has.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests end at the first surprise")]

use std::time::Duration;

use aggctl_tests::{
    Case, HostState, Lab, Namespace, Outcome,
    aggctl::binary,
    cases, command,
    matrix::{SOON, Wiring},
    processes::kill,
    wait::{holds_for, lossy},
    wait_for,
};
use rustix::process::{Signal, kill_process};
use serde_json::Value;

/// The rhythm of the pings.
const RHYTHM: Duration = Duration::from_millis(10);
/// How long it is watched that nothing happens: longer than the controller takes to look at everything.
const WATCHED: Duration = Duration::from_millis(2500);

cases!(a_stranger_with_the_index_of_a_port_stays_a_stranger: VETH_TCX, VETH_CLSACT, DIRECT_VETH_TCX);
fn a_stranger_with_the_index_of_a_port_stays_a_stranger(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach("--primary eth1");
    lab.host.wait_for_show("agg0", "the primary is active", |show| show.active() == Some("eth1"));
    let index = replace_by_stranger(&lab);
    let ping = lab.ping(RHYTHM);
    let ((), stats) = ping.during(|| {
        let before = settings_of_stranger(&lab);
        holds_for("the stranger is left alone", WATCHED, || settings_of_stranger(&lab) == before);
    });
    assert!(stats.lost <= lossy(2), "{stats:?}");
    let show = lab.host.show("agg0");
    assert_eq!(show.active(), Some("eth0"));
    assert_eq!((&show.port("eth1")["ifindex"], show.state("eth1")), (&Value::Null, "down"));
    assert_eq!(show.0["primary"], "eth1");

    bring_back(&lab, "eth1");
    let show = lab.host.wait_for_show("agg0", "eth1 is back", |show| show.active() == Some("eth1"));
    assert_ne!(show.port("eth1")["ifindex"], index);
    let before = settings_of_stranger(&lab);
    lab.cut("eth0");
    ping.run(50);
    assert_eq!(lab.host.show("agg0").active(), Some("eth1"));
    lab.host.aggctl("detach agg0 --force").ok();
    assert_eq!(settings_of_stranger(&lab), before);
}

cases!(adopt_takes_no_stranger_for_a_port: VETH_TCX, VETH_CLSACT, DIRECT_VETH_TCX);
fn adopt_takes_no_stranger_for_a_port(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach("");
    end_control(&lab);
    replace_by_stranger(&lab);
    let before = settings_of_stranger(&lab);
    assert_eq!(lab.host.show("agg0").port("eth1")["ifindex"], Value::Null, "without a controller");
    lab.host.aggctl("adopt agg0").ok();
    lab.host.wait_for_controller("agg0");
    let show = lab.host.show("agg0");
    assert_eq!((&show.port("eth1")["ifindex"], show.state("eth1")), (&Value::Null, "down"));
    lab.host.aggctl("port remove agg0 eth1").ok();
    assert_eq!(settings_of_stranger(&lab), before);
    // It is free for its owner, and for another aggregate.
    lab.host.aggctl("port add agg0 guest").ok();
    lab.host.aggctl("detach agg0").ok();
    assert_eq!(settings_of_stranger(&lab), before);
}

cases!(detach_restores_no_stranger: VETH_TCX, VETH_CLSACT, DIRECT_VETH_TCX);
fn detach_restores_no_stranger(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach("");
    end_control(&lab);
    replace_by_stranger(&lab);
    let before = settings_of_stranger(&lab);
    lab.host.aggctl("detach agg0").ok();
    assert_eq!(settings_of_stranger(&lab), before);
}

cases!(an_interface_of_another_kind_is_no_port: VETH_TCX, DIRECT_VETH_TCX);
fn an_interface_of_another_kind_is_no_port(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach("");
    let index = index_of(&lab, "eth1");
    lab.host.ip("link del eth1");
    lab.host.ip(&format!("link add eth1 index {index} type bridge"));
    let before = lab.host.link("eth1")["address"].clone();
    holds_for("the bridge is left alone", WATCHED, || lab.host.link("eth1")["address"] == before);
    assert_eq!(lab.host.show("agg0").state("eth1"), "down");
}

cases!(a_port_renamed_while_nobody_watched_is_found: VETH_TCX, VETH_CLSACT, DIRECT_VETH_TCX);
fn a_port_renamed_while_nobody_watched_is_found(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach("--primary eth1");
    end_control(&lab);
    lab.host.ip("link set eth1 name lan1");
    lab.host.aggctl("adopt agg0").ok();
    let show = lab.host.wait_for_show("agg0", "its new name", |show| show.active() == Some("lan1"));
    assert_eq!(show.0["primary"], "lan1");
    lab.host.aggctl("detach agg0").ok();
}

cases!(a_port_is_added_to_one_aggregate_only: VETH_TCX, DIRECT_VETH_TCX);
fn a_port_is_added_to_one_aggregate_only(case: Case) {
    let lab = Lab::two_ports(case).with_port("eth2");
    let options = options(case);
    for (aggregate, port) in [("agg0", "eth0"), ("agg1", "eth1")] {
        lab.host.aggctl(&format!("attach {aggregate} --port {port} {options}")).ok();
        lab.host.wait_for_controller(aggregate);
    }
    for round in 0..ROUNDS {
        let won = race(&lab, ["port add agg0 eth2", "port add agg1 eth2"]);
        lab.host.aggctl(&format!("port remove {} eth2", ["agg0", "agg1"][won])).ok();
        assert_eq!(lab.host.link("eth2")["allmulti"], 0, "round {round}");
    }
}

cases!(a_port_is_attached_to_one_aggregate_only: VETH_TCX, DIRECT_VETH_TCX);
fn a_port_is_attached_to_one_aggregate_only(case: Case) {
    let lab = Lab::two_ports(case);
    let options = options(case);
    let lines = ["agg0", "agg1"].map(|name| format!("attach {name} --port eth1 {options}"));
    for _ in 0..ROUNDS {
        let won = race(&lab, [&lines[0], &lines[1]]);
        lab.host.aggctl(&format!("detach {}", ["agg0", "agg1"][won])).ok();
    }
}

cases!(a_name_that_no_interface_can_have_is_refused_at_once: VETH_TCX);
fn a_name_that_no_interface_can_have_is_refused_at_once(case: Case) {
    let lab = Lab::two_ports(case);
    let before = HostState::of(&lab.host);
    for name in
        ["", " ", "a b", "a\nb", "a\tb", "agg0 ", ".", "..", "../agg0", "a/b", "-x", "--", "agg%d", "sixteen-bytes-lo"]
    {
        let run = |arguments: &[&str]| command::run(lab.host.command(binary().to_str().unwrap()).args(arguments));
        for arguments in [&["attach", "--port", "eth0", "--", name][..], &["port", "add", "agg0", "--", name]] {
            let outcome = run(arguments);
            assert_eq!(outcome.code, Some(2), "{arguments:?}: {outcome}");
            assert!(!outcome.stderr.contains("controller"), "{outcome}");
        }
    }
    before.expect_again(&lab.host, "names that are refused");
}

cases!(
    a_port_moved_to_another_namespace_is_an_ordinary_interface_there:
    VETH_TCX, VETH_CLSACT, DIRECT_VETH_TCX, DIRECT_VETH_CLSACT
);
fn a_port_moved_to_another_namespace_is_an_ordinary_interface_there(case: Case) {
    let lab = Lab::two_ports(case);
    let other = Namespace::new("o");
    let before = movable(&lab.host, "eth1");
    lab.attach("");
    let ping = lab.ping(RHYTHM);
    for name in ["eth1", "moved0"] {
        lab.host.wait_for_show("agg0", "eth1 waits", |show| show.state("eth1") == "standby");
        // There, an unrelated interface has the index that the program would send to.
        let index = index_of(&lab, if case.wiring == Wiring::Direct { "agg0" } else { "agg0-peer" });
        other.try_ip("link del decoy");
        other.ip(&format!("link add decoy index {index} type veth peer name decoy-end"));
        for end in ["decoy", "decoy-end"] {
            other.ip(&format!("link set {end} addrgenmode none"));
            other.ip(&format!("link set {end} up"));
        }
        lab.host.ip(&format!("link set eth1 netns {} name {name}", other.name()));
        wait_for("it is as before", SOON, || movable(&other, name) == before);
        other.ip(&format!("link set {name} up"));
        let passed = |link: &str, way: &str| other.link(link)["stats64"][way]["packets"].as_u64().unwrap();
        let (received, sent) = (passed(name, "rx"), passed("decoy", "tx"));
        wait_for("the moved port receives something", SOON, || {
            lab.client.exec("ping -c 3 -i 0.05 -W 1 -b 10.0.0.255");
            passed(name, "rx") > received
        });
        assert_eq!(passed("decoy", "tx"), sent, "nothing comes out of an unrelated interface");
        let show = lab.host.show("agg0");
        assert_eq!((&show.port("eth1")["ifindex"], show.state("eth1")), (&Value::Null, "down"));
        other.ip(&format!("link set {name} netns {} name eth1", lab.host.name()));
        lab.host.ip("link set eth1 up");
    }
    lab.host.wait_for_show("agg0", "eth1 is back", |show| show.state("eth1") == "standby");
    let ((), stats) = ping.during(|| ping.run(10));
    assert_eq!(stats.lost, 0, "{stats:?}");
}

cases!(a_port_moved_while_nobody_watched_is_released: VETH_TCX, VETH_CLSACT, DIRECT_VETH_TCX);
fn a_port_moved_while_nobody_watched_is_released(case: Case) {
    for by in ["port remove agg0 eth1", "detach agg0"] {
        let lab = Lab::two_ports(case);
        let other = Namespace::new("o");
        let before = movable(&lab.host, "eth1");
        lab.attach("");
        end_control(&lab);
        lab.host.ip(&format!("link set eth1 netns {}", other.name()));
        if by.starts_with("port") {
            lab.host.aggctl("adopt agg0").ok();
            lab.host.wait_for_controller("agg0");
        }
        let outcome = lab.host.aggctl(by);
        assert!(outcome.succeeded(), "{outcome}");
        assert_eq!(movable(&other, "eth1"), before, "{by}");
    }
}

cases!(a_port_that_is_gone_is_removed_with_a_word: VETH_TCX, DIRECT_VETH_TCX);
fn a_port_that_is_gone_is_removed_with_a_word(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach("");
    lab.host.ip("link del eth1");
    let outcome = lab.host.aggctl("port remove agg0 eth1");
    assert!(outcome.succeeded() && outcome.stderr.contains("eth1 is not in this network namespace"), "{outcome}");
}

cases!(
    an_aggregate_moved_to_another_namespace_is_dissolved:
    VETH_TCX, VETH_CLSACT, VETH_TCX_VETH, DIRECT_VETH_TCX, DIRECT_VETH_CLSACT
);
fn an_aggregate_moved_to_another_namespace_is_dissolved(case: Case) {
    let lab = Lab::two_ports(case);
    let other = Namespace::new("o");
    let before = HostState::of(&lab.host);
    let ping = lab.ping(RHYTHM);
    for watched in [true, false] {
        lab.attach("");
        if !watched {
            end_control(&lab);
        }
        let controller = watched.then(|| lab.host.wait_for_controller("agg0"));
        lab.host.ip(&format!("link set agg0 netns {}", other.name()));
        match controller {
            Some(controller) => controller.expect_gone(),
            None => assert!(!lab.host.aggctl("adopt agg0").succeeded()),
        }
        ping.wait_for_answer(SOON);
        before.expect_again(&lab.host, "a move of agg0");
        assert!(!other.ip("link show").contains("agg0"), "nothing dead is left behind");
    }
}

/// What a port has another value of, and takes along to another namespace.
#[track_caller]
fn movable(namespace: &Namespace, name: &str) -> Vec<String> {
    let link = namespace.link(name);
    let mut seen: Vec<_> = ["address", "allmulti", "promiscuity", "mtu"].map(|key| link[key].to_string()).into();
    seen.push(namespace.tc(&format!("qdisc show dev {name}")).ok().contains("clsact").to_string());
    seen
}

cases!(an_aggregate_renamed_while_nobody_watched_is_adopted: VETH_TCX, VETH_CLSACT, DIRECT_VETH_TCX);
fn an_aggregate_renamed_while_nobody_watched_is_adopted(case: Case) {
    // By the name that it had, or the one that it has.
    for name in ["agg0", "lan0"] {
        let lab = Lab::two_ports(case);
        let before = HostState::of(&lab.host);
        lab.attach("");
        end_control(&lab);
        rename(&lab, "lan0");
        let ping = lab.ping(RHYTHM);
        let ((), stats) = ping.during(|| {
            lab.host.aggctl(&format!("adopt {name}")).ok();
            lab.host.wait_for_controller("lan0");
        });
        assert_eq!(stats.lost, 0, "{name}: {stats:?}");
        lab.cut("eth0");
        ping.wait_for_answer(SOON);
        lab.host.wait_for_show("lan0", "eth1 took over", |show| show.active() == Some("eth1"));
        lab.restore("eth0");
        lab.host.wait_for_show("lan0", "eth0 waits", |show| show.state("eth0") == "standby");
        lab.host.aggctl("detach lan0").ok();
        before.expect_again(&lab.host, "a rename, adopt and detach");
    }
}

cases!(a_guardian_follows_a_rename_that_nobody_saw: VETH_TCX, DIRECT_VETH_TCX);
fn a_guardian_follows_a_rename_that_nobody_saw(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach("");
    let controller = lab.host.wait_for_controller("agg0");
    kill_process(controller.pid, Signal::STOP).unwrap();
    rename(&lab, "lan0");
    kill(controller.pid);
    lab.host.wait_for_show("lan0", "another controller", |show| show.controller().is_some());
    lab.host.aggctl("detach lan0").ok();
}

cases!(an_aggregate_renamed_while_nobody_watched_is_detached: VETH_TCX, VETH_CLSACT, DIRECT_VETH_TCX);
fn an_aggregate_renamed_while_nobody_watched_is_detached(case: Case) {
    for name in ["agg0", "lan0"] {
        let lab = Lab::two_ports(case);
        let before = HostState::of(&lab.host);
        lab.attach("");
        end_control(&lab);
        rename(&lab, "lan0");
        lab.host.aggctl(&format!("detach {name}")).ok();
        before.expect_again(&lab.host, "a rename and detach");
    }
}

cases!(a_rename_onto_the_name_of_what_was_left_is_followed: VETH_TCX, DIRECT_VETH_TCX);
fn a_rename_onto_the_name_of_what_was_left_is_followed(case: Case) {
    let lab = Lab::two_ports(case);
    let before = HostState::of(&lab.host);
    lab.attach("");
    let controller = lab.host.wait_for_controller("agg0");
    let states = || lab.host.state_paths().into_iter();
    for root in states() {
        let left = root.join("lan0/something");
        std::fs::create_dir_all(if root.starts_with("/run/aggctl/bpf") { root.join("lan0") } else { left }).unwrap();
    }
    let ping = lab.ping(RHYTHM);
    rename(&lab, "lan0");
    let show = lab.host.wait_for_show("lan0", "the same controller", |show| show.controller().is_some());
    assert_eq!(show.controller(), Some(controller.pid));
    wait_for("nothing is left under the old name", SOON, || states().all(|root| !root.join("agg0").exists()));
    lab.cut("eth0");
    ping.wait_for_answer(SOON);
    lab.host.wait_for_show("lan0", "eth1 took over", |show| show.active() == Some("eth1"));
    lab.restore("eth0");
    lab.host.wait_for_show("lan0", "eth0 waits", |show| show.state("eth0") == "standby");
    lab.host.aggctl("detach lan0").ok();
    before.expect_again(&lab.host, "a rename and detach");
}

/// Gives the aggregate another name.
#[track_caller]
fn rename(lab: &Lab, name: &str) {
    lab.host.ip(&format!("link set agg0 name {name}"));
}

fn options(case: Case) -> String {
    format!("--wiring {} --hook {} --device {}", case.wiring.name(), case.hook.name(), case.device())
}

/// How often a race is run: it was lost in about a third of the runs.
const ROUNDS: usize = 8;

/// Runs two commands that take the same port at the same time. Exactly one of them succeeds, and the other says whose
/// the port is. Returns which one.
#[track_caller]
fn race(lab: &Lab, lines: [&str; 2]) -> usize {
    let outcomes = std::thread::scope(|scope| {
        let runs = lines.map(|line| scope.spawn(move || lab.host.aggctl(line)));
        runs.map(|run| run.join().unwrap())
    });
    let won = outcomes.iter().position(Outcome::succeeded).expect("one of them succeeds");
    let lost = &outcomes[1 - won];
    assert_eq!(lost.code, Some(1), "{lost:?}");
    assert!(lost.stderr.contains("already belongs to"), "{lost:?}");
    won
}

/// Removes eth1 and makes an interface `guest`, as a container's, which gets its index. Returns that.
#[track_caller]
fn replace_by_stranger(lab: &Lab) -> u64 {
    let index = index_of(lab, "eth1");
    lab.host.ip("link del eth1");
    lab.host.ip(&format!("link add guest index {index} type veth peer name inside"));
    for end in ["inside", "guest"] {
        lab.host.ip(&format!("link set {end} addrgenmode none"));
        lab.host.ip(&format!("link set {end} up"));
    }
    index
}

/// Plugs a port in again, as a new interface of its name.
#[track_caller]
fn bring_back(lab: &Lab, port: &str) {
    let end = aggctl_tests::lab::switch_end(port);
    lab.switch.ip(&format!("link add {end} type veth peer name {port} netns {}", lab.host.name()));
    lab.switch.ip(&format!("link set {end} master br0 up"));
    lab.host.ip(&format!("link set {port} up"));
}

#[track_caller]
fn index_of(lab: &Lab, port: &str) -> u64 {
    lab.host.link(port)["ifindex"].as_u64().unwrap()
}

/// What a port would have another value of, and what was sent through it.
#[track_caller]
fn settings_of_stranger(lab: &Lab) -> Vec<String> {
    let link = lab.host.link("guest");
    let mut seen: Vec<_> = ["address", "allmulti", "promiscuity", "flags", "mtu", "inet6_addr_gen_mode"]
        .map(|key| link[key].to_string())
        .into();
    seen.push(link["stats64"]["tx"]["packets"].to_string());
    seen.push(lab.host.tc("qdisc show dev guest").ok());
    seen.push(lab.host.sysctl("net/ipv6/conf/guest/disable_ipv6"));
    seen
}

/// Ends controller and guardian, so that nobody watches.
#[track_caller]
fn end_control(lab: &Lab) {
    let controller = lab.host.wait_for_controller("agg0");
    kill(controller.guardian);
    kill(controller.pid);
    controller.expect_gone();
}
