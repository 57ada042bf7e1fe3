//! The programs on their hooks, with real frames: every test runs for tcx and for clsact.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::{
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use aggctl_common::{DropReason, IfIndex, PortId, Ports};
use aggctl_engine::config::Hook;
use aggctl_kernel::dataplane::{Dataplane, DataplaneError, Defect, DropCount, Expected, Role, tcx_supported};
use aya::programs::{
    ProgramInfo, SchedClassifier, TcAttachType,
    tc::{self, NlOptions, TcAttachOptions},
};
use support::{
    BPFFS, bench, dataplane,
    foreign::{self, FOREIGN_LENGTH},
    index, run, table,
    wire::{self, UNICAST, Wire},
};

/// Runs a test for each hook that the kernel has.
fn each_hook(test: fn(Hook)) {
    for hook in [Hook::Tcx, Hook::Clsact] {
        bench(move || {
            if hook == Hook::Tcx && !tcx_supported() {
                println!("skipped for tcx: the kernel has none (Linux 6.6)");
                return;
            }
            test(hook);
        });
    }
}

const P0: PortId = PortId(0);
const P1: PortId = PortId(3);

/// Attaches both ports; p0 is active.
fn attach(hook: Hook) -> Dataplane {
    let dataplane = dataplane();
    attach_to(&dataplane, hook);
    dataplane
}

fn attach_to(dataplane: &Dataplane, hook: Hook) {
    dataplane.attach_rx(P0, index("p0"), index("hid0"), hook).unwrap();
    dataplane.attach_rx(P1, index("p1"), index("hid0"), hook).unwrap();
    dataplane.table().unwrap().publish(&ports());
    dataplane.attach_tx(index("hid0"), hook).unwrap();
}

/// The table with p0 active and p1 standing by.
fn ports() -> Ports {
    table(&[(P0.0, index("p0")), (P1.0, index("p1"))], P0.0)
}

fn detach(dataplane: &Dataplane, hook: Hook) {
    dataplane.detach_tx(index("hid0"), hook).unwrap();
    dataplane.detach_rx(P0, index("p0"), hook).unwrap();
    dataplane.detach_rx(P1, index("p1"), hook).unwrap();
    dataplane.remove().unwrap();
}

/// Checks that a frame sent into `from` comes out of `to`, exactly once.
fn passes(from: &str, to: &str, text: &str) {
    let wire = Wire::open(index(to));
    let sender = Wire::open(index(from));
    let first = wire::frame(UNICAST, text);
    let second = wire::frame(UNICAST, "the one after it");
    sender.send(&first);
    sender.send(&second);
    assert_eq!(wire.hear().octets, first, "{from} to {to}: {text}");
    assert_eq!(wire.hear().octets, second, "{from} to {to}: {text} came twice");
}

fn both_ways(port: &str, text: &str) {
    passes("agg0", port, text);
    passes(port, "agg0", text);
}

/// What hangs on interfaces, as far as `tc` and the kernel show it.
fn hanging() -> String {
    let mut all = run(&["tc", "qdisc", "show"]);
    for name in ["hid0", "p0", "p1"] {
        all += &run(&["tc", "filter", "show", "dev", name, "ingress"]);
        if tcx_supported() {
            let (_, programs) = SchedClassifier::query_tcx(name, TcAttachType::Ingress).unwrap();
            all += &format!("{name}: {:?}\n", programs.iter().map(ProgramInfo::id).collect::<Vec<_>>());
        }
    }
    all
}

