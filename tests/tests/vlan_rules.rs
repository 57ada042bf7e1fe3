//! VLAN rules, seen on the wire: what the tables of docs/vlan.md say, in both directions.
#![allow(clippy::unwrap_used, reason = "tests end at the first surprise")]

use std::{thread, time::Duration};

use aggctl_tests::{
    Capture, Case, Namespace, Ping, TcpSession,
    capture::announced,
    cases,
    frames::{self, LOCAL},
    group::{FAR, Group, NEAR},
    matrix::SOON,
    needs,
    sys::{Captured, PacketSocket},
    vlan, wait, wait_for,
};

/// A tag: its EtherType, and priority and VLAN as in IEEE 802.1Q, 9.6.
type Tag = (u16, u16);

/// What becomes of a frame with these tags: it arrives with those, or does not.
type Fate = (&'static [Tag], Option<&'static [Tag]>);

/// A rule, and the fate of frames that the host sends and that a port receives.
struct Rule {
    rule: &'static str,
    sent: &'static [Fate],
    received: &'static [Fate],
}

const C: u16 = 0x8100;
const S: u16 = 0x88a8;
const RULES: [Rule; 4] = [
    Rule {
        rule: "off",
        sent: &[(&[], Some(&[])), (&[(C, 0x600a)], Some(&[(C, 0x600a)])), (&[(S, 7), (C, 8)], Some(&[(S, 7), (C, 8)]))],
        received: &[
            (&[], Some(&[])),
            (&[(C, 0x600a)], Some(&[(C, 0x600a)])),
            (&[(S, 7), (C, 8)], Some(&[(S, 7), (C, 8)])),
        ],
    },
    Rule {
        rule: "access=10",
        sent: &[
            (&[], Some(&[(C, 10)])),
            (&[(C, 0x6000)], Some(&[(C, 0x600a)])),
            (&[(C, 10)], None),
            (&[(S, 10), (C, 8)], None),
            (&[(C, 20)], None),
        ],
        received: &[
            (&[], None),
            (&[(C, 0x6000)], None),
            (&[(C, 0x600a)], Some(&[])),
            (&[(S, 10)], Some(&[])),
            (&[(C, 10), (C, 7)], Some(&[(C, 7)])),
            (&[(C, 20)], None),
        ],
    },
    Rule {
        rule: "trunk=20-22",
        sent: &[
            (&[], None),
            (&[(C, 0x6000)], None),
            (&[(C, 0x7014)], Some(&[(C, 0x7014)])),
            (&[(S, 22), (C, 7)], Some(&[(S, 22), (C, 7)])),
            (&[(C, 23)], None),
        ],
        received: &[
            (&[], None),
            (&[(C, 0x6000)], None),
            (&[(C, 0x7014)], Some(&[(C, 0x7014)])),
            (&[(S, 22), (C, 7)], Some(&[(S, 22), (C, 7)])),
            (&[(C, 23)], None),
        ],
    },
    Rule {
        rule: "trunk=20-22,native=30",
        sent: &[
            (&[], None),
            (&[(C, 0x6000)], None),
            (&[(C, 0x601e)], Some(&[])),
            (&[(C, 0x7015)], Some(&[(C, 0x7015)])),
            (&[(C, 31)], None),
        ],
        received: &[
            (&[], Some(&[(C, 30)])),
            (&[(C, 0x6000)], Some(&[(C, 0x601e)])),
            (&[(C, 0x601e)], Some(&[(C, 0x601e)])),
            (&[(C, 0x7015)], Some(&[(C, 0x7015)])),
            (&[(C, 31)], None),
        ],
    },
];

/// A broadcast frame with these tags.
fn frame(tags: &[Tag], text: &str) -> Vec<u8> {
    let mut frame = frames::frame([0xff; 6], LOCAL, text);
    let octets = tags.iter().flat_map(|(tpid, tci)| [*tpid, *tci]).flat_map(u16::to_be_bytes);
    frame.splice(12..12, octets.collect::<Vec<_>>());
    frame
}

