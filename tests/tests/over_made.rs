//! Wiring `over` on a bonding device that we make of ports which have none.
#![allow(clippy::unwrap_used, reason = "tests end at the first surprise")]

use std::time::Duration;

use aggctl_tests::{
    Case, HostState, Lab, Namespace, Ping,
    aggctl::Show,
    lab::{CLIENT_V4, HOST_V4, HOST_V6},
    matrix::SOON,
    needs,
    processes::kill,
    wait::{lossy, patience},
    wait_for,
};

/// The rhythm of the pings.
const RHYTHM: Duration = Duration::from_millis(10);
/// How many pings the making of a bond may lose.
const LOST: u64 = 5;
/// More steps than any plan for two ports has.
const STEPS: usize = 400;
/// The near host's address, where the far one has a bond.
const NEAR: &str = "10.7.0.1";
/// The far host's address.
const FAR: &str = "10.7.0.2";
/// `ad_actor_oper_port_state` of a port in full use.
const IN_USE: u64 = 63;
/// Makes a bond of two ports that have none.
const MAKE: &str = "attach agg0 --port eth0 --port eth1 --wiring over";

/// Waits until both ports are usable and the choice is ours.
#[track_caller]
fn wait_for_ports(host: &Namespace) -> Show {
    let usable = |show: &Show| ["eth0", "eth1"].iter().all(|port| show.port(port)["usable"] == true);
    host.wait_for_show("agg0", "both ports are usable", |show| usable(show) && show.0["driver"]["decides"] == "aggctl")
}

#[test]
fn a_bond_is_made_of_two_ports_and_taken_apart_again() {
    needs!(BOND);
    let lab = Lab::two_ports(Case::VETH_TCX);
    lab.host.ip("route add 192.0.2.0/24 via 10.0.0.1 dev eth0 src 10.0.0.2");
    let mac = lab.host.link("eth0")["address"].clone();
    let before = HostState::of(&lab.host);
    let (v4, v6) = (lab.ping(RHYTHM), lab.ping6(RHYTHM));
    let ((), stats) = v4.during(|| {
        lab.host.aggctl(MAKE).ok();
        let show = wait_for_ports(&lab.host);
        assert_eq!((&show.0["wiring"], &show.0["mode"]), (&"over".into(), &"active-backup".into()));
        assert_eq!(show.0["driver"]["mode"], "active-backup");
        v4.run(20);
    });
    println!("made: {stats:?}");
    assert!(stats.lost <= lossy(LOST), "{stats:?}");
    assert_eq!(lab.host.link("agg0")["address"], mac);
    let addresses = lab.host.ip("addr show dev agg0");
    assert!(addresses.contains(HOST_V4) && addresses.contains(HOST_V6), "{addresses}");
    assert!(lab.host.ip("route show").contains(&format!("default via {CLIENT_V4} dev agg0")));
    v6.wait_for_answer(SOON);

    // It behaves as any bond that we are attached to.
    lab.host.aggctl("set agg0 active-port=eth1").ok();
    lab.host.wait_for_show("agg0", "eth1 is active", |show| show.active() == Some("eth1"));
    lab.cut("eth1");
    lab.host.wait_for_show("agg0", "eth0 took over", |show| show.active() == Some("eth0"));
    v4.wait_for_answer(SOON);
    lab.restore("eth1");
    wait_for_ports(&lab.host);

    let ((), stats) = v4.during(|| {
        lab.host.aggctl("detach agg0").ok();
        v4.run(20);
    });
    println!("taken apart: {stats:?}");
    assert!(stats.lost <= lossy(LOST), "{stats:?}");
    before.expect_again(&lab.host, "attach and detach");
    v6.wait_for_answer(SOON);
}

#[test]
fn a_failure_at_any_step_undoes_all() {
    needs!(BOND);
    let lab = Lab::two_ports(Case::VETH_TCX);
    let before = HostState::of(&lab.host);
    let mut succeeded = false;
    for step in (0..STEPS).step_by(patience() as usize / 2 + 1) {
        let fault = format!("{step}:{}", if step % 2 == 0 { "fail" } else { "kill" });
        let outcome = lab.host.aggctl_with(&[("AGGCTL_FAULT", &fault)], MAKE);
        succeeded = outcome.succeeded();
        if succeeded {
            assert!(step > 10, "attach succeeded in spite of a fault at step {step}");
            break;
        }
        assert_eq!(outcome.code, Some(1), "{fault}: {outcome}");
        before.expect_again(&lab.host, &fault);
        wait_for("nobody left", SOON, || lab.host.processes().is_empty());
    }
    assert!(succeeded, "attach has more than {STEPS} steps");
    lab.host.aggctl("detach agg0").ok();
    before.expect_again(&lab.host, "detach");
}

#[test]
fn a_bond_that_nobody_confirms_is_taken_apart() {
    needs!(BOND);
    let lab = Lab::two_ports(Case::VETH_TCX);
    let before = HostState::of(&lab.host);
    let ping = lab.ping(RHYTHM);
    lab.host.aggctl(&format!("{MAKE} --confirm {}", 2 * patience())).ok();
    let controller = lab.host.wait_for_controller("agg0");
    wait_for("the attach undone", SOON, || !lab.host.ip("link show").contains("agg0"));
    controller.expect_gone();
    before.expect_again(&lab.host, "an attach that nobody confirmed");
    ping.wait_for_answer(SOON);
}

