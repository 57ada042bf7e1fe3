//! Watches beyond the link: paths that are dead though their carrier is up.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests end at the first surprise")]

use std::time::Duration;

use aggctl_tests::{
    Capture, Case, Lab, Neighbour, Show, Talk, cases,
    frames::{STRANGER, mac},
    lab::{CLIENT_V4, CLIENT_V6, switch_end},
    matrix::SOON,
    sys::PacketSocket,
    wait_for,
};
use serde_json::Value;

const RHYTHM: Duration = Duration::from_millis(10);

/// Takes the far end of a port's cable off the switch: the carrier stays, and nobody is reached any more.
#[track_caller]
fn kill_path(lab: &Lab, port: &str) {
    lab.switch.ip(&format!("link set {} nomaster", switch_end(port)));
}

/// Puts it back.
#[track_caller]
fn revive_path(lab: &Lab, port: &str) {
    lab.switch.ip(&format!("link set {} master br0", switch_end(port)));
}

/// The watch of a port that its text begins with this.
#[track_caller]
fn watch<'a>(show: &'a Show, port: &str, kind: &str) -> &'a Value {
    let watches = show.port(port)["watches"].as_array().expect("watches is an array");
    let such = |watch: &&Value| watch["watch"].as_str().is_some_and(|text| text.starts_with(kind));
    watches.iter().find(such).unwrap_or_else(|| panic!("no watch {kind} of {port} in {:#}", show.0))
}

fn number(watch: &Value, key: &str) -> u64 {
    watch["targets"][0][key].as_u64().unwrap_or_else(|| panic!("{key} is a number in {watch:#}"))
}

/// Waits until a watch of a port has seen so many more answers than now.
#[track_caller]
fn wait_for_answers(lab: &Lab, port: &str, kind: &str, more: u64) -> Show {
    let before = number(watch(&lab.host.show("agg0"), port, kind), "answers");
    lab.host.wait_for_show("agg0", "more answers", |show| number(watch(show, port, kind), "answers") >= before + more)
}

/// Waits until a watch of a port has asked so many more questions than now.
#[track_caller]
fn wait_for_questions(lab: &Lab, port: &str, kind: &str, more: u64) -> Show {
    let before = number(watch(&lab.host.show("agg0"), port, kind), "asked");
    lab.host.wait_for_show("agg0", "more questions", |show| number(watch(show, port, kind), "asked") >= before + more)
}

#[track_caller]
fn wait_for_active(lab: &Lab, port: &str) -> Show {
    lab.host.wait_for_show("agg0", &format!("{port} is active"), |show| show.active() == Some(port))
}

cases!(a_dead_path_with_carrier_is_left_and_taken_again: VETH_TCX, TAP_CLSACT, DIRECT_VETH_TCX);
fn a_dead_path_with_carrier_is_left_and_taken_again(case: Case) {
    let lab = Lab::two_ports(case);
    let arp = format!("arp,target={CLIENT_V4},interval=50");
    lab.attach(&format!("--watch link --watch {arp} --primary eth0"));
    for port in ["eth0", "eth1"] {
        let show = wait_for_answers(&lab, port, "arp", 3);
        assert_eq!(watch(&show, port, "arp")["up"], true, "the port that waits is asked by, too");
        assert_eq!(watch(&show, port, "arp")["targets"][0]["mac"], lab.client.link("eth0")["address"]);
    }
    let ping = lab.ping(RHYTHM);
    ping.wait_for_answer(SOON);

    kill_path(&lab, "eth0");
    let show = wait_for_active(&lab, "eth1");
    assert_eq!((&show.port("eth0")["link"], &show.port("eth0")["usable"]), (&"up".into(), &false.into()));
    let why = show.port("eth0")["why"].as_str().unwrap();
    assert!(why.contains(CLIENT_V4) && why.contains("does not answer"), "{why}");
    assert!(number(watch(&show, "eth0", "arp"), "missed") >= 3, "{:#}", show.0);
    ping.wait_for_answer(SOON);

    revive_path(&lab, "eth0");
    wait_for_active(&lab, "eth0");
    ping.wait_for_answer(SOON);
    let text = lab.host.aggctl("show agg0").ok();
    assert!(text.contains(&format!("eth1: {arp}: well: {CLIENT_V4} missed 0 of 3")), "{text}");
}

