//! What is typed wrong: exit status 2, and one line that says what is known. Nothing of the host is looked at for that.
#![allow(clippy::unwrap_used, reason = "tests end at the first surprise")]

use std::process::Command;

use aggctl_tests::{Outcome, aggctl::binary, command};

/// A command line, and texts that the message has.
type Wrong = (&'static str, &'static [&'static str]);

const ATTACH: &[Wrong] = &[
    ("--mode bogus", &["active-backup", "hash", "round-robin", "random", "broadcast", "lacp", "not built"]),
    ("--mode lacp", &["not built", "over"]),
    ("--wiring bogus", &["shared", "direct", "over"]),
    ("--watch link=5", &["link"]),
    ("--watch link,", &["up-delay", "down-delay", "poll"]),
    ("--watch miimon=", &["1 to 60000"]),
    ("--watch miimon=0", &["1 to 60000"]),
    ("--watch miimon=100,poll=100", &["twice"]),
    ("--watch link,poll=5,poll=5", &["twice"]),
    ("--watch link,updelay=5,up-delay=5", &["twice"]),
    ("--watch link --watch link", &["twice"]),
    ("--primary=", &["name"]),
    ("--announce count=1,count=2", &["twice"]),
    ("--port eth1,weight=1,weight=2", &["twice"]),
    ("--port eth1,sticky,nosticky", &["twice"]),
    ("--port eth1,prio=1,priority=1", &["twice"]),
    ("--watch link,poll=5 --poll 5", &["twice"]),
    ("--poll 2kg", &["ms, s, min"]),
    ("--poll 2min", &["1 to 60000 ms"]),
    ("--stride 2s", &["0 to 65535"]),
    ("--xdp offload", &["off", "native", "generic", "auto"]),
    ("--config FILE", &["not built"]),
];

const SET: &[Wrong] = &[
    ("primary=", &["name"]),
    ("active-port=", &["name"]),
    ("miimon=0", &["1 to 60000"]),
    ("mode=bogus", &["active-backup", "lacp"]),
    ("bogus=1", &["bogus", "stride", "poll", "min-ports"]),
    ("wiring=direct", &["while the aggregate runs"]),
    ("poll=5 miimon=5", &["twice"]),
    ("watch=arp=fe80::1", &["fe80::1", "its own family"]),
];

#[test]
fn a_wrong_value_is_refused_with_what_is_known() {
    for (options, parts) in ATTACH {
        expect_wrong(&format!("attach agg0 --port eth0 {options}"), parts);
    }
    for (setting, parts) in SET {
        expect_wrong(&format!("set agg0 {setting}"), parts);
    }
}

#[test]
fn what_is_too_long_is_not_echoed_whole() {
    let long = "x".repeat(100_000);
    for line in [
        format!("attach {long} --port eth0"),
        format!("attach agg0 --port {long}"),
        format!("attach agg0 --port eth0,{long}"),
        format!("attach agg0 --port eth0 --mode {long}"),
        format!("attach agg0 --port eth0 --seed {long}"),
        format!("attach agg0 --port eth0 --vlan {long}"),
        format!("attach agg0 --port eth0 --vlan trunk={long}"),
        format!("attach agg0 --port eth0 --primary {long}"),
        format!("attach agg0 --port eth0 --watch {long}"),
        format!("attach agg0 --port eth0 --watch link,{long}"),
        format!("attach agg0 --port eth0 --announce {long}"),
        format!("attach agg0 --port eth0 --{long}"),
        format!("attach agg0 --port eth0 --confirm {long}"),
        format!("attach agg0 --port eth0 {long}"),
        format!("set agg0 {long}"),
        format!("set agg0 {long}=1"),
        format!("set agg0 mode={long}"),
        format!("explain agg0 --flow {long}"),
        format!("explain agg0 --flow src={long}"),
        format!("explain agg0 --flow {long}=1"),
        format!("port add agg0 {long}"),
        format!("port add {long} eth0"),
        format!("port set agg0 {long},weight=1"),
        format!("show {long}"),
        format!("detach {long}"),
        format!("monitor {long}"),
        long.clone(),
    ] {
        let outcome = run(&line);
        let what: String = line.chars().take(60).collect();
        assert_eq!(outcome.code, Some(2), "{what}");
        assert!(outcome.stderr.len() < 2_000, "{what}: {} octets of errors", outcome.stderr.len());
    }
}

#[test]
fn the_help_has_every_word_that_can_be_chosen() {
    let attach = run("attach --help").ok();
    for part in [
        "--mode",
        "round-robin",
        "shared, direct",
        "--wiring",
        "--watch",
        "poll=MS",
        "layer2+3",
        "256 to 65536",
        "--confirm",
    ] {
        assert!(attach.contains(part), "{part} in\n{attach}");
    }
    let set = run("set --help").ok();
    for part in ["stride=N", "poll=MS", "active-port=IF", "vlan=off|access=VID", "watch=link["] {
        assert!(set.contains(part), "{part} in\n{set}");
    }
    let port = run("port add --help").ok();
    assert!(port.contains("IF[,priority=N][,sticky][,weight=N]"), "{port}");
}

/// Exit status 2, nothing on standard output, and all of these words in the message.
#[track_caller]
fn expect_wrong(line: &str, parts: &[&str]) {
    let outcome = run(line);
    assert_eq!(outcome.code, Some(2), "{line}: {outcome}");
    assert_eq!(outcome.stdout, "", "{line}: {outcome}");
    for part in parts {
        assert!(outcome.stderr.contains(part), "{line}: the message does not name {part}: {outcome}");
    }
}

fn run(line: &str) -> Outcome {
    command::run(Command::new(binary()).args(line.split(' ')))
}
