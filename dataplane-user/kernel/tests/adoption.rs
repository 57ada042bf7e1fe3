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

use aggctl_common::{IfIndex, Ports};
use aggctl_engine::config::Hook;
use aggctl_kernel::dataplane::{Dataplane, DataplaneError, Defect, Expected, Role};
use support::{
    BPFFS,
    attached::{P0, P1, attach, attach_to, both_ways, detach, each_hook, expected, ports},
    index, run, table,
    wire::{self, UNICAST, Wire},
};

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
        let before = dataplane.table().unwrap().load();
        dataplane.detach_rx(P1, gone, hook).unwrap();
        assert_eq!(dataplane.table().unwrap().load(), before, "the table is the controller's");
        dataplane.table().unwrap().publish(&table(&[(P0.0, index("p0"))], P0.0));
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