#[test]
fn a_bond_of_ours_survives_its_controller_and_is_given_back_when_others_delete_it() {
    needs!(BOND);
    let lab = Lab::two_ports(Case::VETH_TCX);
    let before = HostState::of(&lab.host);
    lab.host.aggctl(MAKE).ok();
    wait_for_ports(&lab.host);
    let ping = lab.ping(RHYTHM);
    let controller = lab.host.wait_for_controller("agg0");
    let ((), stats) = ping.during(|| {
        kill(controller.guardian);
        kill(controller.pid);
        lab.host.wait_for_show("agg0", "the driver chooses", |show| show.0["driver"]["decides"] == "driver");
        lab.host.aggctl(MAKE).ok();
        wait_for_ports(&lab.host);
    });
    assert_eq!(stats.lost, 0, "{stats:?}");
    let controller = lab.host.wait_for_controller("agg0");
    lab.host.ip("link del agg0");
    controller.expect_gone();
    wait_for("eth0 has its address back", SOON, || lab.host.ip("addr show dev eth0").contains(HOST_V4));
    before.expect_again(&lab.host, "a bond that others deleted");
    ping.wait_for_answer(SOON);
}

#[test]
fn a_host_that_would_be_cut_off_is_left_as_it_is() {
    needs!(BOND);
    let lab = Lab::two_ports(Case::VETH_TCX);
    lab.cut("eth1");
    wait_for("no carrier", SOON, || !lab.host.has_carrier("eth1"));
    let before = HostState::of(&lab.host);
    for (line, complaint) in [
        (MAKE, "another port"),
        ("attach agg0 --port eth0 --wiring over", "another port"),
        ("attach agg0 --port eth0 --port eth1 --wiring over --min-ports 2", "min_links"),
        ("attach agg0 --port eth0 --port eth1 --wiring over --lacp-rate fast", "--mode lacp"),
        ("attach agg0 --port eth0 --port nothing --wiring over", "nothing"),
    ] {
        let outcome = lab.host.aggctl(line);
        assert!(!outcome.succeeded() && outcome.stderr.contains(complaint), "{line}: {outcome}");
        before.expect_again(&lab.host, line);
    }
}

/// Two bare ports of the near host to the two of a bond that speaks LACP; the near host has an address on `eth0`.
fn to_lacp() -> (Namespace, Namespace) {
    let (near, far) = (Namespace::new("n"), Namespace::new("f"));
    for host in [&near, &far] {
        host.set_sysctl("net/ipv6/conf/default/disable_ipv6", "1");
    }
    far.ip("link add bond0 type bond mode 802.3ad lacp_rate fast miimon 10");
    for port in ["eth0", "eth1"] {
        near.ip(&format!("link add {port} type veth peer name {port} netns {}", far.name()));
        far.ip(&format!("link set {port} master bond0"));
        near.ip(&format!("link set {port} up"));
        near.keep_queues_short(port);
    }
    far.ip(&format!("addr add {FAR}/24 dev bond0"));
    far.ip("link set bond0 up");
    near.ip(&format!("addr add {NEAR}/24 dev eth0"));
    (near, far)
}

#[test]
fn lacp_is_agreed_on_before_the_host_moves() {
    needs!(BOND);
    let (near, far) = to_lacp();
    let answers = || near.exec(&format!("ping -c 1 -W 1 {FAR}")).succeeded();
    wait_for("the far host answers", SOON * 3, answers);
    let before = HostState::of(&near);
    let ping = Ping::start(&near, &far, FAR, None, RHYTHM);
    let ((), stats) = ping.during(|| {
        near.aggctl(&format!("{MAKE} --mode lacp --lacp-rate fast --system-priority 7 --ad-select count")).ok();
        ping.wait_for_answer(SOON);
    });
    println!("made: {stats:?}");
    assert!(stats.lost <= lossy(LOST), "{stats:?}");
    let show = wait_for_ports(&near);
    assert_eq!((&show.0["mode"], &show.0["driver"]["mode"]), (&"lacp".into(), &"802.3ad".into()));
    let driver = near.link("agg0")["linkinfo"]["info_data"].clone();
    assert_eq!((&driver["ad_lacp_rate"], &driver["ad_select"]), (&"fast".into(), &"count".into()), "{driver:#}");
    assert_eq!(driver["ad_actor_sys_prio"], 7, "{driver:#}");
    let state = |port: &str| near.link(port)["linkinfo"]["info_slave_data"]["ad_actor_oper_port_state"].clone();
    wait_for("LACP has agreed on both", SOON * 3, || ["eth0", "eth1"].iter().all(|port| state(port) == IN_USE));
    let ((), stats) = ping.during(|| {
        near.aggctl("set agg0 hash=layer3+4").ok();
        near.aggctl("set agg0 mode=random").ok();
        near.aggctl("set agg0 mode=lacp").ok();
        ping.run(20);
    });
    assert_eq!(stats.lost, 0, "{stats:?}");
    near.aggctl("detach agg0").ok();
    // Whether the far host uses the port with the address, now that neither speaks LACP, is its own choice.
    before.expect_again(&near, "attach and detach");
}

#[test]
fn without_a_partner_nothing_moves() {
    needs!(BOND);
    let lab = Lab::two_ports(Case::VETH_TCX);
    let before = HostState::of(&lab.host);
    let ping = lab.ping(RHYTHM);
    let ((), stats) = ping.during(|| {
        let outcome = lab.host.aggctl(&format!("{MAKE} --mode lacp --lacp-rate fast"));
        assert!(!outcome.succeeded() && outcome.stderr.contains("partner"), "{outcome}");
    });
    assert!(stats.lost <= lossy(1), "{stats:?}");
    before.expect_again(&lab.host, "no partner");
}
