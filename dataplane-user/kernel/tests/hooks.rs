//! The programs on their hooks, with real frames: every test runs for netkit and veth, tcx and clsact.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::{path::Path, time::Duration};

use aggctl_common::{Bound, DropReason, EtherTypes, PortId, Ports};
use aggctl_engine::{
    config::{Device, Hook, Wiring},
    settings::Settings,
};
use aggctl_kernel::dataplane::{Dataplane, DataplaneDefect, DataplaneError, DropCount, ProgramRole, tcx_supported};
use aya::programs::{
    SchedClassifier, TcAttachType,
    tc::{self, NlOptions, TcAttachOptions},
};
use support::{
    BPFFS,
    attached::{Case, P0, P1, attach, attach_to, attached_programs, both_ways, detach, each, expected, pair, ports},
    bench,
    foreign::{self, FOREIGN_LENGTH},
    index, namespace, run,
    wire::{self, UNICAST, Wire},
};

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
    each(|case| {
        let before = attached_programs();
        let dataplane = attach(case);
        both_ways("q0", "through the active port");
        dataplane.table().unwrap().publish(&Ports { active: u32::from(P1.0), ..ports() });
        both_ways("q1", "through the other one");
        detach(&dataplane, case);
        assert_eq!(attached_programs(), before);
        assert!(!Path::new(BPFFS).join("agg0").exists());
        detach(&dataplane, case);
    });
}

/// A pair without a program, as between its making and the attachment, or if that fell off.
#[test]
fn without_a_program_a_netkit_pair_leaks_nothing_and_lets_in() {
    each(|case| {
        if !case.sends_by_netkit() {
            return;
        }
        let (aggregate, peer) = (Wire::open(index("agg0")), Wire::open(index("agg0-peer")));
        assert!(!aggregate.try_send(&wire::frame(UNICAST, "out")));
        peer.send(&wire::frame(UNICAST, "in"));
        assert_eq!(aggregate.receive().octets, wire::frame(UNICAST, "in"));
        assert_eq!(peer.poll(Duration::ZERO), None);
    });
}

#[test]
fn the_programs_fall_back_without_the_controller() {
    each(|case| {
        let dataplane = attach(case);
        dataplane.table().unwrap().publish(&Ports { usable: P1.bit(), ..ports() });
        both_ways("q1", "p0 is active but not usable");
    });
}

#[test]
fn a_standby_port_drops_and_counts() {
    each(|case| {
        let dataplane = attach(case);
        let aggregate = Wire::open(index("agg0"));
        let standby = Wire::open(index("q1"));
        standby.send(&wire::frame(UNICAST, "unwanted"));
        standby.send(&wire::frame([0xff; 6], "unwanted as well"));
        wait_for_drops(&dataplane, &[DropCount { port: Some(P1), reason: DropReason::Standby, packets: 2 }]);
        assert_eq!(aggregate.poll(Duration::ZERO), None);

        dataplane.table().unwrap().publish(&Ports { usable: 0, ..ports() });
        // A netkit device tells the sender, and so does the egress hook.
        let sent = Wire::open(index("agg0")).try_send(&wire::frame(UNICAST, "nowhere to go"));
        assert_eq!(sent, case.wiring == Wiring::Shared && case.device != Device::Netkit);
        wait_for_drops(
            &dataplane,
            &[
                DropCount { port: Some(P1), reason: DropReason::Standby, packets: 2 },
                DropCount { port: None, reason: DropReason::NoPort, packets: 1 },
            ],
        );
        // Swapping the program keeps the count; a port that joins starts from zero.
        dataplane.attach_rx(P1, index("p1"), &pair(case), case.hook).unwrap();
        assert_eq!(dataplane.drops().unwrap().len(), 2);
        dataplane.detach_rx(P1, index("p1"), case.hook).unwrap();
        dataplane.attach_rx(P1, index("p1"), &pair(case), case.hook).unwrap();
        wait_for_drops(&dataplane, &[DropCount { port: None, reason: DropReason::NoPort, packets: 1 }]);
    });
}

