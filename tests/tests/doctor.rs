//! `aggctl doctor`: silent where all is well, one finding for each fault of the aggregate, its ports and its
//! controller, gone once it is mended.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests end at the first surprise")]

use aggctl_tests::{
    Case, Lab, cases,
    doctor::{DoctorReport, attached, expect, expect_one},
    processes::{kill, stop},
};
use serde_json::Value;

cases!(where_all_is_well_nothing_is_found: VETH_TCX, TAP_CLSACT, DIRECT_VETH_TCX, DIRECT_TAP_CLSACT);
fn where_all_is_well_nothing_is_found(case: Case) {
    let lab = Lab::two_ports(case);
    let none = DoctorReport::of(&lab.host, "");
    assert_eq!((none.1.code, &none.0["aggregates"]), (Some(0), &Value::Array(Vec::new())), "{}", none.1);
    for mode in ["active-backup", "hash", "round-robin"] {
        // The switch floods, also what we sent.
        lab.attach(&format!("--mode {mode} --partner plain"));
        let report = expect(&lab, &[]);
        assert_eq!(report.0["aggregates"][0], "agg0");
        assert_eq!(DoctorReport::of(&lab.host, "agg0").1.code, Some(0));
        let text = lab.host.aggctl("doctor agg0");
        assert_eq!((text.code, text.stderr.as_str()), (Some(0), ""), "{text}");
        if report.0["findings"].as_array().unwrap().is_empty() {
            assert!(text.stdout.starts_with("nothing found") && text.stdout.contains("agg0"), "{text}");
        }
        lab.host.aggctl("detach agg0").ok();
    }
}

cases!(what_cannot_be_looked_at_is_no_finding: VETH_TCX);
fn what_cannot_be_looked_at_is_no_finding(case: Case) {
    let lab = Lab::two_ports(case);
    for (line, part) in [("doctor agg0", "no aggregate agg0"), ("doctor agg0 --json", "no aggregate agg0")] {
        let outcome = lab.host.aggctl(line);
        assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(2), ""), "{outcome}");
        assert!(matches!(&outcome.complaints()[..], [one] if one.contains(part)), "{outcome}");
    }
    let powerless = lab.host.exec(&format!("setpriv --bounding-set=-net_admin --reuid=65534 {} doctor", binary()));
    assert_eq!(powerless.code, Some(2), "{powerless}");
}

fn binary() -> String {
    aggctl_tests::aggctl::binary().display().to_string()
}

cases!(a_finding_is_for_people_too: VETH_TCX);
fn a_finding_is_for_people_too(case: Case) {
    let lab = attached(case, "");
    lab.cut("eth1");
    expect_one(&lab, "port-no-carrier", &["eth1"]);
    let text = lab.host.aggctl("doctor");
    assert_eq!((text.code, text.stderr.as_str()), (Some(1), ""), "{text}");
    let lines: Vec<_> = text.stdout.lines().filter(|line| !line.contains("kernel")).collect();
    let [seen, remedy] = lines[..] else { panic!("{text}") };
    assert!(seen.starts_with("warning: agg0: eth1 ") && seen.ends_with("[port-no-carrier]"), "{text}");
    assert!(remedy.starts_with("  do: ") && remedy.contains("ethtool eth1"), "{text}");
}

cases!(ports_that_carry_nothing_are_found: VETH_TCX, TAP_CLSACT);
fn ports_that_carry_nothing_are_found(case: Case) {
    let lab = attached(case, "");
    lab.cut("eth1");
    expect_one(&lab, "port-no-carrier", &["eth1"]);
    lab.restore("eth1");
    expect(&lab, &[]);
    lab.host.ip("link set eth1 down");
    expect_one(&lab, "port-down", &["eth1"]);
    lab.host.ip("link set eth1 up");
    expect(&lab, &[]);
    lab.host.aggctl("port set agg0 eth1,enabled=off").ok();
    expect_one(&lab, "port-disabled", &["eth1"]);
    lab.host.aggctl("port set agg0 eth1,enabled=on").ok();
    lab.host.aggctl("set agg0 primary=eth7").ok();
    expect_one(&lab, "primary-absent", &["eth7"]);
    lab.host.aggctl("set agg0 primary=eth0").ok();
    expect(&lab, &[]);
    lab.host.aggctl("set agg0 min-ports=2").ok();
    lab.cut("eth1");
    expect(&lab, &["too-few-ports", "port-no-carrier"]);
    lab.restore("eth1");
    expect(&lab, &[]);
    lab.host.aggctl("set agg0 min-ports=1").ok();
    lab.host.aggctl("port remove agg0 eth1").ok();
    expect_one(&lab, "port-alone", &["eth0"]);
    lab.host.aggctl("port add agg0 eth1").ok();
    expect(&lab, &[]);
    lab.host.ip("link set agg0 down");
    expect_one(&lab, "aggregate-down", &["agg0"]);
    lab.host.ip("link set agg0 up");
    expect(&lab, &[]);
}

