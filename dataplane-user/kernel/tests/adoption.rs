//! What outlives a process, and how another one takes it over: swaps, repairs, rebuilt maps, interfaces that went away.
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

use aggctl_common::{DropReason, IfIndex, LAYOUT_VERSION, Ports};
use aggctl_engine::{
    config::{Hook, Wiring},
    settings::Settings,
};
use aggctl_kernel::dataplane::{
    Dataplane, DataplaneDefect, DataplaneError, DropCount, Expected, ProgramRole, WiredPair,
};
use aggctl_tests::wait;
use support::{
    BPFFS,
    attached::{
        Case, P0, P1, attach, attach_to, attached_programs, both_ways, detach, each, expected, pair, ports, sender,
    },
    index, namespace, run, table,
    wire::{self, UNICAST, Wire},
};

#[test]
fn swapping_programs_loses_no_frame() {
    const FRAMES: usize = 3000;
    each(|case| {
        let dataplane = attach(case);
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
            attach_to(&dataplane, case);
            swaps += 1;
        }
        sender.join().unwrap();
        for number in 0..FRAMES {
            assert_eq!(far.receive().octets, wire::frame(UNICAST, &format!("{number}")), "after {swaps} swaps");
        }
        assert_eq!(dataplane.drops().unwrap(), []);
    });
}

/// Run by the next test, in a process of its own.
#[test]
#[ignore = "attaches in the namespaces of whoever runs it"]
fn attach_and_exit() {
    let name = std::env::var("AGGCTL_TEST_CASE").unwrap();
    attach(Case::all().into_iter().find(|case| case.to_string() == name).unwrap());
}

#[test]
fn everything_outlives_the_process_and_can_be_adopted() {
    each(|case| {
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "attach_and_exit"])
            .env("AGGCTL_TEST_CASE", case.to_string())
            .output()
            .unwrap();
        assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stdout));
        both_ways("q0", "nobody is there");
        let dataplane = Dataplane::at(format!("{BPFFS}/agg0"), Settings::default());
        assert_eq!(dataplane.table().unwrap().load(), ports());
        assert_eq!(dataplane.defects(&expected(case)).unwrap(), []);
        attach_to(&dataplane, case);
        both_ways("q0", "adopted");
        assert_eq!(dataplane.defects(&expected(case)).unwrap(), []);
        detach(&dataplane, case);
    });
}

#[test]
fn what_is_held_lives_without_its_pins_and_can_be_pinned_again() {
    each(|case| {
        let dataplane = attach(case);
        let mut held = dataplane.hold().unwrap();
        assert_eq!(dataplane.keep(&mut held).unwrap(), Vec::<String>::new());
        let pins = || {
            let entries = std::fs::read_dir(format!("{BPFFS}/agg0")).unwrap().map(|entry| entry.unwrap().file_name());
            entries.map(|name| name.into_string().unwrap()).collect::<std::collections::BTreeSet<_>>()
        };
        let before = pins();

        // Our own changes are no loss.
        attach_to(&dataplane, case);
        assert_eq!(dataplane.keep(&mut held).unwrap(), Vec::<String>::new());

        std::fs::remove_file(format!("{BPFFS}/agg0/rx3")).unwrap();
        assert_eq!(dataplane.keep(&mut held).unwrap(), ["rx3"]);
        std::fs::remove_dir_all(format!("{BPFFS}/agg0")).unwrap();
        let lost = dataplane.keep(&mut held).unwrap();
        assert_eq!(lost.into_iter().collect::<std::collections::BTreeSet<_>>(), before);
        both_ways("q0", "nothing is pinned");

        dataplane.pin_again(&mut held).unwrap();
        assert_eq!(pins(), before);
        assert_eq!(dataplane.keep(&mut held).unwrap(), Vec::<String>::new());
        drop(held);
        both_ways("q0", "pinned again");
        assert_eq!(dataplane.defects(&expected(case)).unwrap(), []);
        detach(&dataplane, case);
    });
}

#[test]
fn a_held_program_is_taken_off_all_the_same() {
    each(|case| {
        let before = attached_programs();
        let dataplane = attach(case);
        let _held = dataplane.hold().unwrap();
        detach(&dataplane, case);
        assert_eq!(attached_programs(), before);
    });
}

#[test]
fn defects_are_found_and_repaired() {
    each(|case| {
        let dataplane = attach(case);
        let defects = || dataplane.defects(&expected(case)).unwrap();
        let repair = || {
            dataplane.create().unwrap();
            attach_to(&dataplane, case);
            assert_eq!(defects(), []);
            both_ways("q0", "repaired");
        };
        assert_eq!(defects(), []);

        match case.hook {
            Hook::Tcx => std::fs::remove_file(format!("{BPFFS}/agg0/link-rx3")).unwrap(),
            Hook::Auto | Hook::Clsact => drop(run(&["tc", "filter", "del", "dev", "p1", "ingress"])),
        }
        assert_eq!(defects(), [DataplaneDefect::NotAttached { role: ProgramRole::Rx(P1), index: index("p1") }]);
        repair();

        if case.wiring == Wiring::Direct {
            let peer = pair(case).peer;
            let filters = || run(&["tc", "filter", "del", "dev", "agg0-peer", "ingress"]);
            match case.hook {
                Hook::Tcx => std::fs::remove_file(format!("{BPFFS}/agg0/link-relay")).unwrap(),
                Hook::Auto | Hook::Clsact => drop(namespace().run(filters).unwrap()),
            }
            assert_eq!(defects(), [DataplaneDefect::NotAttached { role: ProgramRole::Relay, index: peer }]);
            repair();
        }

        if case.sends_by_netkit() {
            std::fs::remove_file(format!("{BPFFS}/agg0/link-tx")).unwrap();
            assert_eq!(defects(), [DataplaneDefect::NotAttached { role: ProgramRole::Tx, index: index("agg0") }]);
            repair();
        }

        std::fs::remove_file(format!("{BPFFS}/agg0/rx0")).unwrap();
        assert_eq!(defects(), [DataplaneDefect::Stale { role: ProgramRole::Rx(P0), index: index("p0") }]);
        repair();

        dataplane.table().unwrap().publish(&Ports::EMPTY);
        let wrong = |port, name| DataplaneDefect::WrongInterface { port, found: IfIndex::NONE, expected: index(name) };
        assert_eq!(defects(), [wrong(P0, "p0"), wrong(P1, "p1")]);
        repair();
    });
}

