//! Field scenario S4 in active-backup: guests on VLANs over an aggregate, behind a switch that learns.
#![allow(clippy::unwrap_used, reason = "tests end at the first surprise")]

use std::time::Duration;

use aggctl_tests::{
    Capture, Case, Ping, capture, cases,
    matrix::SOON,
    needs,
    sys::Captured,
    two_hosts::{Guests, TwoHosts, VLANS, address, switch_end},
    vlan, wait_for,
};

/// The rhythm of the pings.
const RHYTHM: Duration = Duration::from_millis(20);

cases!(guests_on_vlan_devices_meet_in_their_vlan_only: VETH_TCX);
fn guests_on_vlan_devices_meet_in_their_vlan_only(case: Case) {
    needs!(VLAN);
    meet(&TwoHosts::new(case, Guests::OnVlanDevices));
}

cases!(guests_on_one_bridge_meet_in_their_vlan_only: VETH_TCX);
fn guests_on_one_bridge_meet_in_their_vlan_only(case: Case) {
    needs!(VLAN);
    meet(&TwoHosts::new(case, Guests::OnOneBridge));
}

/// Pings between the guests of each VLAN while the active ports of both hosts fail and are made active again.
#[track_caller]
fn meet(lab: &TwoHosts) {
    let pings: Vec<_> = (0..VLANS.len())
        .flat_map(|place| [(0, 1), (1, 0)].map(|(from, to)| (place, from, to)))
        .map(|(place, from, to)| {
            let namespaces = [from, to].map(|host| &lab.hosts[host].guests[place].namespace);
            Ping::start(namespaces[0], namespaces[1], &address(to, place), None, RHYTHM)
        })
        .collect();
    let at_guests: Vec<_> = (0..VLANS.len())
        .map(|place| Capture::start(&lab.hosts[0].guests[place].namespace, "eth0", capture::is_ping))
        .collect();
    let wire = |host: usize, port: usize| {
        Capture::start(&lab.switch, &switch_end(host, port), |captured| {
            capture::is_ping(captured) && !captured.outgoing
        })
    };
    let expect_meetings = |active: [usize; 2]| {
        pings.iter().for_each(|ping| ping.wait_for_answer(SOON));
        for (host, port) in active.into_iter().enumerate() {
            let name = format!("eth{port}");
            lab.hosts[host]
                .namespace
                .wait_for_show("agg0", &format!("{name} is active"), |show| show.active() == Some(name.as_str()));
            expect_trunk(&wire(host, port), host);
        }
    };

    expect_meetings([0, 0]);
    for (from, to) in [((0, 0), (1, 1)), ((1, 1), (0, 0)), ((0, 0), (0, 1))] {
        assert!(!lab.reaches(from, to), "guests of different VLANs meet: {from:?}, {to:?}");
    }
    lab.plug(0, 0, false);
    expect_meetings([1, 0]);
    lab.plug(1, 0, false);
    expect_meetings([1, 1]);
    assert!(!lab.reaches((0, 1), (1, 0)), "guests of different VLANs meet after failovers");
    for host in [0, 1] {
        lab.plug(host, 0, true);
        let host = &lab.hosts[host].namespace;
        host.wait_for_show("agg0", "eth0 waits", |show| show.state("eth0") == "standby");
        host.aggctl("set agg0 active-port=eth0").ok();
    }
    expect_meetings([0, 0]);
    assert!(!lab.reaches((0, 0), (1, 1)), "guests of different VLANs meet after failbacks");
    for capture in at_guests {
        assert!(capture.frames().iter().all(|captured| vlan::tags(&captured.bytes).is_empty()), "a tag at a guest");
    }
}

/// Checks that a host's guests send from now on, with the tag of their VLAN.
#[track_caller]
fn expect_trunk(wire: &Capture, host: usize) {
    for (place, number) in VLANS.into_iter().enumerate() {
        let source = address(host, place).parse().unwrap();
        let is_from = |captured: &Captured| vlan::source(&captured.bytes) == Some(source);
        wait_for(&format!("pings from {source} on the wire"), SOON, || wire.count(is_from) >= 3);
        for captured in wire.frames().into_iter().filter(is_from) {
            assert_eq!(vlan::tags(&captured.bytes), [vlan::customer(number)], "{:02x?}", captured.bytes);
        }
    }
}
