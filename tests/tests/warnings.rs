//! What attach says, and chooses, besides doing its work.
#![allow(clippy::unwrap_used, reason = "tests end at the first surprise")]

use std::time::Duration;

use aggctl_tests::{
    Case, HostState, Lab, cases, guest,
    lab::HOST_V4,
    matrix::SOON,
    skip,
    wait::{lossy, succeeds_once},
    wait_for,
};

cases!(success_is_quiet: VETH_TCX, TAP_CLSACT);
fn success_is_quiet(case: Case) {
    let lab = Lab::two_ports(case);
    for line in [
        lab.attach_line(""),
        "set agg0 active-port=eth1 min-ports=1".to_owned(),
        "port set agg0 eth0,priority=3".to_owned(),
        "port remove agg0 eth1".to_owned(),
        "port add agg0 eth1".to_owned(),
        "detach agg0".to_owned(),
    ] {
        let outcome = lab.host.aggctl(&line);
        assert_eq!((outcome.code, outcome.stdout.as_str(), outcome.stderr.as_str()), (Some(0), "", ""), "{outcome}");
    }
}

/// What goes on naming a port after attach: how it comes to be so, and what the warning names.
const NAMES_A_PORT: &[(&[&str], &str)] = &[
    (&["ip rule add iif eth0 lookup 77"], "rule"),
    (
        &[
            "nft add table inet filter",
            "nft add chain inet filter input { type filter hook input priority 0 ; }",
            "nft add rule inet filter input iifname eth0 counter",
        ],
        "nft",
    ),
    (
        &[
            "nft add table inet filter",
            "nft add chain inet filter input { type filter hook input priority 0 ; }",
            "nft add rule inet filter input iif eth0 counter",
        ],
        "inet filter input",
    ),
    (&["ip link add vx0 type vxlan id 7 remote 10.0.0.1 dstport 4789 dev eth0"], "vx0 (vxlan)"),
    (&["ip maddr add 01:1b:19:00:00:00 dev eth0"], "01:1b:19:00:00:00"),
];

cases!(what_still_names_a_port_is_warned_about: VETH_TCX);
fn what_still_names_a_port_is_warned_about(case: Case) {
    for (preparation, part) in NAMES_A_PORT {
        let lab = Lab::two_ports(case);
        for line in *preparation {
            lab.host.exec(line).ok();
        }
        let outcome = lab.try_attach("");
        expect_warning(&outcome, part);
    }
}

cases!(strict_refuses_what_is_warned_about_otherwise: VETH_TCX, DIRECT_VETH_TCX);
fn strict_refuses_what_is_warned_about_otherwise(case: Case) {
    let lab = Lab::two_ports(case).with_port("eth2");
    lab.host.ip("rule add iif eth1 lookup 77");
    lab.host.ip("rule add oif eth2 lookup 77");
    let before = HostState::of(&lab.host);
    let outcome = lab.try_attach("--strict");
    expect_strict(&outcome, "eth1");
    before.expect_unchanged(&lab.host, "attach --strict");

    lab.host.ip("rule del iif eth1 lookup 77");
    let outcome = lab.try_attach("--strict");
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "{outcome}");
    let before = HostState::of(&lab.host);
    let outcome = lab.host.aggctl("port add agg0 eth2 --strict");
    expect_strict(&outcome, "eth2");
    before.expect_unchanged(&lab.host, "port add --strict");
    assert_eq!(lab.host.show("agg0").0["ports"].as_array().unwrap().len(), 2);
    let outcome = lab.host.aggctl("port add agg0 eth2");
    expect_warning(&outcome, "eth2");
    assert_eq!(lab.host.show("agg0").0["ports"].as_array().unwrap().len(), 3);
}