/// As versions left it that knew nothing of sockets bound to ports.
#[test]
fn a_data_path_without_the_map_of_bound_sockets_keeps_all_other_maps() {
    each(|case| {
        let dataplane = attach(case);
        Wire::open(index("q1")).send(&wire::frame(UNICAST, "dropped on the standby port"));
        let drops = [DropCount { port: Some(P1), reason: DropReason::Standby, packets: 1 }];
        assert!(wait::find(Duration::from_secs(10), || (dataplane.drops().unwrap() == drops).then_some(())).is_some());
        std::fs::remove_file(format!("{BPFFS}/agg0/bound")).unwrap();
        assert_eq!(dataplane.defects(&expected(case)).unwrap(), [DataplaneDefect::MapMissing("bound")]);
        dataplane.create().unwrap();
        assert_eq!(dataplane.table().unwrap().load(), ports(), "the table is as it was");
        let stale = [("p0", P0), ("p1", P1)]
            .map(|(name, port)| DataplaneDefect::Stale { role: ProgramRole::Rx(port), index: index(name) });
        assert_eq!(dataplane.defects(&expected(case)).unwrap(), stale);
        both_ways("q0", "with programs that know nothing of it");
        attach_to(&dataplane, case);
        assert_eq!(dataplane.defects(&expected(case)).unwrap(), []);
        assert_eq!(dataplane.drops().unwrap(), drops, "counters go on");
        both_ways("q0", "with those that do");
        detach(&dataplane, case);
    });
}

#[test]
fn maps_of_another_shape_or_layout_are_rebuilt() {
    each(|case| {
        let pins = Path::new(BPFFS).join("agg0");
        let dataplane = attach(case);
        let repair = || {
            dataplane.create().unwrap();
            assert!(
                dataplane
                    .defects(&expected(case))
                    .unwrap()
                    .contains(&DataplaneDefect::Stale { role: ProgramRole::Tx, index: sender(case) })
            );
            // Those that are attached go on with the old maps until they are swapped.
            both_ways("q0", "with the old maps");
            attach_to(&dataplane, case);
            assert_eq!(dataplane.defects(&expected(case)).unwrap(), []);
            both_ways("q0", "with the new ones");
        };
        std::fs::rename(pins.join("drops"), pins.join("ports")).unwrap();
        assert_eq!(dataplane.defects(&expected(case)).unwrap(), [DataplaneDefect::MapDifferent("ports")]);
        repair();

        std::fs::rename(pins.join(format!("layout-{LAYOUT_VERSION}")), pins.join("layout-0")).unwrap();
        assert_eq!(dataplane.defects(&expected(case)).unwrap(), [DataplaneDefect::MapDifferent("layout")]);
        repair();
        assert!(!pins.join("layout-0").exists());
        detach(&dataplane, case);
    });
}

#[test]
fn an_interface_that_went_away_is_no_obstacle() {
    each(|case| {
        let dataplane = attach(case);
        let gone = index("p1");
        run(&["ip", "link", "del", "p1"]);
        assert_eq!(
            dataplane.defects(&expected_with(gone, case)).unwrap(),
            [DataplaneDefect::NotAttached { role: ProgramRole::Rx(P1), index: gone }]
        );
        let refusal = dataplane.attach_rx(P1, gone, &pair(case), case.hook).unwrap_err();
        assert!(matches!(refusal, DataplaneError::NoInterface(at) if at == gone), "{refusal}");

        // It comes back with another number, into the same slot.
        run(&["ip", "link", "add", "p1", "type", "veth", "peer", "name", "q1"]);
        run(&["ip", "link", "set", "p1", "up"]);
        run(&["ip", "link", "set", "q1", "up"]);
        attach_to(&dataplane, case);
        dataplane.table().unwrap().publish(&Ports { active: u32::from(P1.0), ..ports() });
        both_ways("q1", "plugged in again");

        let gone = index("p1");
        run(&["ip", "link", "del", "p1"]);
        let before = dataplane.table().unwrap().load();
        dataplane.detach_rx(P1, gone, case.hook).unwrap();
        assert_eq!(dataplane.table().unwrap().load(), before, "the table is the controller's");
        dataplane.table().unwrap().publish(&table(&[(P0.0, index("p0"))], P0.0));
        both_ways("q0", "the other port");
        dataplane.detach_rx(P0, index("p0"), case.hook).unwrap();

        // The peer goes with the aggregate; nobody knows its number any more.
        let pair = pair(case);
        run(&["ip", "link", "del", "agg0"]);
        let nobody = WiredPair { aggregate: IfIndex::NONE, peer: IfIndex::NONE, ..pair };
        dataplane.detach_tx(&nobody, case.hook).unwrap();
        dataplane.detach_relay(&nobody, case.hook).unwrap();
        dataplane.remove().unwrap();
    });
}

fn expected_with(p1: IfIndex, case: Case) -> Expected {
    Expected { pair: pair(case), ports: vec![(P0, index("p0")), (P1, p1)], hook: case.hook }
}