/// The tags of a frame, and the text in it.
fn told(captured: &Captured) -> (Vec<Tag>, String) {
    let word = |at: usize| u16::from_be_bytes([captured.bytes[at], captured.bytes[at + 1]]);
    let tags: Vec<Tag> =
        (12..).step_by(4).take_while(|at| matches!(word(*at), C | S)).map(|at| (word(at), word(at + 2))).collect();
    let text = captured.bytes[14 + 4 * tags.len()..].iter().take_while(|octet| **octet != 0).copied().collect();
    (tags, String::from_utf8(text).unwrap())
}

/// Receives the frames that are made here and that an interface receives.
fn listen(host: &Namespace, interface: &str) -> Capture {
    Capture::start(host, interface, |captured| !captured.outgoing && captured.bytes[6..12] == frames::STRANGER)
}

/// Sends a frame for each fate, and checks that it meets it.
#[track_caller]
fn meet(fates: &[Fate], from: (&Namespace, &str), to: (&Namespace, &str), what: &str) {
    let capture = listen(to.0, to.1);
    let socket = from.0.enter(|| PacketSocket::open(from.1, 0)).unwrap();
    let text = |number: usize| format!("{what} {number}");
    for (number, (tags, fate)) in fates.iter().enumerate() {
        // Over the wiring direct the kernel tells the sender that its frame was dropped.
        let sent = socket.send(&frame(tags, &text(number)));
        assert!(sent.is_ok() || fate.is_none(), "{what} {number}: {sent:?}");
    }
    let expected: Vec<_> = fates
        .iter()
        .enumerate()
        .filter_map(|(number, (_, fate))| fate.map(|tags| (tags.to_vec(), text(number))))
        .collect();
    wait_for("the frames that pass", SOON, || capture.count(|_| true) >= expected.len());
    // What should not pass has had its time as well, since frames do not overtake each other.
    thread::sleep(wait::patient(Duration::from_millis(50)));
    let frames: Vec<_> = capture.frames().iter().map(told).collect();
    assert_eq!(frames, expected, "{what}");
}

cases!(
    every_rule_holds_on_the_wire:
    VETH_TCX, VETH_CLSACT, VETH_TCX_VETH, VETH_CLSACT_NETKIT, DIRECT_VETH_TCX, DIRECT_VETH_CLSACT
);
fn every_rule_holds_on_the_wire(case: Case) {
    let group = Group::new(case, 2);
    group.attach(&group.near, "");
    for acceleration in ["on", "off"] {
        for interface in ["eth0", "eth1", "agg0"] {
            group.near.exec(&format!("ethtool -K {interface} txvlan {acceleration} rxvlan {acceleration}")).ok();
        }
        for Rule { rule, sent, received } in &RULES {
            let dropped = || {
                let show = group.near.show("agg0");
                let of = |value: &serde_json::Value| value["vlan"].as_u64().unwrap_or_default();
                [of(&show.0["tx_drops"]), of(&show.port("eth0")["rx_drops"])]
            };
            group.near.aggctl(&format!("set agg0 vlan={rule}")).ok();
            let before = dropped();
            meet(sent, (&group.near, "agg0"), (&group.far, "eth0"), &format!("{rule} {acceleration} out"));
            meet(received, (&group.far, "eth0"), (&group.near, "agg0"), &format!("{rule} {acceleration} in"));
            // The hosts may have had something of their own to say, which was dropped too.
            let lost = |fates: &[Fate]| fates.iter().filter(|(_, fate)| fate.is_none()).count() as u64;
            let after = dropped();
            assert!(after[0] - before[0] >= lost(sent) && after[1] - before[1] >= lost(received), "{rule}: {after:?}");
        }
    }
}

