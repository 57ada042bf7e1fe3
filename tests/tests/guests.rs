//! Field scenario S5: guests behind a bridge survive failover and failback, because the switches are told where
//! everything is that the host carries.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests end at the first surprise")]

use std::{
    collections::BTreeMap,
    net::UdpSocket,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use aggctl_tests::{
    Capture, Case, Lab, Namespace, Ping, TcpSession,
    capture::{announced, taught, vlans},
    cases,
    frames::mac,
    guest::Guest,
    lab::{CLIENT_V4, HOST_V4, HOST_V6},
    matrix::SOON,
    skip,
    sys::Captured,
    wait, wait_for,
    wires::{QUIET, Wires},
};

/// The rhythm of the pings.
const RHYTHM: Duration = Duration::from_millis(10);
/// How many pings in a row may be lost so that a gap is under 50 ms.
const GAP: u64 = 4;
/// Pings after a change: longer than the old port goes on accepting.
const AFTERWARDS: usize = 60;
/// Rounds of announcements.
const COUNT: usize = 3;
/// How the aggregate is attached.
const OPTIONS: &str = "--reselect failure --announce count=3,interval=50";
/// The MAC of the bridge.
const BRIDGE_MAC: &str = "02:00:00:00:00:b0";

cases!(guests_survive_failover_and_failback: VETH_TCX, VETH_CLSACT, TAP_TCX, TAP_CLSACT, DIRECT_VETH_TCX);
fn guests_survive_failover_and_failback(case: Case) {
    let lab = lab_with_bridge(case);
    let guests: Vec<_> = (1..=4).map(|number| bridged_guest(&lab, number)).collect();
    let macs: Vec<_> = guests.iter().map(|guest| (Vec::new(), mac_of(&guest.namespace, "eth0"))).collect();
    wait_for("promiscuous ports, standby included", SOON, || {
        ["eth0", "eth1"].iter().all(|port| lab.host.link(port)["promiscuity"].as_u64().unwrap() > 0)
    });
    let addresses = |number| [format!("10.0.0.1{number}"), format!("fd00::1{number}")];
    let ping = |guest: &Guest, address: &str| Ping::start(&lab.client, &guest.namespace, address, None, RHYTHM);
    let pings: Vec<_> =
        (1..).zip(&guests).flat_map(|(number, guest)| addresses(number).map(|address| ping(guest, &address))).collect();
    let pause = Duration::from_millis(5);
    let sessions = [
        TcpSession::start(&guests[0].namespace, &lab.client, "10.0.0.11", 1024, pause),
        TcpSession::start(&guests[1].namespace, &lab.client, "fd00::12", 1024, pause),
    ];
    let lost_by = |work: &dyn Fn()| {
        let marks: Vec<_> = pings.iter().map(Ping::mark).collect();
        work();
        pings[0].run(AFTERWARDS);
        pings.iter().zip(marks).map(|(ping, mark)| ping.since(mark).lost).collect::<Vec<_>>()
    };
    let announcements = Announcements::start(&lab);
    let mut seen = Vec::new();
    // A machine that stands still for a moment is no failover: the best of three counts.
    for _ in 0..3 {
        announcements.0.wait_for_silence();
        let failover = lost_by(&|| lab.cut("eth0"));
        lab.host.wait_for_show("agg0", "eth1 took over", |show| show.active() == Some("eth1"));
        announcements.expect("failover", &macs, [0, COUNT]);
        lab.restore("eth0");
        lab.host.wait_for_show("agg0", "eth0 waits", |show| show.state("eth0") == "standby");
        announcements.expect("the return of a standby port", &macs, [0, 0]);
        let failback = lost_by(&|| drop(lab.host.aggctl("set agg0 active-port=eth0").ok()));
        announcements.expect("failback", &macs, [COUNT, 0]);
        sessions.iter().for_each(TcpSession::expect_alive);
        if failover.iter().chain(&failback).all(|lost| *lost <= GAP) {
            return;
        }
        seen.push((failover, failback));
    }
    panic!("each time a guest lost more than {GAP} pings by failover or failback: {seen:?}");
}

cases!(a_guest_that_says_nothing_is_found: VETH_TCX, TAP_CLSACT);
fn a_guest_that_says_nothing_is_found(case: Case) {
    let lab = lab_with_bridge(case);
    let guest = bridged_guest(&lab, 1);
    guest.namespace.set_sysctl("net/ipv6/conf/all/disable_ipv6", "1");
    let address = guest.namespace.link("eth0")["address"].as_str().unwrap().to_owned();
    lab.client.ip(&format!("neigh replace 10.0.0.11 lladdr {address} dev eth0 nud permanent"));
    let client = lab.client.link("eth0")["address"].as_str().unwrap().to_owned();
    guest.namespace.ip(&format!("neigh replace {CLIENT_V4} lladdr {client} dev eth0 nud permanent"));
    let drizzle = Drizzle::start(&lab.client, &guest.namespace);
    let by_hand = |port: &str| drizzle.lost_by(|| drop(lab.host.aggctl(&format!("set agg0 active-port={port}")).ok()));
    let mut seen = Vec::new();
    for _ in 0..3 {
        // It is received once, by the port that is active now: switch and bridge know it.
        let answered = || guest.namespace.exec(&format!("ping -c 1 -W 1 {CLIENT_V4}")).succeeded();
        wait_for("the guest on the network", SOON, answered);
        let said = Capture::start(&lab.host, "g1", |captured| !captured.outgoing);
        // No link goes, so the switch keeps what it learnt, unless it is told better.
        let changes = [by_hand("eth1"), by_hand("eth0")];
        let failover = drizzle.lost_by(|| lab.cut("eth0"));
        lab.host.wait_for_show("agg0", "eth1 took over", |show| show.active() == Some("eth1"));
        lab.restore("eth0");
        lab.host.wait_for_show("agg0", "eth0 waits", |show| show.state("eth0") == "standby");
        let failback = by_hand("eth0");
        assert_eq!(said.count(|_| true), 0, "the guest was to say nothing");
        let lost = [changes[0], changes[1], failover, failback];
        if lost.iter().all(|lost| *lost <= GAP) {
            return;
        }
        seen.push(lost);
    }
    panic!("each time more than {GAP} datagrams were lost by some change: {seen:?}");
}

// Not on tap: its cable is a thread, and what comes while that waits for a processor is lost.
cases!(thousands_of_stations_are_announced_while_ports_are_watched: VETH_TCX, VETH_CLSACT);
fn thousands_of_stations_are_announced_while_ports_are_watched(case: Case) {
    let lab = lab_with_bridge(case);
    // A cable to stations that say nothing, so that only those are known that are written into the bridge.
    lab.host.ip("link add g1 type veth peer name x1");
    lab.host.ip("link set g1 master br0");
    for end in ["g1", "x1"] {
        lab.host.set_sysctl(&format!("net/ipv6/conf/{end}/disable_ipv6"), "1");
        lab.host.ip(&format!("link set {end} up"));
    }
    let stations: Vec<Taught> = (0..2000_u16)
        .map(|number| {
            let [high, low] = number.to_be_bytes();
            (Vec::new(), [2, 0, 0, 1, high, low])
        })
        .collect();
    let lines: String = stations
        .iter()
        .map(|(_, [.., high, low])| format!("fdb add 02:00:00:01:{high:02x}:{low:02x} dev g1 master static\n"))
        .collect();
    let batch = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(batch.path(), lines).unwrap();
    lab.host.exec(&format!("bridge -batch {}", batch.path().display())).ok();
    let ping = lab.ping(RHYTHM);

    let announcements = Announcements::start(&lab);
    announcements.0.wait_for_silence();
    lab.host.aggctl("set agg0 active-port=eth1").ok();
    announcements.expect("a change by hand", &stations, [0, COUNT]);
    // In the midst of a round.
    lab.host.aggctl("set agg0 active-port=eth0").ok();
    lab.cut("eth0");
    ping.wait_for_answer(SOON);
    lab.host.wait_for_show("agg0", "eth1 took over", |show| show.active() == Some("eth1"));
    let last = || announcements.0[1].count(|captured| taught(&captured.bytes) == Some(stations[1999].1)) == COUNT;
    wait_for("all stations on the other port", SOON, last);
}

cases!(the_addresses_of_a_bridge_and_macvlans_are_announced: VETH_TCX, TAP_CLSACT);
fn the_addresses_of_a_bridge_and_macvlans_are_announced(case: Case) {
    let lab = lab_with_bridge(case);
    let bridge = mac(BRIDGE_MAC);
    let announced_from = |captured: &Captured, from: [u8; 6], address: &str| {
        captured.bytes[6..12] == from && announced(&captured.bytes) == Some(address.parse().unwrap())
    };
    let announcements = Announcements::start(&lab);
    lab.host.aggctl("set agg0 active-port=eth1").ok();
    for address in [HOST_V4, HOST_V6] {
        announcements.expect_count(address, 1, |captured| announced_from(captured, bridge, address));
    }
    // The kernel reports that a port was deleted when it left its bridge only.
    let controller = lab.host.wait_for_controller("agg0");
    lab.host.ip("link del br0");
    lab.host.ip(&format!("addr add {HOST_V4}/24 dev agg0"));
    wait_for("the aggregate without a bridge", SOON, || {
        lab.host.exec(&format!("ping -c 1 -W 1 {CLIENT_V4}")).succeeded()
    });
    assert_eq!(lab.host.wait_for_controller("agg0"), controller);

    // One macvlan with an address here, and one in another namespace, where its addresses cannot be seen.
    for macvlan in ["mv0", "mv1"] {
        lab.host.ip(&format!("link add {macvlan} link agg0 type macvlan mode bridge"));
    }
    lab.host.ip("link set mv0 up");
    lab.host.ip("addr add 10.0.0.3/24 dev mv0");
    let elsewhere = Namespace::new("g");
    lab.host.ip(&format!("link set mv1 netns {}", elsewhere.name()));
    elsewhere.ip("link set mv1 up");
    let (here, there) = (mac_of(&lab.host, "mv0"), mac_of(&elsewhere, "mv1"));
    announcements.0.wait_for_silence();
    lab.host.aggctl("set agg0 active-port=eth0").ok();
    announcements.expect_count("mv0", 0, |captured| announced_from(captured, here, "10.0.0.3"));
    announcements.expect("a change", &[(Vec::new(), there)], [COUNT, 0]);
}

cases!(vlans_are_announced_with_their_tags: VETH_TCX, VETH_CLSACT, TAP_TCX, TAP_CLSACT);
fn vlans_are_announced_with_their_tags(case: Case) {
    let lab = Lab::bare(case);
    lab.attach(OPTIONS);
    lab.host.ip("link set agg0 up");
    if !lab.host.try_ip("link add agg0.10 link agg0 type vlan id 10").succeeded() {
        return skip("needs 8021q");
    }
    lab.host.ip("link set agg0.10 up");
    lab.host.ip("addr add 10.10.0.2/24 dev agg0.10");
    lab.host.ip("addr add fd10::2/64 dev agg0.10");
    // VLAN 20: a bridge on a VLAN device. VLAN 7 in VLAN 10: stacked tags.
    lab.host.ip("link add agg0.20 link agg0 type vlan id 20");
    lab.host.ip("link add br20 type bridge mcast_snooping 0");
    lab.host.ip(&format!("link set br20 address {BRIDGE_MAC}"));
    lab.host.ip("link add agg0.10.7 link agg0.10 type vlan id 7");
    for link in ["agg0.20", "br20", "agg0.10.7"] {
        lab.host.set_sysctl(&format!("net/ipv6/conf/{link}/disable_ipv6"), "1");
        lab.host.ip(&format!("link set {link} up"));
    }
    lab.host.ip("link set agg0.20 master br20");
    let guest = Guest::new(&lab.host, "g1");
    lab.host.ip("link set g1 master br20");
    guest.namespace.ip("addr add 10.20.0.11/24 dev eth0");
    lab.client.ip("link add eth0.20 link eth0 type vlan id 20");
    lab.client.ip("link set eth0.20 up");
    lab.client.ip("addr add 10.20.0.1/24 dev eth0.20");
    let ping = Ping::start(&lab.client, &guest.namespace, "10.20.0.11", None, RHYTHM);
    let aggregate = mac_of(&lab.host, "agg0");
    let behind = mac_of(&guest.namespace, "eth0");

    let announcements = Announcements::start(&lab);
    announcements.0.wait_for_silence();
    lab.host.aggctl("set agg0 active-port=eth1").ok();
    let stations = [(vec![20], behind), (vec![20], mac(BRIDGE_MAC)), (vec![10, 7], aggregate)];
    for address in ["10.10.0.2", "fd10::2"] {
        let address = Some(address.parse().unwrap());
        let such = |captured: &Captured| announced(&captured.bytes) == address && vlans(&captured.bytes) == [10];
        announcements.expect_count("an address of VLAN 10", 1, such);
    }
    announcements.expect("a change", &stations, [0, COUNT]);
    ping.wait_for_answer(SOON);
}

cases!(a_bridge_that_filters_vlans_decides_about_tags: VETH_TCX, TAP_CLSACT);
fn a_bridge_that_filters_vlans_decides_about_tags(case: Case) {
    let lab = lab_with_bridge(case);
    if !lab.host.try_ip("link set br0 type bridge vlan_filtering 1").succeeded() {
        return skip("needs bridges that filter VLANs");
    }
    let [native, tagged, hidden] = [1, 2, 3].map(|number| bridged_guest(&lab, number));
    for line in [
        "bridge vlan del dev g2 vid 1",
        "bridge vlan add dev g2 vid 30 pvid untagged",
        "bridge vlan add dev agg0 vid 30",
        "bridge vlan del dev g3 vid 1",
        "bridge vlan add dev g3 vid 40 pvid untagged",
    ] {
        lab.host.exec(line).ok();
    }
    // They make themselves known to the bridge; nobody answers in VLANs 30 and 40.
    for guest in [&native, &tagged, &hidden] {
        guest.namespace.exec(&format!("ping -c 1 -W 1 {CLIENT_V4}"));
    }
    let announcements = Announcements::start(&lab);
    announcements.0.wait_for_silence();
    lab.host.aggctl("set agg0 active-port=eth1").ok();
    let [native, tagged] = [&native, &tagged].map(|guest| mac_of(&guest.namespace, "eth0"));
    announcements.expect("a change", &[(vec![], native), (vec![30], tagged)], [0, COUNT]);
}

/// The lab with the aggregate as a port of bridge `br0`, which has the host's addresses.
fn lab_with_bridge(case: Case) -> Lab {
    let lab = Lab::bare(case);
    lab.attach(OPTIONS);
    lab.host.ip("link set agg0 up");
    lab.host.ip("link add br0 type bridge mcast_snooping 0");
    lab.host.ip(&format!("link set br0 address {BRIDGE_MAC}"));
    lab.host.ip("link set br0 up");
    lab.host.ip("link set agg0 master br0");
    lab.host.ip(&format!("addr add {HOST_V4}/24 dev br0"));
    lab.host.ip(&format!("addr add {HOST_V6}/64 dev br0"));
    wait_for("the host on the network", SOON, || lab.host.exec(&format!("ping -c 1 -W 1 {CLIENT_V4}")).succeeded());
    lab
}

/// A guest behind `br0` by the host's interface `gN`, with the addresses 10.0.0.1N and fd00::1N.
fn bridged_guest(lab: &Lab, number: usize) -> Guest {
    let guest = Guest::new(&lab.host, &format!("g{number}"));
    lab.host.ip(&format!("link set g{number} master br0"));
    guest.namespace.ip(&format!("addr add 10.0.0.1{number}/24 dev eth0"));
    guest.namespace.ip(&format!("addr add fd00::1{number}/64 dev eth0"));
    guest
}

fn mac_of(namespace: &Namespace, interface: &str) -> [u8; 6] {
    mac(namespace.link(interface)["address"].as_str().unwrap())
}

/// All frames that tell where something is, on both cables, as the switch receives them.
struct Announcements(Wires);

/// A MAC and the VLANs that it is taught in.
type Taught = (Vec<u16>, [u8; 6]);

impl Announcements {
    fn start(lab: &Lab) -> Self {
        let such = |captured: &Captured| announced(&captured.bytes).is_some() || taught(&captured.bytes).is_some();
        Self(Wires::start(lab, such))
    }

    /// Checks that all of `stations` and nobody else were taught on each cable so often since the last time.
    #[track_caller]
    fn expect(&self, after: &str, stations: &[Taught], counts: [usize; 2]) {
        let expected = counts.map(|count| {
            let stations = stations.iter().filter(|_| count > 0);
            stations.map(|station| (station.clone(), count)).collect::<BTreeMap<_, _>>()
        });
        let all = stations.len() * counts.iter().sum::<usize>();
        let so_far =
            || self.0.iter().map(|wire| wire.count(|captured| taught(&captured.bytes).is_some())).sum::<usize>();
        wait::find(SOON, || (so_far() >= all).then_some(()));
        // None too many: wait for those, too.
        let before = self.0.total();
        wait::find(QUIET, || (self.0.total() != before).then_some(()));
        let seen = [0, 1].map(|wire: usize| {
            let mut seen = BTreeMap::new();
            for captured in self.0[wire].frames() {
                if let Some(mac) = taught(&captured.bytes) {
                    *seen.entry((vlans(&captured.bytes), mac)).or_insert(0) += 1;
                }
            }
            seen
        });
        for (wire, (seen, expected)) in seen.iter().zip(&expected).enumerate() {
            let wrong = |these: &BTreeMap<Taught, usize>, those: &BTreeMap<Taught, usize>| {
                let wrong = these.iter().filter(|(station, count)| those.get(station) != Some(count));
                wrong.take(5).map(|(station, count)| (station.clone(), *count)).collect::<Vec<_>>()
            };
            let (many, few) = (wrong(seen, expected), wrong(expected, seen));
            assert!(seen == expected, "{after}, wire {wire}: taught were {many:02x?} …, not {few:02x?} …");
        }
        self.0.clear();
    }

    /// Checks that [`COUNT`] such frames were on this cable, and none on the other.
    #[track_caller]
    fn expect_count(&self, what: &str, on: usize, such: impl Fn(&Captured) -> bool) {
        wait::find(SOON, || (self.0[on].count(&such) >= COUNT).then_some(()));
        wait::find(QUIET, || (self.0[on].count(&such) > COUNT).then_some(()));
        let counts = [self.0[on].count(&such), self.0[1 - on].count(&such)];
        assert_eq!(counts, [COUNT, 0], "{what}");
    }
}

/// Datagrams from a namespace to a guest that does not answer.
struct Drizzle {
    sent: Arc<AtomicU64>,
    received: Arc<AtomicU64>,
    ended: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Drizzle {
    fn start(from: &Namespace, to: &Namespace) -> Self {
        let receiver = to.enter(|| UdpSocket::bind("10.0.0.11:4001")).unwrap();
        receiver.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let sender = from.enter(|| UdpSocket::bind("0.0.0.0:0")).unwrap();
        let [sent, received] = [(); 2].map(|()| Arc::new(AtomicU64::new(0)));
        let ended = Arc::new(AtomicBool::new(false));
        let receive = std::thread::spawn({
            let (received, ended) = (Arc::clone(&received), Arc::clone(&ended));
            move || {
                let mut bytes = [0; 8];
                while !ended.load(Ordering::Acquire) {
                    if receiver.recv(&mut bytes).is_ok() {
                        received.fetch_add(1, Ordering::AcqRel);
                    }
                }
            }
        });
        let send = std::thread::spawn({
            let (sent, ended) = (Arc::clone(&sent), Arc::clone(&ended));
            move || {
                while !ended.load(Ordering::Acquire) {
                    let now = Instant::now();
                    sent.fetch_add(1, Ordering::AcqRel);
                    let _ = sender.send_to(&[0; 8], "10.0.0.11:4001");
                    wait::until(now + RHYTHM);
                }
            }
        });
        let drizzle = Self { sent, received, ended, threads: vec![receive, send] };
        wait_for("datagrams", SOON, || drizzle.received.load(Ordering::Acquire) > 10);
        drizzle
    }

    /// How many are lost while `work` is done and in the time thereafter.
    fn lost_by(&self, work: impl FnOnce()) -> u64 {
        let lost = || self.sent.load(Ordering::Acquire).saturating_sub(self.received.load(Ordering::Acquire));
        let before = lost();
        let start = self.sent.load(Ordering::Acquire);
        work();
        let enough = start + AFTERWARDS as u64;
        wait_for("datagrams sent", SOON, || self.sent.load(Ordering::Acquire) >= enough);
        lost().saturating_sub(before)
    }
}

impl Drop for Drizzle {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
