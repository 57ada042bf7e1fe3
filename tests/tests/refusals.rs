//! What is refused: with one clear line, and nothing changed.
#![allow(clippy::unwrap_used, reason = "tests end at the first surprise")]

use aggctl_tests::{Case, HostState, Lab, Outcome, aggctl::binary, cases, command};

/// The command is right, but cannot be done.
const REFUSED: &[i32] = &[1];
/// The command line is wrong.
const WRONG: &[i32] = &[2];
/// What is asked for contradicts itself, whatever the host: both are true.
const EITHER: &[i32] = &[1, 2];

/// A bad input: the exit code, a text that its message has, and the command line.
type Bad = (&'static [i32], &'static str, &'static str);

/// What is wrong on any host.
const ANYWHERE: &[Bad] = &[
    (REFUSED, "eth9", "attach agg0 --port eth0 --port eth9"),
    (REFUSED, "lo", "attach agg0 --port lo"),
    (EITHER, "eth0", "attach agg0 --port eth0 --port eth0"),
    (REFUSED, "eth1", "attach eth1 --port eth0"),
    (EITHER, "min-ports", "attach agg0 --port eth0 --port eth1 --min-ports 3"),
    (REFUSED, "eth0", "attach agg0 --port eth0 --addresses none"),
    (REFUSED, "agg7", "detach agg7"),
    (REFUSED, "agg7", "adopt agg7"),
    (REFUSED, "agg7", "show agg7"),
    (REFUSED, "agg7", "show agg7 --json"),
    (REFUSED, "agg7", "set agg7 active-port=eth0"),
    (REFUSED, "agg7", "port add agg7 eth1"),
    (REFUSED, "agg7", "port remove agg7 eth1"),
    (REFUSED, "agg7", "confirm agg7"),
    (REFUSED, "agg7", "monitor agg7"),
    (WRONG, "aggregate0123456", "attach aggregate0123456 --port eth0"),
    (WRONG, "a/b", "attach a/b --port eth0"),
    (WRONG, ".", "attach .. --port eth0"),
    (WRONG, "a:b", "attach a:b --port eth0"),
    (WRONG, "-x", "attach --port eth0 -- -x"),
    (WRONG, "-x", "attach --port eth0 --foreground -- -x"),
    (WRONG, "--force", "attach --port eth0 -- --force"),
    (WRONG, "agg%d", "attach agg%d --port eth0"),
    (WRONG, "default", "attach default --port eth0"),
    (WRONG, "-x", "attach agg0 --port=-x"),
    (WRONG, "a/b", "attach agg0 --port eth0 --port a/b"),
    (WRONG, "..", "attach agg0 --port eth0 --port .."),
    (WRONG, "../x", "detach ../x"),
    (WRONG, "..", "detach .. --force"),
    (WRONG, ".", "adopt ."),
    (WRONG, "a/b", "show a/b --json"),
    (WRONG, "a/b", "monitor a/b"),
    (WRONG, "..", "confirm .."),
    (WRONG, "a/b", "set a/b min-ports=1"),
    (WRONG, "a/b", "explain a/b --flow src=10.0.0.2,dst=10.0.0.1"),
    (WRONG, "a/b", "port add a/b eth0"),
    (WRONG, "a/b", "port add agg7 a/b"),
    (WRONG, "-x", "port add agg7 -- -x"),
    (WRONG, "a/b", "port remove agg7 a/b"),
    (WRONG, "aggregate0123456", "port set agg7 aggregate0123456,weight=2"),
    (WRONG, "nonsense", "attach agg0 --port eth0 --mode nonsense"),
    (WRONG, "broadcast", "attach agg0 --port eth0 --mode broadcast"),
    (WRONG, "layer7", "attach agg0 --port eth0 --mode hash --hash layer7"),
    (WRONG, "buckets", "attach agg0 --port eth0 --mode hash --buckets 300"),
    (WRONG, "buckets", "attach agg0 --port eth0 --mode hash --buckets 131072"),
    (REFUSED, "seed", "attach agg0 --port eth0 --mode hash --table kernel-compat --seed 7"),
    (WRONG, "partner", "attach agg0 --port eth0 --mode hash --partner nobody"),
    (WRONG, "stride", "attach agg0 --port eth0 --mode round-robin --stride 70000"),
    (WRONG, "src", "explain agg0 --flow dst=10.0.0.1"),
    (REFUSED, "agg7", "explain agg7 --flow src=10.0.0.2,dst=10.0.0.1"),
    (WRONG, "802.3ad", "attach agg0 --port eth0 --mode 802.3ad"),
    (REFUSED, "--mode lacp", "attach agg0 --port eth0 --lacp-rate fast"),
    (WRONG, "system-priority", "attach agg0 --port eth0 --mode lacp --wiring over --system-priority 0"),
    (WRONG, "isolated", "attach agg0 --port eth0 --wiring isolated"),
    (WRONG, "xdp", "attach agg0 --port eth0 --xdp offload"),
    (WRONG, "mac-policy", "attach agg0 --port eth0 --mac-policy both"),
    (REFUSED, "need mode active-backup", "attach agg0 --port eth0 --mode hash --mac-policy by-active"),
    (REFUSED, "need mode active-backup", "attach agg0 --port eth0 --mode balance-rr --fail_over_mac 2"),
    (WRONG, "4095", "attach agg0 --port eth0 --vlan access=4095"),
    (WRONG, "trunk", "attach agg0 --port eth0 --vlan trunk="),
    (WRONG, "20-10", "attach agg0 --port eth0 --vlan trunk=20-10"),
    (WRONG, "arp", "attach agg0 --port eth0 --watch arp=fe80::1"),
    (WRONG, "weight", "attach agg0 --port eth0,weight=0"),
    (WRONG, "queue-id", "attach agg0 --port eth0,queue-id=2"),
    (WRONG, "nonsense", "attach agg0 --port eth0 --nonsense"),
    (WRONG, "nonsense", "attach agg0 --port eth0,nonsense=1"),
    (WRONG, "priority", "attach agg0 --port eth0,priority=much"),
    (WRONG, "priority", "attach agg0 --port eth0,priority=99999999999"),
    (WRONG, "min-ports", "attach agg0 --port eth0 --min-ports 0"),
    (EITHER, "min-ports", "attach agg0 --port eth0 --min-ports 65"),
    (WRONG, "poll", "attach agg0 --port eth0 --watch link,poll=0"),
    (WRONG, "up-delay", "attach agg0 --port eth0 --watch link,up-delay=-1"),
    (WRONG, "count", "attach agg0 --port eth0 --announce count=256"),
    (WRONG, "reselect", "attach agg0 --port eth0 --reselect sometimes"),
    (WRONG, "promisc", "attach agg0 --port eth0 --promisc maybe"),
    (WRONG, "confirm", "attach agg0 --port eth0 --confirm 0"),
    (WRONG, "port", "attach agg0"),
    (WRONG, "nonsense", "nonsense agg0"),
];

cases!(bad_input_leaves_the_host_untouched: VETH_TCX);
fn bad_input_leaves_the_host_untouched(case: Case) {
    let lab = Lab::two_ports(case);
    let before = HostState::of(&lab.host);
    for bad in ANYWHERE {
        expect_refused(&lab, &before, bad);
    }
}

/// What is wrong with ports that are already in use: how they come to be so, and the bad input.
const IN_USE: &[(&[&str], Bad)] = &[
    (
        &["ip link add br0 type bridge", "ip link set eth1 master br0"],
        (REFUSED, "br0", "attach agg0 --port eth0 --port eth1"),
    ),
    (&["ip link add mv0 link eth1 type macvlan mode bridge"], (REFUSED, "mv0", "attach agg0 --port eth0 --port eth1")),
    (
        &[
            "tc qdisc add dev eth1 clsact",
            "tc filter add dev eth1 ingress protocol all prio 7 u32 match u32 0 0 flowid 1:1",
        ],
        (REFUSED, "eth1", "attach agg0 --port eth0 --port eth1"),
    ),
    (
        &["nft add table netdev t", "nft add chain netdev t c { type filter hook ingress device eth1 priority 0 ; }"],
        (REFUSED, "eth1", "attach agg0 --port eth0 --port eth1"),
    ),
    (
        // Without an address of its own, which would change by itself while the host is compared.
        &["ip link add br7 type bridge", "ip link set br7 addrgenmode none up"],
        (REFUSED, "br7", "attach agg0 --port eth0 --port br7"),
    ),
    (
        &["ip link add vx7 type vxlan id 7 remote 10.0.0.1 dstport 4789"],
        (REFUSED, "--force", "attach agg0 --port eth0 --port vx7"),
    ),
    (&["ip tuntap add dev tun7 mode tun"], (REFUSED, "tun7", "attach agg0 --port eth0 --port tun7")),
    (&["ip link add agg0 type bridge"], (REFUSED, "agg0", "attach agg0 --port eth0 --port eth1")),
    (
        &[
            "ip addr add 10.4.0.2/24 dev eth1",
            "ip route add 192.0.5.0/24 nexthop via 10.0.0.1 dev eth0 nexthop via 10.4.0.1 dev eth1",
        ],
        (REFUSED, "192.0.5.0/24", "attach agg0 --port eth0 --port eth1"),
    ),
    (&["ip link property add dev eth1 altname agg0"], (REFUSED, "agg0", "attach agg0 --port eth0")),
];

cases!(ports_in_use_are_refused: VETH_TCX, TAP_CLSACT);
fn ports_in_use_are_refused(case: Case) {
    for (preparation, bad) in IN_USE {
        let lab = Lab::two_ports(case);
        for line in *preparation {
            lab.host.exec(line).ok();
        }
        let before = HostState::of(&lab.host);
        expect_refused(&lab, &before, bad);
    }
}

/// What is wrong while `agg0` with eth0 and eth1 is there and its controller runs.
const BESIDE_AN_AGGREGATE: &[Bad] = &[
    (REFUSED, "agg0", "attach agg0 --port eth0 --port eth1 --reselect failure"),
    (REFUSED, "agg0", "attach agg0 --port eth0"),
    (REFUSED, "agg0", "attach agg1 --port eth2 --port eth1"),
    (REFUSED, "agg0", "attach agg1 --port agg0"),
    (REFUSED, "agg0", "adopt agg0"),
    (REFUSED, "eth7", "set agg0 active-port=eth7"),
    (REFUSED, "eth2", "set agg0 active-port=eth2"),
    (REFUSED, "min-ports", "set agg0 min-ports=3"),
    (REFUSED, "min-ports", "set agg0 reselect=failure min-ports=3"),
    (WRONG, "min-ports", "set agg0 min-ports=0"),
    (WRONG, "colour", "set agg0 colour=blue"),
    (WRONG, "reselect", "set agg0 reselect=sometimes"),
    (WRONG, "mode", "set agg0 mode=broadcast"),
    (WRONG, "buckets", "set agg0 mode=hash buckets=300"),
    (REFUSED, "seed", "set agg0 mode=hash table=kernel-compat seed=7"),
    (REFUSED, "active port", "set agg0 mode=hash active-port=eth0"),
    (WRONG, "vlan", "set agg0 vlan=access=0"),
    (WRONG, "wiring", "set agg0 wiring=direct"),
    (WRONG, "active-port", "set agg0 active-port"),
    (WRONG, "", "set agg0"),
    (REFUSED, "eth1", "port add agg0 eth1"),
    (REFUSED, "eth7", "port add agg0 eth7"),
    (REFUSED, "lo", "port add agg0 lo"),
    (REFUSED, "eth2", "port remove agg0 eth2"),
    (REFUSED, "eth2", "port set agg0 eth2,priority=3"),
    (WRONG, "colour", "port set agg0 eth1,colour=blue"),
    (WRONG, "weight", "port set agg0 eth1,weight=0"),
];

cases!(bad_input_leaves_an_aggregate_untouched: VETH_TCX, TAP_CLSACT);
fn bad_input_leaves_an_aggregate_untouched(case: Case) {
    let lab = Lab::two_ports(case).with_port("eth2");
    lab.attach("--min-ports 1");
    let controller = lab.host.wait_for_controller("agg0");
    lab.host.wait_for_show("agg0", "both ports usable", |show| show.port("eth1")["usable"] == true);
    let before = HostState::of(&lab.host);
    let show = settings(&lab);
    for bad in BESIDE_AN_AGGREGATE {
        expect_refused(&lab, &before, bad);
        assert_eq!(settings(&lab), show, "{bad:?}");
    }
    assert_eq!(lab.host.wait_for_controller("agg0"), controller);

    // The same again: there is nothing to attach.
    let same = lab.try_attach("--min-ports 1");
    expect_line(&same, &(REFUSED, "agg0", "the same attach again"));
    before.expect_unchanged(&lab.host, "the same attach again");
    assert_eq!(lab.host.wait_for_controller("agg0"), controller);

    lab.host.aggctl("port remove agg0 eth1").ok();
    let before = HostState::of(&lab.host);
    expect_refused(&lab, &before, &(REFUSED, "eth0", "port remove agg0 eth0"));
}

cases!(a_bridge_is_a_port_only_by_force: VETH_TCX);
fn a_bridge_is_a_port_only_by_force(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach("");
    lab.host.ip("link add br7 type bridge");
    lab.host.ip("link set br7 up");
    let before = HostState::of(&lab.host);
    expect_refused(&lab, &before, &(REFUSED, "br7", "port add agg0 br7"));
    lab.host.aggctl("port add agg0 br7 --force").ok();
    lab.host.aggctl("detach agg0").ok();
    lab.host.aggctl("attach agg0 --port eth0 --port br7 --force").ok();
}

cases!(an_aggregate_in_use_is_detached_only_by_force: VETH_TCX, DIRECT_VETH_TCX);
fn an_aggregate_in_use_is_detached_only_by_force(case: Case) {
    let lab = Lab::two_ports(case);
    let start = HostState::of(&lab.host);
    lab.attach("");
    let controller = lab.host.wait_for_controller("agg0");
    lab.host.ip("link add mv0 link agg0 type macvlan mode bridge");
    let before = HostState::of(&lab.host);
    expect_refused(&lab, &before, &(REFUSED, "mv0", "detach agg0"));
    lab.host.ip("link del mv0");

    lab.host.ip("link add br0 type bridge");
    lab.host.ip("link set agg0 master br0");
    // The bridge makes the aggregate promiscuous, and the ports follow.
    lab.host.wait_for_show("agg0", "promiscuous ports", |show| {
        ["eth0", "eth1"].iter().all(|port| show.port(port)["promisc"] == true)
    });
    let before = HostState::of(&lab.host);
    expect_refused(&lab, &before, &(REFUSED, "br0", "detach agg0"));
    assert_eq!(lab.host.wait_for_controller("agg0"), controller);
    lab.host.aggctl("detach agg0 --force").ok();
    lab.host.ip("link del br0");
    start.expect_again(&lab.host, "detach --force");
}

cases!(without_privilege_nothing_happens: VETH_TCX);
fn without_privilege_nothing_happens(case: Case) {
    let lab = Lab::two_ports(case);
    let before = HostState::of(&lab.host);
    // Where the build lies may be closed to others.
    let files = tempfile::Builder::new().prefix("aggctl").tempdir_in("/tmp").unwrap();
    let copy = files.path().join("aggctl");
    std::fs::copy(binary(), &copy).unwrap();
    command::run(std::process::Command::new("chmod").arg("755").args([files.path(), &copy])).ok();
    for line in ["attach agg0 --port eth0 --port eth1", "detach agg0", "adopt agg0", "set agg0 min-ports=1"] {
        let mut command = lab.host.command("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", copy.to_str().unwrap()]);
        let outcome = command::run(command.args(line.split(' ')));
        expect_line(&outcome, &(REFUSED, "", "without privilege"));
        before.expect_unchanged(&lab.host, line);
    }
}

/// What the owner can set, and what follows from it: the state view without counters.
fn settings(lab: &Lab) -> serde_json::Value {
    let mut show = lab.host.show("agg0").0;
    for port in show["ports"].as_array_mut().unwrap() {
        port.as_object_mut().unwrap().retain(|key, _| !key.starts_with("tx_") && !key.starts_with("rx_"));
    }
    show
}

#[track_caller]
fn expect_refused(lab: &Lab, before: &HostState, bad: &Bad) {
    let outcome = lab.host.aggctl(bad.2);
    expect_line(&outcome, bad);
    before.expect_unchanged(&lab.host, bad.2);
}

/// The exit code is right, and one line of errors (the usage may follow where the command line is wrong) says why.
#[track_caller]
fn expect_line(outcome: &Outcome, (codes, part, _): &Bad) {
    assert!(outcome.code.is_some_and(|code| codes.contains(&code)), "expected {codes:?}: {outcome}");
    assert_eq!(outcome.stdout, "", "{outcome}");
    let lines = outcome.complaints().len();
    assert!(lines == 1 || (outcome.code == Some(2) && lines > 1), "{outcome}");
    assert!(outcome.stderr.contains(part), "the message does not name {part}: {outcome}");
}