cases!(a_port_that_a_watch_does_not_find_well_is_found: VETH_TCX);
fn a_port_that_a_watch_does_not_find_well_is_found(case: Case) {
    let lab = attached(case, "");
    lab.host.aggctl("set agg0 min-ports=1 watch=arp,target=10.0.0.77,interval=20 up-delay=0").ok();
    let ids = ["too-few-ports", "port-unusable", "port-unusable"];
    expect(&lab, &ids);
    lab.host.aggctl("set agg0 watch=link").ok();
    expect(&lab, &[]);
}

cases!(a_missing_controller_or_guardian_is_found: VETH_TCX, DIRECT_VETH_CLSACT);
fn a_missing_controller_or_guardian_is_found(case: Case) {
    let lab = attached(case, "");
    lab.host.kill_all();
    expect_one(&lab, "controller-absent", &["no controller"]);
    lab.host.aggctl("adopt agg0").ok();
    expect(&lab, &[]);
    let controller = lab.host.wait_for_controller("agg0");
    kill(controller.guardian);
    expect_one(&lab, "guardian-absent", &["guardian"]);
    kill(controller.pid);
    expect_one(&lab, "controller-absent", &["no controller"]);
    lab.host.aggctl("adopt agg0").ok();
    expect(&lab, &[]);
    let controller = lab.host.wait_for_controller("agg0");
    stop(controller.guardian);
    stop(controller.pid);
    expect_one(&lab, "controller-silent", &[&controller.pid.as_raw_pid().to_string()]);
    lab.host.aggctl("adopt agg0").ok();
    expect(&lab, &[]);
}

cases!(an_attach_that_nobody_confirms_is_found: VETH_TCX);
fn an_attach_that_nobody_confirms_is_found(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach("--confirm 1000");
    expect_one(&lab, "unconfirmed", &[" s"]);
    lab.host.aggctl("confirm agg0").ok();
    expect(&lab, &[]);
}

cases!(another_mtu_is_found: VETH_TCX, DIRECT_VETH_CLSACT);
fn another_mtu_is_found(case: Case) {
    let lab = attached(case, "");
    // A controller would put it back.
    lab.host.kill_all();
    lab.host.ip("link set eth1 mtu 1400");
    let report = expect(&lab, &["controller-absent", "mtu-differs"]);
    let seen = report.findings().nth(1).unwrap()["seen"].as_str().unwrap();
    assert!(seen.contains("1400") && seen.contains("1500"), "{seen}");
    lab.host.ip("link set eth1 mtu 1500");
    expect(&lab, &["controller-absent"]);
}

cases!(other_offloads_are_found: VETH_TCX);
fn other_offloads_are_found(case: Case) {
    let lab = attached(case, "");
    lab.host.exec("ethtool -K eth1 tx-udp-segmentation off").ok();
    expect_one(&lab, "offload-differs", &["on for eth0", "off for eth1"]);
    lab.host.exec("ethtool -K eth1 tx-udp-segmentation on").ok();
    expect(&lab, &[]);
}

cases!(another_speed_and_half_duplex_are_found: TAP_TCX);
fn another_speed_and_half_duplex_are_found(case: Case) {
    let lab = attached(case, "--mode hash --partner plain");
    lab.host.exec("ethtool -s eth1 speed 1000 duplex full").ok();
    lab.host.exec("ethtool -s eth0 speed 100 duplex full").ok();
    expect_one(&lab, "speed-differs", &["eth0 100 Mbit/s", "eth1 1000 Mbit/s"]);
    lab.host.aggctl("set agg0 mode=active-backup").ok();
    assert_eq!(expect(&lab, &["speed-differs"]).1.code, Some(0), "a hint");
    lab.host.exec("ethtool -s eth0 speed 1000 duplex half").ok();
    expect_one(&lab, "half-duplex", &["eth0"]);
    lab.host.exec("ethtool -s eth0 speed 1000 duplex full").ok();
    expect(&lab, &[]);
}

cases!(a_strict_rp_filter_that_drops_is_found: VETH_TCX, DIRECT_VETH_TCX);
fn a_strict_rp_filter_that_drops_is_found(case: Case) {
    let lab = attached(case, "");
    lab.host.ip("link add other0 type veth peer name other1");
    lab.host.ip("link set other0 up");
    lab.host.ip("link set other1 up");
    lab.host.set_sysctl("net/ipv4/conf/agg0/rp_filter", "1");
    expect(&lab, &[]);
    lab.host.ip("route prepend 10.0.0.0/24 dev other0");
    expect_one(&lab, "rp-filter", &["10.0.0.0/24", "other0"]);
    let reaches = || lab.client.exec("ping -c 1 -W 1 10.0.0.2").succeeded();
    assert!(!reaches(), "what is found is so");
    lab.host.ip("route del 10.0.0.0/24 dev other0");
    expect(&lab, &[]);
    assert!(reaches());
    // The client's other address is behind a router.
    lab.host.ip("route prepend default dev other0");
    assert!(!lab.client.exec("ping -c 1 -W 1 -I 198.51.100.1 10.0.0.2").succeeded());
    expect_one(&lab, "rp-filter-default", &["other0", "packets"]);
    lab.host.set_sysctl("net/ipv4/conf/agg0/rp_filter", "2");
    expect(&lab, &[]);
}