cases!(neighbour_solicitations_find_a_dead_path_as_arp_does: VETH_TCX, DIRECT_VETH_TCX);
fn neighbour_solicitations_find_a_dead_path_as_arp_does(case: Case) {
    let lab = Lab::two_ports(case);
    let addresses: Value = serde_json::from_str(&lab.client.ip("-j -6 addr show dev eth0")).unwrap();
    let addresses = addresses[0]["addr_info"].as_array().expect("addresses");
    let link_local = addresses.iter().find(|address| address["scope"] == "link").expect("a link-local address");
    let link_local = link_local["local"].as_str().unwrap().to_owned();
    for target in [CLIENT_V6, &link_local] {
        let options = format!("--watch ns,target={target},interval=50");
        lab.attach(&options);
        for port in ["eth0", "eth1"] {
            assert_eq!(watch(&wait_for_answers(&lab, port, "ns", 3), port, "ns")["up"], true);
        }
        let active = lab.host.show("agg0").active().unwrap().to_owned();
        let other = if active == "eth0" { "eth1" } else { "eth0" };
        kill_path(&lab, &active);
        wait_for_active(&lab, other);
        revive_path(&lab, &active);
        lab.host.wait_for_show("agg0", "both are usable", |show| show.port(&active)["usable"] == true);
        lab.host.aggctl("detach agg0").ok();
    }
}

/// An ARP request to everybody.
fn question(mac: [u8; 6], sender: [u8; 4], target: [u8; 4]) -> Vec<u8> {
    let request = [8, 6, 0, 1, 8, 0, 6, 4, 0, 1];
    [&[0xff; 6][..], &mac, &request, &mac, &sender, &[0; 6], &target].concat()
}

cases!(nobody_else_keeps_a_dead_port_up: VETH_TCX, TAP_CLSACT);
fn nobody_else_keeps_a_dead_port_up(case: Case) {
    let lab = Lab::two_ports(case);
    let arp = format!("arp,target={CLIENT_V4},interval=50");
    lab.attach(&format!("--watch {arp} --primary eth0"));
    wait_for_answers(&lab, "eth0", "arp", 3);
    kill_path(&lab, "eth0");
    // A neighbour at the dead end answers for everybody that it has a route to, and talks all the time.
    lab.switch.ip("addr add 10.0.0.77/24 dev sw0");
    lab.switch.ip(&format!("route add {CLIENT_V4}/32 dev br0"));
    lab.switch.set_sysctl("net/ipv4/conf/sw0/proxy_arp", "1");
    lab.switch.set_sysctl("net/ipv4/conf/all/forwarding", "1");
    lab.switch.set_sysctl("net/ipv4/neigh/sw0/proxy_delay", "0");
    let proxy = mac(lab.switch.link("sw0")["address"].as_str().unwrap());
    let proxied = Capture::start(&lab.host, "eth0", move |frame| {
        frame.bytes.get(12..14) == Some(&[8, 6])
            && frame.bytes.get(20..22) == Some(&[0, 2])
            && frame.bytes[6..12] == proxy
    });
    let _talk = Talk::start(&lab.switch, "sw0");
    wait_for_active(&lab, "eth1");

    // Whoever asks for himself is answered by the proxy …
    let stranger = lab.host.enter(|| PacketSocket::open("eth0", 0)).unwrap();
    wait_for("the proxy answers", SOON, || {
        stranger.send(&question(STRANGER, [10, 0, 0, 79], [10, 0, 0, 1])).unwrap();
        proxied.count(|_| true) > 0
    });
    // … and the watch is not.
    let show = wait_for_questions(&lab, "eth0", "arp", 20);
    assert_eq!((watch(&show, "eth0", "arp")["up"].as_bool(), show.active()), (Some(false), Some("eth1")));

    // If whatever is received counted, the same port were up.
    lab.host.aggctl(&format!("set agg0 watch={arp},validate=none")).ok();
    wait_for_active(&lab, "eth0");
    lab.host.aggctl(&format!("set agg0 watch={arp}")).ok();
    wait_for_active(&lab, "eth1");
}