cases!(changes_of_a_trunk_lose_nothing: VETH_TCX, VETH_CLSACT, DIRECT_VETH_TCX);
fn changes_of_a_trunk_lose_nothing(case: Case) {
    /// Rules that let VLAN 20 pass as it is.
    const CHANGES: [&str; 6] =
        ["trunk=20", "trunk=2-4000,native=30", "off", "trunk=20,native=1", "trunk=1-4094", "trunk=20-22"];
    const FRAMES: usize = 1000;

    let group = Group::new(case, 2);
    group.attach(&group.near, "--vlan trunk=20-22");
    let ways = [[(&group.near, "agg0"), (&group.far, "eth0")], [(&group.far, "eth0"), (&group.near, "agg0")]];
    let captures = ways.map(|[_, (host, interface)]| listen(host, interface));
    thread::scope(|scope| {
        for [(host, interface), _] in ways {
            scope.spawn(move || {
                let socket = host.enter(|| PacketSocket::open(interface, 0)).unwrap();
                for number in 0..FRAMES {
                    socket.send(&frame(&[(C, 0x6014)], &number.to_string())).unwrap();
                    thread::sleep(Duration::from_millis(1));
                }
            });
        }
        for rule in CHANGES {
            group.near.aggctl(&format!("set agg0 vlan={rule}")).ok();
        }
    });
    for capture in captures {
        wait_for("all frames", SOON, || capture.count(|_| true) >= FRAMES);
        let frames: Vec<_> = capture.frames().iter().map(told).collect();
        let expected: Vec<_> = (0..FRAMES).map(|number| (vec![(C, 0x6014)], number.to_string())).collect();
        assert!(frames == expected, "{} of {FRAMES} frames, or another order or tag", frames.len());
    }
}

cases!(announcements_are_tagged_by_the_rule: VETH_TCX, VETH_CLSACT, DIRECT_VETH_TCX);
fn announcements_are_tagged_by_the_rule(case: Case) {
    let group = Group::new(case, 2);
    group.attach(&group.near, "--vlan access=10");
    let capture =
        Capture::start(&group.far, "eth1", |captured| !captured.outgoing && announced(&captured.bytes).is_some());
    group.cut(0);
    let near = NEAR.parse().unwrap();
    wait_for("an announcement", SOON, || capture.count(|captured| announced(&captured.bytes) == Some(near)) > 0);
    for captured in capture.frames() {
        assert_eq!(vlan::tags(&captured.bytes), [vlan::customer(10)], "{:x?}", captured.bytes);
    }
}

cases!(a_tag_does_not_count_for_the_mtu: VETH_TCX, VETH_CLSACT, DIRECT_VETH_TCX);
fn a_tag_does_not_count_for_the_mtu(case: Case) {
    let group = Group::new(case, 2);
    for end in [&group.near, &group.far] {
        group.attach(end, "--mode hash --vlan access=10");
    }
    Ping::start(&group.far, &group.near, NEAR, None, Duration::from_millis(20));
    // 28 octets of headers make it 1500.
    let ping = |octets: u32| group.near.exec(&format!("ping -c 3 -W 5 -M do -s {octets} {FAR}"));
    ping(1472).ok();
    assert!(!ping(1473).succeeded(), "what is longer than the MTU");
}

cases!(vlan_devices_follow_the_rule: VETH_TCX, VETH_CLSACT, DIRECT_VETH_TCX);
fn vlan_devices_follow_the_rule(case: Case) {
    needs!(VLAN);
    let group = Group::new(case, 2);
    group.attach(&group.near, "--vlan trunk=20-22,native=30");
    let address = |host: &Namespace, device: &str, address: &str| {
        host.ip(&format!("addr add {address}/24 dev {device}"));
    };
    for (lower, host, end) in [("agg0", &group.near, 1), ("eth0", &group.far, 2)] {
        for number in [20, 22, 23] {
            let device = vlan::stack(host, lower, &[vlan::customer(number)]);
            address(host, &device, &format!("10.{number}.0.{end}"));
        }
    }
    let native = vlan::stack(&group.near, "agg0", &[vlan::customer(30)]);
    address(&group.near, &native, "10.30.0.1");
    address(&group.far, "eth0", "10.30.0.2");
    for acceleration in ["on", "off"] {
        for interface in ["eth0", "eth1", "agg0"] {
            group.near.exec(&format!("ethtool -K {interface} txvlan {acceleration} rxvlan {acceleration}")).ok();
        }
        for number in [20, 22, 30] {
            println!("VLAN {number}, acceleration {acceleration}");
            let near = format!("10.{number}.0.1");
            Ping::start(&group.far, &group.near, &near, None, Duration::from_millis(20));
            // In super-frames, where the cables carry them.
            TcpSession::start(&group.near, &group.far, &near, 1 << 18, Duration::from_millis(5)).expect_alive();
        }
        assert!(!group.far.exec("ping -c 3 -W 3 10.23.0.1").succeeded(), "VLAN 23 is not in the list");
    }
}