/// It was refused because of `--strict`, in one line, behind one warning that names this.
#[track_caller]
fn expect_strict(outcome: &aggctl_tests::Outcome, part: &str) {
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(1), ""), "{outcome}");
    let [line] = outcome.complaints()[..] else { panic!("{outcome}") };
    assert!(line.contains("--strict"), "{outcome}");
    assert!(outcome.stderr.lines().any(|line| line.contains("warning: ") && line.contains(part)), "{outcome}");
}

cases!(ports_without_a_link_are_warned_about: VETH_TCX, TAP_CLSACT, DIRECT_VETH_TCX);
fn ports_without_a_link_are_warned_about(case: Case) {
    let lab = Lab::two_ports(case).with_port("eth2");
    for port in ["eth1", "eth2"] {
        lab.cut(port);
        wait_for("a port without carrier", SOON, || !lab.host.has_carrier(port));
    }
    expect_warning(&lab.try_attach(""), "eth1 has no link");
    expect_warning(&lab.host.aggctl("port add agg0 eth2"), "eth2 has no link");
}

cases!(a_port_that_was_down_is_warned_about_only_without_a_link: VETH_TCX);
fn a_port_that_was_down_is_warned_about_only_without_a_link(case: Case) {
    let lab = Lab::two_ports(case).with_port("eth2");
    lab.host.ip("link set eth1 down");
    let outcome = lab.try_attach("");
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "{outcome}");
    lab.host.ip("link set eth2 down");
    lab.cut("eth2");
    expect_warning(&lab.host.aggctl("port add agg0 eth2"), "eth2 has no link");
}

cases!(a_dhcp_client_on_a_port_is_warned_about: VETH_TCX);
fn a_dhcp_client_on_a_port_is_warned_about(case: Case) {
    let lab = Lab::two_ports(case);
    if !guest::busybox_has("udhcpc") {
        return skip("needs busybox with udhcpc");
    }
    // `-f`: it stays, and asks on and on. The namespace takes it along when the test ends.
    let mut client = lab.host.command("busybox");
    client.args(["udhcpc", "-f", "-i", "eth0", "-s", "/bin/true"]);
    let quiet = std::process::Stdio::null;
    let mut client = client.stdout(quiet()).stderr(quiet()).spawn().unwrap();
    let asks = || lab.host.processes().iter().any(|pid| pid.as_raw_pid() == client.id().cast_signed());
    wait_for("the client", SOON, asks);
    wait_for("the client's socket", SOON, || lab.host.exec("cat /proc/net/packet").ok().lines().count() > 1);
    let outcome = lab.try_attach("");
    client.kill().unwrap();
    client.wait().unwrap();
    expect_warning(&outcome, "eth0");
}

cases!(the_port_that_has_the_address_comes_first: VETH_TCX, TAP_CLSACT);
fn the_port_that_has_the_address_comes_first(case: Case) {
    succeeds_once(|| port_with_address_comes_first(case));
}

fn port_with_address_comes_first(case: Case) -> Result<(), String> {
    let lab = Lab::bare(case);
    lab.host.ip(&format!("addr add {HOST_V4}/24 dev eth1"));
    let mac = lab.host.link("eth1")["address"].clone();
    let ping = lab.ping(Duration::from_millis(10));
    let ((), stats) = ping.during(|| {
        lab.attach("");
        ping.run(20);
    });
    if stats.lost > lossy(1) {
        return Err(format!("{stats:?}"));
    }
    let show = lab.host.show("agg0");
    assert_eq!((show.active(), &show.0["mac"]), (Some("eth1"), &mac));
    lab.host.aggctl("detach agg0").ok();
    assert!(lab.host.ip("-4 addr show dev eth1").contains(HOST_V4));
    ping.wait_for_answer(SOON);
    Ok(())
}

/// The attach succeeded, and one warning names what it must.
#[track_caller]
fn expect_warning(outcome: &aggctl_tests::Outcome, part: &str) {
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(0), ""), "{outcome}");
    assert!(outcome.complaints().is_empty(), "{outcome}");
    assert!(outcome.stderr.lines().any(|line| line.contains("warning: ") && line.contains(part)), "{outcome}");
}