cases!(a_question_that_comes_back_is_no_answer: VETH_TCX, DIRECT_VETH_TCX);
fn a_question_that_comes_back_is_no_answer(case: Case) {
    let lab = Lab::two_ports(case);
    let arp = format!("arp,target={CLIENT_V4},interval=50");
    lab.attach(&format!("--watch {arp} --primary eth0"));
    wait_for_answers(&lab, "eth0", "arp", 3);
    // Everything that eth0 sends comes back to it, and goes nowhere else.
    lab.switch.ip("link add br1 type bridge mcast_snooping 0");
    lab.switch.ip("link set br1 up");
    lab.switch.ip("link set sw0 master br1");
    lab.switch.ip("link set sw0 type bridge_slave hairpin on");
    let show = wait_for_active(&lab, "eth1");
    let before = show.counter("eth0", "rx_packets");
    let show = wait_for_questions(&lab, "eth0", "arp", 20);
    assert!(show.counter("eth0", "rx_packets") >= before + 10, "they do come back: {:#}", show.0);
    assert_eq!((watch(&show, "eth0", "arp")["up"].as_bool(), show.active()), (Some(false), Some("eth1")));
    revive_path(&lab, "eth0");
    wait_for_active(&lab, "eth0");
}

cases!(a_target_that_answers_late_answers: VETH_TCX);
fn a_target_that_answers_late_answers(case: Case) {
    let lab = Lab::two_ports(case);
    // Each answer comes after the next question.
    let _neighbour = Neighbour::start(&lab.client, "eth0", [10, 0, 0, 5], None, Duration::from_millis(150));
    lab.attach("--watch arp,target=10.0.0.5,interval=100,missed-max=5");
    let show = wait_for_answers(&lab, "eth0", "arp", 20);
    for port in ["eth0", "eth1"] {
        assert_eq!((&watch(&show, port, "arp")["up"], &show.port(port)["usable"]), (&true.into(), &true.into()));
    }
    assert_eq!(show.active(), Some("eth0"));
}

cases!(questions_are_tagged_as_the_rule_demands: VETH_TCX, TAP_CLSACT, DIRECT_VETH_TCX);
fn questions_are_tagged_as_the_rule_demands(case: Case) {
    let lab = Lab::two_ports(case);
    let _neighbour = Neighbour::start(&lab.client, "eth0", [10, 7, 0, 1], Some(7), Duration::ZERO);
    lab.attach("--vlan access=7 --watch arp,target=10.7.0.1,interval=50 --primary eth0");
    for port in ["eth0", "eth1"] {
        wait_for_answers(&lab, port, "arp", 3);
    }
    // The host has the tags now, and the watch says in which VLAN it asks.
    lab.host.aggctl("set agg0 vlan=trunk=7-9 watch=arp,target=10.7.0.1,interval=50,vlan=7").ok();
    for port in ["eth0", "eth1"] {
        wait_for_answers(&lab, port, "arp", 3);
    }
    kill_path(&lab, "eth0");
    wait_for_active(&lab, "eth1");
    // In a VLAN where nobody is.
    revive_path(&lab, "eth0");
    wait_for_active(&lab, "eth0");
    lab.host.aggctl("set agg0 watch=arp,target=10.7.0.1,interval=50,vlan=8").ok();
    lab.host.wait_for_show("agg0", "no port is well", |show| show.active().is_none());
}

