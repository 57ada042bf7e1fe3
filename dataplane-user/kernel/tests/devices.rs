//! Programs that ask the kernel for the link of a port before they take it: no controller lives here, and what the
//! table says never changes, unless a test publishes another one.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use aggctl_common::{
    PortId, Ports,
    programs::{RxPolicy, TxPolicy},
    spread::{MIN_BUCKETS, Rotation},
};
use aggctl_engine::{
    config::{Device, Hook, Wiring},
    settings::Settings,
    spread::{SpreadMember, fallback_orders, primaries, rotation},
};
use aggctl_kernel::dataplane::{Dataplane, KernelTypes};
use aggctl_tests::{feature::READABLE_DEVICES, matrix::SOON, wait_for};
use support::{
    attached::{Case, P0, P1, attach, attach_to, both_ways, each, pair, passes, ports},
    bench, dataplane, index, run,
    wire::{self, UNICAST, Wire},
};

/// Ways to take the link of p0, and to give it back.
const CUTS: [(&str, &str); 2] = [("p0", "itself is down"), ("q0", "its far end is down")];

/// Whether programs ask this kernel; prints why not.
fn asks(dataplane: &Dataplane) -> bool {
    let asks = dataplane.asks_kernel();
    if !asks {
        println!("skipped: {}", READABLE_DEVICES.lacking());
    }
    asks
}

fn set(interface: &str, state: &str) {
    run(&["ip", "link", "set", interface, state]);
}

/// Sets an interface up, and waits until the first port sends again: the kernel says of a link that it is back before a
/// worker has put the port's queue back (`linkwatch_do_dev`, net/core/link_watch.c).
fn set_up(interface: &str) {
    set(interface, "up");
    let sends = || {
        let shown = run(&["ip", "link", "show", "dev", "p0"]);
        shown.contains("state UP") && !shown.contains("qdisc noop ")
    };
    wait_for("a queue of the port", SOON, sends);
}

/// Frames that the aggregate sends leave by the port with this far end, each of them.
fn sends_by(port: &str, text: &str) {
    for _ in 0..4 {
        passes("agg0", port, text);
    }
}

/// How many of so many frames that the aggregate sends arrive at both far ends together. What does not arrive is waited
/// for.
fn arriving(count: usize) -> usize {
    let wires = ["q0", "q1"].map(|name| Wire::open(index(name)));
    let sender = Wire::open(index("agg0"));
    for number in 0..count {
        sender.send(&wire::frame(UNICAST, &format!("number {number}")));
    }
    let (mut come, deadline) = (0, Instant::now() + Duration::from_secs(2));
    while come < count && Instant::now() < deadline {
        come += wires.iter().filter(|wire| wire.poll(Duration::from_millis(1)).is_some()).count();
    }
    come
}

/// How many frames an interface should have sent and did not.
fn unsent(interface: &str) -> u64 {
    let shown = run(&["ip", "-s", "-j", "link", "show", interface]);
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    shown[0]["stats64"]["tx"]["dropped"].as_u64().unwrap()
}

#[test]
fn the_next_frame_takes_another_port() {
    each(|case| {
        let dataplane = attach(case);
        if !asks(&dataplane) {
            return;
        }
        both_ways("q0", "at first");
        for (cut, text) in CUTS {
            set(cut, "down");
            both_ways("q1", text);
            set_up(cut);
            both_ways("q0", "and back, since the table never changed");
        }
        set("p1", "down");
        both_ways("q0", "what becomes of the other port does not matter");
    });
}

#[test]
fn without_a_living_port_the_table_alone_decides() {
    bench(|| {
        let dataplane = attach(Case { wiring: Wiring::Shared, device: Device::Veth, hook: Hook::Auto });
        if !asks(&dataplane) {
            return;
        }
        let before = unsent("p0");
        set("q0", "down");
        set("q1", "down");
        Wire::open(index("agg0")).send(&wire::frame(UNICAST, "to where it would have gone"));
        assert_eq!(unsent("p0"), before + 1);
        assert_eq!(dataplane.drops().unwrap(), []);
    });
}