fn wait_for_drops(dataplane: &Dataplane, expected: &[DropCount]) {
    for _ in 0..1000 {
        if dataplane.drops().unwrap() == expected {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(dataplane.drops().unwrap(), expected);
}

#[test]
fn frames_go_both_ways_and_detach_leaves_nothing() {
    each_hook(|hook| {
        let before = hanging();
        let dataplane = attach(hook);
        both_ways("q0", "through the active port");
        dataplane.table().unwrap().publish(&Ports { active: u32::from(P1.0), ..ports() });
        both_ways("q1", "through the other one");
        detach(&dataplane, hook);
        assert_eq!(hanging(), before);
        assert!(!Path::new(BPFFS).join("agg0").exists());
        detach(&dataplane, hook);
    });
}

#[test]
fn the_programs_fall_back_without_the_controller() {
    each_hook(|hook| {
        let dataplane = attach(hook);
        dataplane.table().unwrap().publish(&Ports { usable: P1.bit(), ..ports() });
        both_ways("q1", "p0 is active but not usable");
    });
}

#[test]
fn a_standby_port_drops_and_counts() {
    each_hook(|hook| {
        let dataplane = attach(hook);
        let aggregate = Wire::open(index("agg0"));
        let standby = Wire::open(index("q1"));
        standby.send(&wire::frame(UNICAST, "unwanted"));
        standby.send(&wire::frame([0xff; 6], "unwanted as well"));
        wait_for_drops(&dataplane, &[DropCount { port: Some(P1), reason: DropReason::Standby, packets: 2 }]);
        assert_eq!(aggregate.poll(Duration::ZERO), None);

        dataplane.table().unwrap().publish(&Ports::EMPTY);
        Wire::open(index("agg0")).send(&wire::frame(UNICAST, "nowhere to go"));
        wait_for_drops(
            &dataplane,
            &[
                DropCount { port: Some(P1), reason: DropReason::Standby, packets: 2 },
                DropCount { port: None, reason: DropReason::NoPort, packets: 1 },
            ],
        );
        // Another interface in the slot starts from zero.
        dataplane.attach_rx(P1, index("q0"), index("hid0"), hook).unwrap();
        wait_for_drops(&dataplane, &[DropCount { port: None, reason: DropReason::NoPort, packets: 1 }]);
    });
}

#[test]
fn control_frames_reach_sockets_of_their_protocol_on_every_port() {
    each_hook(|hook| {
        let _dataplane = attach(hook);
        let aggregate = Wire::open(index("agg0"));
        for (port, far) in [("p0", "q0"), ("p1", "q1")] {
            // Bound to the protocol, so it sits behind the hook, unlike one for all protocols.
            let listener = Wire::open_for(index(port), wire::ETHERTYPE);
            let far = Wire::open(index(far));
            for last in [0x00, 0x01, 0x02, 0x0e] {
                let frame = wire::frame([0x01, 0x80, 0xc2, 0, 0, last], &format!("control {last}"));
                far.send(&frame);
                assert_eq!(listener.hear().octets, frame, "{port}");
                if ![1, 2].contains(&last) {
                    assert_eq!(aggregate.hear().octets, frame, "{port}");
                }
            }
        }
        let ordinary = wire::frame(UNICAST, "ordinary");
        Wire::open(index("q0")).send(&ordinary);
        assert_eq!(aggregate.hear().octets, ordinary, "nothing came in between");
    });
}

#[test]
fn tagged_frames_pass_untouched() {
    each_hook(|hook| {
        let _dataplane = attach(hook);
        let plain = wire::frame(UNICAST, "tagged");
        let frame = wire::tagged(&plain, 10);
        // With the acceleration the tag travels beside the frame, without it in the frame.
        for acceleration in ["on", "off"] {
            for name in ["agg0", "hid0", "p0", "q0"] {
                run(&["ethtool", "-K", name, "txvlan", acceleration]);
            }
            for (from, to) in [("agg0", "q0"), ("q0", "agg0")] {
                let wire = Wire::open(index(to));
                Wire::open(index(from)).send(&frame);
                let heard = wire.hear();
                let whole = heard.vlan.map_or_else(|| heard.octets.clone(), |vlan| wire::tagged(&heard.octets, vlan));
                assert_eq!(whole, frame, "{from} to {to}, acceleration {acceleration}");
            }
        }
    });
}

/// Attaches a foreign program to p0's ingress, ahead of ours. It stays while the value lives.
fn attach_foreign(hook: Hook) -> SchedClassifier {
    let mut program = foreign::load(&Path::new(BPFFS).join("foreign"));
    let options = match hook {
        Hook::Tcx => TcAttachOptions::TcxOrder(Default::default()),
        Hook::Auto | Hook::Clsact => {
            // It may be there already.
            let _ = tc::qdisc_add_clsact("p0");
            TcAttachOptions::Netlink(NlOptions { priority: 10, ..NlOptions::default() })
        }
    };
    program.attach_with_options("p0", TcAttachType::Ingress, options).unwrap();
    program
}

/// Checks that the foreign program sees frames before ours: it drops those of its length.
fn foreign_filters() {
    let wire = Wire::open(index("agg0"));
    let far = Wire::open(index("q0"));
    let mut long = wire::frame(UNICAST, "of the foreign program's length");
    long.resize(FOREIGN_LENGTH, 0);
    far.send(&long);
    let other = wire::frame(UNICAST, "of another");
    far.send(&other);
    assert_eq!(wire.hear().octets, other);
}

#[test]
fn a_foreign_program_keeps_working_and_stays() {
    each_hook(|hook| {
        let _foreign = attach_foreign(hook);
        let before = hanging();
        let dataplane = attach(hook);
        foreign_filters();
        dataplane.attach_rx(P0, index("p0"), index("hid0"), hook).unwrap();
        foreign_filters();
        detach(&dataplane, hook);
        assert_eq!(hanging(), before, "its qdisc or program is gone, or something of ours is left");
    });
}

#[test]
fn a_qdisc_of_ours_stays_while_somebody_else_uses_it() {
    bench(|| {
        let before = hanging();
        let dataplane = attach(Hook::Clsact);
        let foreign = attach_foreign(Hook::Clsact);
        foreign_filters();
        detach(&dataplane, Hook::Clsact);
        let left = hanging();
        assert!(left.contains("clsact") && left.contains("pref 10"), "{left}");
        drop(foreign);
        run(&["tc", "qdisc", "del", "dev", "p0", "clsact"]);
        assert_eq!(hanging(), before);
    });
}

#[test]
fn attaching_twice_is_attaching_once() {
    each_hook(|hook| {
        let dataplane = attach(hook);
        let count = |text: String| text.lines().filter(|line| line.contains("aggctl_rx")).count();
        let filters = count(hanging());
        for _ in 0..3 {
            attach_to(&dataplane, hook);
        }
        assert_eq!(count(hanging()), filters);
        if tcx_supported() && hook == Hook::Tcx {
            assert_eq!(SchedClassifier::query_tcx("p0", TcAttachType::Ingress).unwrap().1.len(), 1);
        }
        both_ways("q0", "once");
    });
}

#[test]
fn swapping_programs_loses_no_frame() {
    const FRAMES: usize = 3000;
    each_hook(|hook| {
        let dataplane = attach(hook);
        let far = Wire::open(index("q0"));
        let aggregate = Wire::open(index("agg0"));
        let done = Arc::new(AtomicBool::new(false));
        let sender = std::thread::spawn({
            let done = done.clone();
            move || {
                for number in 0..FRAMES {
                    aggregate.send(&wire::frame(UNICAST, &format!("{number}")));
                    std::thread::sleep(Duration::from_micros(20));
                }
                done.store(true, Ordering::Release);
            }
        });
        let mut swaps = 0;
        while !done.load(Ordering::Acquire) || swaps < 3 {
            attach_to(&dataplane, hook);
            swaps += 1;
        }
        sender.join().unwrap();
        for number in 0..FRAMES {
            assert_eq!(far.hear().octets, wire::frame(UNICAST, &format!("{number}")), "after {swaps} swaps");
        }
        assert_eq!(dataplane.drops().unwrap(), []);
    });
}

/// Run by the next test, in a process of its own.
#[test]
#[ignore = "attaches in the namespaces of whoever runs it"]
fn attach_and_exit() {
    let hook = match std::env::var("AGGCTL_TEST_HOOK").unwrap().as_str() {
        "tcx" => Hook::Tcx,
        _ => Hook::Clsact,
    };
    attach(hook);
}

#[test]
fn everything_outlives_the_process_and_can_be_adopted() {
    each_hook(|hook| {
        let name = if hook == Hook::Tcx { "tcx" } else { "clsact" };
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "attach_and_exit"])
            .env("AGGCTL_TEST_HOOK", name)
            .output()
            .unwrap();
        assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stdout));
        both_ways("q0", "nobody is there");
        let dataplane = Dataplane::at(format!("{BPFFS}/agg0"));
        assert_eq!(dataplane.table().unwrap().load(), ports());
        assert_eq!(dataplane.defects(&expected(hook)).unwrap(), []);
        attach_to(&dataplane, hook);
        both_ways("q0", "adopted");
        assert_eq!(dataplane.defects(&expected(hook)).unwrap(), []);
        detach(&dataplane, hook);
    });
}