cases!(watches_change_while_the_aggregate_runs: VETH_TCX);
fn watches_change_while_the_aggregate_runs(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach("--primary eth0");
    let ping = lab.ping(RHYTHM);
    ping.wait_for_answer(SOON);
    let arp = format!("arp,target={CLIENT_V4},interval=50");
    let ((), stats) = ping.during(|| {
        lab.host.aggctl(&format!("set agg0 watch=link watch={arp}")).ok();
        wait_for_answers(&lab, "eth1", "arp", 3);
    });
    assert_eq!(stats.lost, 0, "{stats:?}");
    kill_path(&lab, "eth0");
    wait_for_active(&lab, "eth1");
    // A port of its own mind.
    lab.host.aggctl("port set agg0 eth0,watch=link").ok();
    wait_for_active(&lab, "eth0");
    assert_eq!(lab.host.show("agg0").port("eth0")["watch"], "link");
    lab.host.aggctl("port set agg0 eth0,watch=default").ok();
    wait_for_active(&lab, "eth1");
    // Any of two will do.
    lab.host.aggctl("set agg0 watch-policy=any").ok();
    wait_for_active(&lab, "eth0");
    lab.host.aggctl("set agg0 watch-policy=all").ok();
    wait_for_active(&lab, "eth1");
    lab.host.aggctl("set agg0 watch=link").ok();
    let show = wait_for_active(&lab, "eth0");
    assert_eq!(show.port("eth0")["watches"].as_array().unwrap().len(), 1);
}

cases!(the_next_controller_goes_on_watching: VETH_TCX, DIRECT_VETH_TCX);
fn the_next_controller_goes_on_watching(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach(&format!("--watch arp,target={CLIENT_V4},interval=50 --primary eth0"));
    wait_for_answers(&lab, "eth1", "arp", 3);
    kill_path(&lab, "eth0");
    wait_for_active(&lab, "eth1");
    lab.host.kill_all();
    let ping = lab.ping(RHYTHM);
    ping.wait_for_answer(SOON);
    let ((), stats) = ping.during(|| {
        lab.host.aggctl("adopt agg0").ok();
        lab.host.wait_for_controller("agg0");
        wait_for_questions(&lab, "eth0", "arp", 10);
    });
    let show = lab.host.show("agg0");
    assert_eq!((show.active(), stats.lost), (Some("eth1"), 0), "the dead port is not trusted: {stats:?}");
    revive_path(&lab, "eth0");
    wait_for_active(&lab, "eth0");
    kill_path(&lab, "eth0");
    wait_for_active(&lab, "eth1");
}

cases!(a_link_that_works_in_one_direction_only_is_left: VETH_TCX, DIRECT_VETH_TCX);
fn a_link_that_works_in_one_direction_only_is_left(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach("--watch traffic,idle=3s --primary eth0");
    wait_for_active(&lab, "eth0");
    // Somebody broadcasts all the time, which comes to both ports.
    let _talk = Talk::start(&lab.client, "eth0");
    let hears_nothing = "learning off flood off mcast_flood off bcast_flood off";
    lab.switch.ip(&format!("link set sw0 type bridge_slave {hears_nothing}"));
    lab.switch.ip("link set sw0 type bridge_slave fdb_flush");
    let show = wait_for_active(&lab, "eth1");
    let why = show.port("eth0")["why"].as_str().unwrap();
    assert!(why.contains("received nothing for 3000 ms"), "{why}");
    lab.switch.ip(&format!("link set sw0 type bridge_slave {}", hears_nothing.replace("off", "on")));
    wait_for_active(&lab, "eth0");
}

cases!(answers_pass_ports_that_drop_early: VETH_TCX);
fn answers_pass_ports_that_drop_early(case: Case) {
    let lab = Lab::two_ports(case);
    lab.attach(&format!("--xdp generic --watch arp={CLIENT_V4},interval=50 --watch ns={CLIENT_V6},interval=50"));
    for kind in ["arp", "ns"] {
        wait_for_answers(&lab, "eth1", kind, 20);
    }
    let show = lab.host.show("agg0");
    assert_eq!((&show.port("eth1")["xdp"], show.state("eth1")), (&"generic".into(), "standby"));
    kill_path(&lab, "eth0");
    wait_for_active(&lab, "eth1");
}

#[test]
fn a_watch_that_makes_no_sense_is_refused() {
    let lab = Lab::bare(Case::VETH_TCX);
    for (watch, part) in [
        ("arp", "target=IP"),
        ("arp,target=fe80::1", "family"),
        ("arp,target=10.0.0.1,interval=5", "10 to 300000 ms"),
        ("bogus", "link, arp, ns, traffic, errors"),
    ] {
        let outcome = lab.try_attach(&format!("--watch {watch}"));
        assert!(!outcome.succeeded() && outcome.stderr.contains(part), "{watch}: {outcome}");
    }
}