#[test]
fn control_frames_reach_sockets_of_their_protocol_on_every_port() {
    each(|case| {
        let _dataplane = attach(case);
        let aggregate = Wire::open(index("agg0"));
        for (port, far) in [("p0", "q0"), ("p1", "q1")] {
            // Bound to the protocol, so it sits behind the hook, unlike one for all protocols.
            let listener = Wire::open_for(index(port), wire::ETHERTYPE);
            let far = Wire::open(index(far));
            for last in [0x00, 0x01, 0x02, 0x0e] {
                let frame = wire::frame([0x01, 0x80, 0xc2, 0, 0, last], &format!("control {last}"));
                far.send(&frame);
                assert_eq!(listener.receive().octets, frame, "{port}");
                if port == "p0" && ![1, 2].contains(&last) {
                    assert_eq!(aggregate.receive().octets, frame, "{port}");
                }
            }
        }
        let ordinary = wire::frame(UNICAST, "ordinary");
        Wire::open(index("q0")).send(&ordinary);
        assert_eq!(aggregate.receive().octets, ordinary, "nothing came in between");
    });
}

#[test]
fn what_a_socket_bound_to_a_port_waits_for_stays_there_as_well() {
    each(|case| {
        let dataplane = attach(case);
        let aggregate = Wire::open(index("agg0"));
        let wanted = EtherTypes::of([wire::ETHERTYPE]);
        let ports = [("p0", "q0"), ("p1", "q1")];
        for (bound, received) in [(Bound::of([(P0, wanted), (P1, wanted)]), true), (Bound::NOTHING, false)] {
            dataplane.bound().unwrap().publish(&bound);
            for (port, far) in ports {
                let listener = Wire::open_for(index(port), wire::ETHERTYPE);
                for destination in [UNICAST, [0xff; 6], [0x01, 0x1b, 0x19, 0, 0, 0]] {
                    let frame = wire::frame(destination, port);
                    Wire::open(index(far)).send(&frame);
                    if port == "p0" {
                        assert_eq!(aggregate.receive().octets, frame);
                    }
                    if received {
                        assert_eq!(listener.receive().octets, frame, "{port}");
                    }
                }
                let marker = wire::frame([0x01, 0x80, 0xc2, 0, 0, 0x02], "the end");
                Wire::open(index(far)).send(&marker);
                assert_eq!(listener.receive().octets, marker, "{port} received what nobody told the programs of");
            }
        }
        let standby = DropCount { port: Some(P1), reason: DropReason::Standby, packets: 3 };
        assert_eq!(dataplane.drops().unwrap(), [standby], "what somebody waited for was not dropped");
        let ordinary = wire::frame(UNICAST, "ordinary");
        Wire::open(index("q0")).send(&ordinary);
        assert_eq!(aggregate.receive().octets, ordinary, "nothing of the standby port came in between");
    });
}

#[test]
fn tagged_frames_pass_untouched() {
    each(|case| {
        let _dataplane = attach(case);
        let plain = wire::frame(UNICAST, "tagged");
        let frame = wire::tagged(&plain, 10);
        // With the acceleration the tag travels beside the frame, without it in the frame.
        for acceleration in ["on", "off"] {
            for name in ["agg0", "p0", "q0"] {
                run(&["ethtool", "-K", name, "txvlan", acceleration]);
            }
            let far = || run(&["ethtool", "-K", "agg0-peer", "txvlan", acceleration]);
            namespace().run(far).unwrap_or_else(|_| far());
            for (from, to) in [("agg0", "q0"), ("q0", "agg0")] {
                let wire = Wire::open(index(to));
                Wire::open(index(from)).send(&frame);
                let received = wire.receive();
                let whole =
                    received.vlan.map_or_else(|| received.octets.clone(), |vlan| wire::tagged(&received.octets, vlan));
                assert_eq!(whole, frame, "{from} to {to}, acceleration {acceleration}");
            }
        }
    });
}

/// Without tcx and netkit, as on older kernels.
const CLSACT: Case = Case { wiring: Wiring::Shared, device: Device::Veth, hook: Hook::Clsact };
/// The best that every kernel has.
const AUTO: Case = Case { hook: Hook::Auto, ..CLSACT };

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
    assert_eq!(wire.receive().octets, other);
}