fn expected(hook: Hook) -> Expected {
    Expected { hidden: index("hid0"), ports: vec![(P0, index("p0")), (P1, index("p1"))], hook }
}

#[test]
fn defects_are_found_and_repaired() {
    each_hook(|hook| {
        let dataplane = attach(hook);
        let defects = || dataplane.defects(&expected(hook)).unwrap();
        let repair = || {
            dataplane.create().unwrap();
            attach_to(&dataplane, hook);
            assert_eq!(defects(), []);
            both_ways("q0", "repaired");
        };
        assert_eq!(defects(), []);

        match hook {
            Hook::Tcx => std::fs::remove_file(format!("{BPFFS}/agg0/link-rx3")).unwrap(),
            Hook::Auto | Hook::Clsact => drop(run(&["tc", "filter", "del", "dev", "p1", "ingress"])),
        }
        assert_eq!(defects(), [Defect::NotAttached { role: Role::Rx(P1), index: index("p1") }]);
        repair();

        std::fs::remove_file(format!("{BPFFS}/agg0/rx0")).unwrap();
        assert_eq!(defects(), [Defect::Stale { role: Role::Rx(P0), index: index("p0") }]);
        repair();

        dataplane.table().unwrap().publish(&Ports::EMPTY);
        let wrong = |port, name| Defect::WrongInterface { port, found: IfIndex::NONE, expected: index(name) };
        assert_eq!(defects(), [wrong(P0, "p0"), wrong(P1, "p1")]);
        repair();
    });
}