#[test]
fn a_port_that_was_replaced_is_found_again() {
    bench(|| {
        let case = Case { wiring: Wiring::Shared, device: Device::Veth, hook: Hook::Auto };
        let dataplane = attach(case);
        if !asks(&dataplane) {
            return;
        }
        let table = dataplane.table().unwrap();
        let former = table.device(P0);
        assert!(former != 0 && table.device(P1) != 0 && former != table.device(P1));
        assert_eq!(table.device(PortId(9)), 0, "a slot without interface");

        // The number stays the same, and the device does not.
        let number = index("p0").to_string();
        run(&["ip", "link", "del", "p0"]);
        both_ways("q1", "the port is gone");
        run(&["ip", "link", "add", "another", "type", "veth", "peer", "name", "other"]);
        run(&["ip", "link", "add", "p0", "index", &number, "type", "veth", "peer", "name", "q0"]);
        set("p0", "up");
        set_up("q0");
        dataplane.attach_rx(P0, index("p0"), &pair(case), case.hook).unwrap();
        table.find_devices();
        assert_ne!(table.device(P0), 0);
        both_ways("q0", "the new one");
        set("q0", "down");
        both_ways("q1", "the new one has no link");

        // Another number: the table gives it, and then the device is another one at once.
        run(&["ip", "link", "del", "p0"]);
        run(&["ip", "link", "add", "p0", "type", "veth", "peer", "name", "q0"]);
        set("p0", "up");
        set_up("q0");
        dataplane.attach_rx(P0, index("p0"), &pair(case), case.hook).unwrap();
        assert_eq!(table.device(P0), 0, "not known yet: the table alone decides");
        both_ways("q0", "before it is known");
        table.publish(&Ports { usable: P1.bit(), ..ports() });
        table.publish(&ports());
        assert_ne!(table.device(P0), 0);
        set("q0", "down");
        both_ways("q1", "it is known now");

        // A name says nothing.
        set_up("q0");
        set("p0", "down");
        run(&["ip", "link", "set", "p0", "name", "renamed"]);
        run(&["ip", "link", "set", "renamed", "up"]);
        both_ways("q0", "under another name");
        set("q0", "down");
        both_ways("q1", "under another name, without link");
        run(&["ip", "link", "del", "renamed"]);
        table.find_devices();
        assert_eq!(table.device(P0), 0, "it is gone");
    });
}

/// The two aggregates are in namespaces of their own, and their ports have the same numbers.
#[test]
fn a_number_means_another_device_in_another_namespace() {
    bench(|| {
        let case = Case { wiring: Wiring::Shared, device: Device::Veth, hook: Hook::Auto };
        let here = attach(case);
        if !asks(&here) {
            return;
        }
        let (devices, numbers) = (devices(&here), ports().ifindex);
        thread::spawn(move || {
            bench(move || {
                let there = attach(case);
                assert_eq!(ports().ifindex, numbers, "the numbers are the same");
                let others = self::devices(&there);
                assert!(!devices.iter().any(|device| others.contains(device)), "{devices:x?} {others:x?}");
                set("q0", "down");
                both_ways("q1", "there");
            });
        })
        .join()
        .unwrap();
        both_ways("q0", "here");

        // A port that is taken to another namespace is dead for this one.
        let elsewhere = aggctl_tests::Namespace::new("e");
        run(&["ip", "link", "set", "p0", "netns", elsewhere.name()]);
        both_ways("q1", "p0 is elsewhere");
    });
}

fn devices(dataplane: &Dataplane) -> [u64; 2] {
    [P0, P1].map(|port| dataplane.table().unwrap().device(port))
}

/// Spreads over both ports.
fn spread(settings: &Settings) -> Option<Dataplane> {
    let mut dataplane = dataplane();
    dataplane.set_settings(settings.clone());
    dataplane.create().unwrap();
    let members = [P0, P1].map(|id| SpreadMember { id, weight: 1, usable: true });
    if settings.tx_policy == TxPolicy::Buckets {
        let orders = fallback_orders(&members, settings.buckets);
        dataplane.publish_fallback_orders(&orders).unwrap();
        dataplane.publish_buckets(&primaries(&orders, P0.bit() | P1.bit())).unwrap();
    } else {
        let rotation: Rotation = rotation(&members, false);
        dataplane.publish_rotation(&rotation).unwrap();
    }
    attach_to(&dataplane, Case { wiring: Wiring::Shared, device: Device::Veth, hook: Hook::Auto });
    asks(&dataplane).then_some(dataplane)
}