#[test]
fn a_foreign_program_keeps_working_and_stays() {
    each(|case| {
        let foreign = attach_foreign(case.hook);
        let before = attached_programs();
        let dataplane = attach(case);
        foreign_filters();
        let ahead_of = |port| dataplane.programs_before(&expected(case), ProgramRole::Rx(port)).unwrap();
        assert_eq!(ahead_of(P0), [foreign.info().unwrap().id()], "it is told");
        assert!(ahead_of(P1).is_empty());
        dataplane.attach_rx(P0, index("p0"), &pair(case), case.hook).unwrap();
        foreign_filters();
        detach(&dataplane, case);
        assert_eq!(attached_programs(), before, "its qdisc or program is gone, or something of ours is left");
    });
}

#[test]
fn a_foreign_program_on_the_aggregates_transmit_keeps_working() {
    each(|case| {
        if !case.sends_by_netkit() {
            return;
        }
        let program = foreign::load(&Path::new(BPFFS).join("foreign"));
        let _link = foreign::attach_to_netkit(&program, index("agg0"));
        let dataplane = attach(case);
        let (aggregate, far) = (Wire::open(index("agg0")), Wire::open(index("q0")));
        let filters = || {
            let mut long = wire::frame(UNICAST, "of the foreign program's length");
            long.resize(FOREIGN_LENGTH, 0);
            assert!(!aggregate.try_send(&long));
        };
        filters();
        both_ways("q0", "behind it");
        attach_to(&dataplane, case);
        filters();
        both_ways("q0", "swapped");
        detach(&dataplane, case);
        filters();
        while let Some(received) = far.poll(Duration::ZERO) {
            assert_ne!(received.octets.len(), FOREIGN_LENGTH);
        }
        // It passes on what it does not drop, and nobody of ours is behind it any more.
        let peer = Wire::open(index("agg0-peer"));
        let other = wire::frame(UNICAST, "of another length");
        assert!(aggregate.try_send(&other));
        assert_eq!(peer.receive().octets, other);
    });
}

#[test]
fn a_qdisc_of_ours_stays_while_somebody_else_uses_it() {
    bench(|| {
        let before = attached_programs();
        let dataplane = attach(CLSACT);
        let foreign = attach_foreign(Hook::Clsact);
        foreign_filters();
        detach(&dataplane, CLSACT);
        let left = attached_programs();
        assert!(left.contains("clsact") && left.contains("pref 10"), "{left}");
        drop(foreign);
        run(&["tc", "qdisc", "del", "dev", "p0", "clsact"]);
        assert_eq!(attached_programs(), before);
    });
}

#[test]
fn attaching_twice_is_attaching_once() {
    each(|case| {
        let dataplane = attach(case);
        let count = |text: String| text.lines().filter(|line| line.contains("aggctl_rx")).count();
        let filters = count(attached_programs());
        for _ in 0..3 {
            attach_to(&dataplane, case);
        }
        assert_eq!(count(attached_programs()), filters);
        if tcx_supported() && case.hook == Hook::Tcx {
            assert_eq!(SchedClassifier::query_tcx("p0", TcAttachType::Ingress).unwrap().1.len(), 1);
        }
        both_ways("q0", "once");
    });
}

#[test]
fn what_is_not_there_is_named() {
    bench(|| {
        let elsewhere = Dataplane::at("/proc/self/aggctl", Settings::default());
        assert!(matches!(elsewhere.create(), Err(DataplaneError::NoBpffs(at)) if at == Path::new("/proc/self/aggctl")));
        let empty = Dataplane::at(format!("{BPFFS}/none"), Settings::default());
        let refusal = empty.attach_tx(&pair(AUTO), Hook::Auto).unwrap_err().to_string();
        assert!(refusal.contains("map ports") && refusal.contains("No such file"), "{refusal}");
        assert!(matches!(
            empty.attach_rx(PortId(64), index("p0"), &pair(AUTO), Hook::Auto),
            Err(DataplaneError::NoSlot(_))
        ));
        assert_eq!(empty.defects(&expected(AUTO)).unwrap(), [DataplaneDefect::MapMissing("ports")]);
        for _ in 0..2 {
            empty.detach_rx(P0, index("p0"), Hook::Auto).unwrap();
            empty.detach_tx(&pair(AUTO), Hook::Auto).unwrap();
            empty.remove().unwrap();
        }
        assert!(!Path::new(BPFFS).join("none").exists());
    });
}