#[test]
fn maps_of_another_shape_or_layout_are_rebuilt() {
    each_hook(|hook| {
        let pins = Path::new(BPFFS).join("agg0");
        let dataplane = attach(hook);
        let repair = || {
            dataplane.create().unwrap();
            assert!(
                dataplane
                    .defects(&expected(hook))
                    .unwrap()
                    .contains(&Defect::Stale { role: Role::Tx, index: index("hid0") })
            );
            // Those that hang go on with the old maps until they are swapped.
            both_ways("q0", "with the old maps");
            attach_to(&dataplane, hook);
            assert_eq!(dataplane.defects(&expected(hook)).unwrap(), []);
            both_ways("q0", "with the new ones");
        };
        std::fs::rename(pins.join("drops"), pins.join("ports")).unwrap();
        assert_eq!(dataplane.defects(&expected(hook)).unwrap(), [Defect::MapDifferent("ports")]);
        repair();

        std::fs::rename(pins.join("layout-1"), pins.join("layout-0")).unwrap();
        assert_eq!(dataplane.defects(&expected(hook)).unwrap(), [Defect::MapDifferent("layout")]);
        repair();
        assert!(!pins.join("layout-0").exists());
        detach(&dataplane, hook);
    });
}

#[test]
fn what_is_not_there_is_named() {
    bench(|| {
        let elsewhere = Dataplane::at("/proc/self/aggctl");
        assert!(matches!(elsewhere.create(), Err(DataplaneError::NoBpffs(at)) if at == Path::new("/proc/self/aggctl")));
        let empty = Dataplane::at(format!("{BPFFS}/none"));
        let refusal = empty.attach_tx(index("hid0"), Hook::Auto).unwrap_err().to_string();
        assert!(refusal.contains("map ports") && refusal.contains("No such file"), "{refusal}");
        assert!(matches!(
            empty.attach_rx(PortId(64), index("p0"), index("hid0"), Hook::Auto),
            Err(DataplaneError::NoSlot(_))
        ));
        assert_eq!(empty.defects(&expected(Hook::Auto)).unwrap(), [Defect::MapMissing("ports")]);
        for _ in 0..2 {
            empty.detach_rx(P0, index("p0"), Hook::Auto).unwrap();
            empty.detach_tx(index("hid0"), Hook::Auto).unwrap();
            empty.remove().unwrap();
        }
        assert!(!Path::new(BPFFS).join("none").exists());
    });
}

#[test]
fn an_interface_that_went_away_is_no_obstacle() {
    each_hook(|hook| {
        let dataplane = attach(hook);
        let gone = index("p1");
        run(&["ip", "link", "del", "p1"]);
        assert_eq!(
            dataplane.defects(&expected_with(gone, hook)).unwrap(),
            [Defect::NotAttached { role: Role::Rx(P1), index: gone }]
        );
        let refusal = dataplane.attach_rx(P1, gone, index("hid0"), hook).unwrap_err();
        assert!(matches!(refusal, DataplaneError::NoInterface(at) if at == gone), "{refusal}");

        // It comes back with another number, into the same slot.
        run(&["ip", "link", "add", "p1", "type", "veth", "peer", "name", "q1"]);
        run(&["ip", "link", "set", "p1", "up"]);
        run(&["ip", "link", "set", "q1", "up"]);
        attach_to(&dataplane, hook);
        dataplane.table().unwrap().publish(&Ports { active: u32::from(P1.0), ..ports() });
        both_ways("q1", "plugged in again");

        let gone = index("p1");
        run(&["ip", "link", "del", "p1"]);
        dataplane.detach_rx(P1, gone, hook).unwrap();
        assert_eq!(dataplane.table().unwrap().load().usable, P0.bit());
        both_ways("q0", "the other port");
        dataplane.detach_rx(P0, index("p0"), hook).unwrap();

        // The hidden end goes with the aggregate; nobody knows its number any more.
        run(&["ip", "link", "del", "agg0"]);
        dataplane.detach_tx(IfIndex::NONE, hook).unwrap();
        dataplane.remove().unwrap();
    });
}

fn expected_with(p1: IfIndex, hook: Hook) -> Expected {
    Expected { hidden: index("hid0"), ports: vec![(P0, index("p0")), (P1, p1)], hook }
}