#[test]
fn what_is_spread_over_the_ports_takes_those_that_live() {
    for tx_policy in [TxPolicy::Buckets, TxPolicy::Modulo, TxPolicy::RoundRobin, TxPolicy::Random] {
        for rx_policy in [RxPolicy::Any, RxPolicy::Designated] {
            bench(move || {
                let settings = Settings { tx_policy, rx_policy, buckets: MIN_BUCKETS, ..Settings::default() };
                if spread(&settings).is_none() {
                    return;
                }
                assert_eq!(arriving(50), 50, "{settings:?}");
                for (cut, text) in CUTS {
                    set(cut, "down");
                    assert_eq!(arriving(50), 50, "{settings:?}: {text}");
                    passes("q1", "agg0", text);
                    set_up(cut);
                }
                set("q1", "down");
                sends_by("q0", "the other one");
            });
        }
    }
}

#[test]
fn broadcast_is_taken_from_the_next_port_that_lives() {
    for (tx_policy, rx_policy) in [(TxPolicy::Active, RxPolicy::Active), (TxPolicy::Buckets, RxPolicy::Designated)] {
        bench(move || {
            let settings = Settings { tx_policy, rx_policy, buckets: MIN_BUCKETS, ..Settings::default() };
            if spread(&settings).is_none() {
                return;
            }
            let broadcast = |text: &str| {
                let aggregate = Wire::open(index("agg0"));
                let frame = wire::frame([0xff; 6], text);
                Wire::open(index("q1")).send(&frame);
                aggregate.poll(Duration::from_millis(500)).is_some_and(|came| came.octets == frame)
            };
            assert!(!broadcast("p0 has it already"), "{settings:?}");
            for (cut, text) in CUTS {
                set(cut, "down");
                assert!(broadcast(text), "{settings:?}: {text}");
                set_up(cut);
                assert!(!broadcast("p0 is back"), "{settings:?}");
            }
        });
    }
}

#[test]
fn a_kernel_that_cannot_be_asked_is_not() {
    bench(|| {
        let case = Case { wiring: Wiring::Shared, device: Device::Veth, hook: Hook::Auto };
        let dataplane = dataplane().for_kernel(None);
        attach_to(&dataplane, case);
        assert!(!dataplane.asks_kernel());
        both_ways("q0", "as ever");
        set("q0", "down");
        assert_eq!(arriving(4), 0, "the table alone decides");
        dataplane.table().unwrap().publish(&Ports { usable: P1.bit(), ..ports() });
        both_ways("q1", "the table says so");
        assert_eq!(dataplane.table().unwrap().device(P1), 0);
    });
}

#[test]
fn what_the_kernel_refuses_goes_without_the_question() {
    bench(|| {
        let case = Case { wiring: Wiring::Shared, device: Device::Veth, hook: Hook::Auto };
        let Ok(types) = fs::read("/sys/kernel/btf/vmlinux")
            .map_err(|error| error.to_string())
            .and_then(|octets| KernelTypes::parse(&octets))
        else {
            println!("skipped: {}", READABLE_DEVICES.lacking());
            return;
        };
        let wrong = [
            // No function; one that does something else; no type; none that is a structure.
            KernelTypes { rdonly_cast: 1, ..types },
            KernelTypes { rdonly_cast: types.cast_to_kern_ctx, ..types },
            KernelTypes { net_device: 0x00ff_ffff, ..types },
            KernelTypes { net_device: types.rdonly_cast, ..types },
        ];
        for types in wrong {
            let dataplane = dataplane().for_kernel(Some(types));
            attach_to(&dataplane, case);
            assert!(!dataplane.asks_kernel(), "{types:?}");
            both_ways("q0", "all the same");
        }
        // What can be loaded, and reads something else: a port is lost at most, never the aggregate.
        let dataplane = dataplane().for_kernel(Some(KernelTypes { state: types.state + 8, ..types }));
        attach_to(&dataplane, case);
        let from = ["q0", "q1"].map(|name| Wire::open(index(name)));
        Wire::open(index("agg0")).send(&wire::frame(UNICAST, "somehow"));
        assert!(from.iter().any(|wire| wire.poll(Duration::from_secs(5)).is_some()));
        // And the programs of the present kernel take their place.
        let dataplane = dataplane.for_kernel(Some(types));
        attach_to(&dataplane, case);
        assert!(dataplane.asks_kernel());
    });
}
