//! What `aggctl doctor` finds by counting for a second what passes the ports: the switch, the hash, VLANs.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests end at the first surprise")]

use std::{
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread::{self, JoinHandle},
    time::Duration,
};

use aggctl_tests::{
    Case, Namespace, cases,
    doctor::{attached, expect, expect_on, expect_one},
    group::Group,
    sys::PacketSocket,
};
use serde_json::Value;

/// Sends a frame over and over, until it is dropped.
struct Stream {
    /// Ends the thread when it is dropped.
    end: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Stream {
    /// Out of this interface, one at a time with this pause.
    fn of(host: &Namespace, interface: &str, frame: Vec<u8>, pause: Duration) -> Self {
        let socket = host.enter(|| PacketSocket::open(interface, 0)).unwrap();
        let (end, ended) = mpsc::channel();
        let thread = thread::spawn(move || {
            while ended.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                // A full queue is no matter.
                let _ = socket.send(&frame);
            }
        });
        Self { end: Some(end), thread: Some(thread) }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.end = None;
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// The MAC of an interface.
fn mac(host: &Namespace, interface: &str) -> [u8; 6] {
    let text = host.link(interface)["address"].as_str().unwrap().to_owned();
    let octets: Vec<_> = text.split(':').map(|octet| u8::from_str_radix(octet, 16).unwrap()).collect();
    octets.try_into().unwrap()
}

/// A frame of an EtherType for experiments (IEEE 802, clause 9.2.3).
fn frame(to: [u8; 6], from: [u8; 6]) -> Vec<u8> {
    [&to[..], &from, &[0x88, 0xb5], &[0; 46]].concat()
}

const STRANGER: [u8; 6] = [2, 0, 0, 0, 0, 9];
const BROADCAST: [u8; 6] = [0xff; 6];
/// Some hundred frames a second, on an idle machine.
const OFTEN: Duration = Duration::from_millis(2);

cases!(a_switch_with_a_group_that_we_do_not_have_is_found: VETH_TCX, DIRECT_VETH_CLSACT);
fn a_switch_with_a_group_that_we_do_not_have_is_found(case: Case) {
    let lab = attached(case, "");
    let stream = Stream::of(&lab.switch, "sw1", frame(mac(&lab.host, "agg0"), STRANGER), OFTEN);
    expect_one(&lab, "partner-is-lag", &["standby port eth1"]);
    drop(stream);
    expect(&lab, &[]);
    let stream = Stream::of(&lab.switch, "sw1", frame(BROADCAST, STRANGER), OFTEN);
    expect(&lab, &[]);
    drop(stream);
}

cases!(a_switch_without_the_group_that_we_have_is_found: VETH_TCX, DIRECT_VETH_CLSACT);
fn a_switch_without_the_group_that_we_have_is_found(case: Case) {
    let lab = attached(case, "--mode hash --partner plain");
    lab.host.aggctl("set agg0 partner=lag").ok();
    let stream = Stream::of(&lab.host, "agg0", frame(BROADCAST, mac(&lab.host, "agg0")), OFTEN);
    expect_one(&lab, "partner-is-plain", &["came back"]);
    lab.host.aggctl("set agg0 partner=plain").ok();
    expect(&lab, &[]);
    drop(stream);
}

cases!(duplicates_that_are_none_are_found: VETH_TCX, DIRECT_VETH_CLSACT);
fn duplicates_that_are_none_are_found(case: Case) {
    let group = Group::new(case, 2);
    group.attach(&group.near, "--mode hash --partner plain");
    expect_on(&group.near, &[]);
    let show = group.near.show("agg0");
    let other = if show.0["designated_port"] == "eth0" { "eth1" } else { "eth0" };
    let stream = Stream::of(&group.far, other, frame(BROADCAST, STRANGER), OFTEN);
    expect_on(&group.near, &["partner-is-lag"]);
    group.near.aggctl("set agg0 partner=lag").ok();
    expect_on(&group.near, &[]);
    drop(stream);
}

cases!(a_hash_that_collapses_is_found: VETH_TCX, DIRECT_VETH_CLSACT);
fn a_hash_that_collapses_is_found(case: Case) {
    let group = Group::new(case, 2);
    group.attach(&group.near, "--mode hash --partner lag --hash layer2");
    expect_on(&group.near, &[]);
    let stream = Stream::of(&group.near, "agg0", frame(STRANGER, mac(&group.near, "agg0")), Duration::ZERO);
    let report = expect_on(&group.near, &["hash-collapse"]);
    assert_eq!(report.1.code, Some(1), "a finer hash may help");
    group.near.aggctl("set agg0 hash=layer3+4").ok();
    let report = expect_on(&group.near, &["hash-collapse"]);
    assert_eq!(report.1.code, Some(0), "nothing helps against one flow");
    group.near.aggctl("set agg0 mode=round-robin").ok();
    expect_on(&group.near, &[]);
    drop(stream);
}

cases!(a_port_that_receives_nothing_is_found: VETH_TCX);
fn a_port_that_receives_nothing_is_found(case: Case) {
    let lab = attached(case, "");
    // Neither this end nor the other says anything by itself.
    lab.host.set_sysctl("net/ipv6/conf/default/disable_ipv6", "1");
    lab.switch.ip(&format!("link add sw9 type veth peer name eth9 netns {}", lab.host.name()));
    lab.switch.ip("link set sw9 up");
    lab.host.ip("link set eth9 up");
    lab.host.exec("ping -c 120 -i 0.002 -q 10.0.0.1").ok();
    lab.host.aggctl("port add agg0 eth9").ok();
    expect_one(&lab, "one-way", &["eth9", "no frame", "eth0"]);
    lab.switch.ip("link set sw9 master br0");
    let stream = Stream::of(&lab.client, "eth0", frame(BROADCAST, STRANGER), OFTEN);
    expect(&lab, &[]);
    drop(stream);
}

cases!(another_vlan_is_found: VETH_TCX, DIRECT_VETH_CLSACT);
fn another_vlan_is_found(case: Case) {
    let lab = attached(case, "");
    // The switch sends without tag.
    lab.host.aggctl("set agg0 vlan=trunk=10").ok();
    let stream = Stream::of(&lab.switch, "sw0", frame(mac(&lab.host, "agg0"), STRANGER), OFTEN);
    let report = expect(&lab, &["vlan-other"]);
    let finding = report.findings().next().unwrap();
    assert_eq!((&finding["severity"], &finding["ports"][0]), (&Value::from("warning"), &Value::from("eth0")));
    drop(stream);
    expect(&lab, &[]);
    let stream = Stream::of(&lab.host, "agg0", frame(STRANGER, mac(&lab.host, "agg0")), OFTEN);
    expect_one(&lab, "vlan-sent", &["trunk"]);
    lab.host.aggctl("set agg0 vlan=off").ok();
    expect(&lab, &[]);
    drop(stream);
}
