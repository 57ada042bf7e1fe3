//! The programs against the host build of the rule: the same vectors, through `BPF_PROG_TEST_RUN` and through
//! `aggctl_common::rule`, must come to the same end.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::collections::BTreeMap;

use aggctl_common::{
    Bound, DropReason, EtherTypes, IfIndex, MAX_PORTS, MacAddresses, PortId, Ports,
    programs::RxPolicy,
    rule::{self, PortsView, Received, ReceivingPort},
};
use aggctl_engine::config::{Device, Hook, Wiring};
use aggctl_kernel::dataplane::{BoundTable, Dataplane, PortsTable, ProgramRole};
use aggctl_tests::{feature::PAGED_TEST_RUNS, wait};
use aya::programs::{SchedClassifier, TestRun as _, TestRunOptions};
use proptest::{
    prelude::*,
    test_runner::{Config, RngSeed, TestRunner},
};
use support::{
    BPFFS,
    attached::{Case, pair},
    bench, bench_on, dataplane, index, table,
    wire::{self, UNICAST, Wire},
};

/// What the kernel calls the programs' actions.
const NEXT: u32 = u32::MAX;
const DROP: u32 = 2;
const REDIRECT: u32 = 7;

/// The slots whose receiving program is tried: the first, one between, the last.
const SLOTS: [u8; 3] = [0, 5, 63];

/// A port with this slot and table, where one port is active, that receives a frame for which a socket waits, or not.
struct Active<'a>(PortId, &'a Ports, bool);

impl ReceivingPort for Active<'_> {
    fn slot(&self) -> PortId {
        self.0
    }

    fn rx_policy(&self) -> RxPolicy {
        RxPolicy::Active
    }

    fn table(&self) -> impl PortsView {
        *self.1
    }

    fn is_awaited(&self) -> bool {
        self.2
    }
}

/// The programs of one aggregate, loaded.
struct Programs {
    dataplane: Dataplane,
    table: PortsTable,
    bound: BoundTable,
    tx: SchedClassifier,
    rx: BTreeMap<u8, SchedClassifier>,
}

impl Programs {
    fn load() -> Self {
        Self::load_for(Wiring::Shared)
    }

    fn load_for(wiring: Wiring) -> Self {
        let pair = pair(Case { wiring, device: Device::Veth, hook: Hook::Auto });
        let dataplane = dataplane();
        dataplane.attach_tx(&pair, Hook::Auto).unwrap();
        let program = |role: ProgramRole| SchedClassifier::from_pin(format!("{BPFFS}/agg0/{role}")).unwrap();
        let rx = SLOTS
            .into_iter()
            .map(|slot| {
                // All on one interface: the test runs do not depend on where they are attached.
                dataplane.attach_rx(PortId(slot), index("p0"), &pair, Hook::Auto).unwrap();
                (slot, program(ProgramRole::Rx(PortId(slot))))
            })
            .collect();
        Self {
            table: dataplane.table().unwrap(),
            bound: dataplane.bound().unwrap(),
            tx: program(ProgramRole::Tx),
            rx,
            dataplane,
        }
    }

    /// Runs a program; says what it returned, and what it counted.
    fn run(&self, program: &SchedClassifier, frame: &[u8]) -> (u32, Vec<(Option<PortId>, DropReason)>) {
        let before = self.counts();
        let action = program.test_run(TestRunOptions { data_in: Some(frame), ..TestRunOptions::new() }).unwrap();
        let mut counted = Vec::new();
        for (counter, after) in self.counts() {
            for _ in 0..after - before.get(&counter).copied().unwrap_or(0) {
                counted.push((counter.0, DropReason::ALL[counter.1]));
            }
        }
        (action.return_value, counted)
    }

    fn counts(&self) -> BTreeMap<(Option<PortId>, usize), u64> {
        let counts = self.dataplane.drops().unwrap();
        counts.into_iter().map(|count| ((count.port, count.reason as usize), count.packets)).collect()
    }

    /// Checks that `tx` does with this table what the rule says.
    fn check_tx(&self, ports: &Ports, frame: &[u8]) {
        let expected = match rule::egress(ports, ports.choose()) {
            Ok(_) => (REDIRECT, vec![]),
            Err(reason) => (DROP, vec![(None, reason)]),
        };
        assert_eq!(self.run(&self.tx, frame), expected, "{ports:?}");
    }

    /// Checks that `rx` of each slot does with this table what the rule says.
    fn check_rx(&self, ports: &Ports, frame: &[u8]) {
        let addresses = MacAddresses::from_octets(*frame.first_chunk().unwrap());
        // In a test run the kernel leaves a tag where it is, and takes its EtherType for the frame's.
        let (bound, ethertype) = (self.bound.load(), u16::from_be_bytes([frame[12], frame[13]]));
        for (slot, program) in &self.rx {
            let port = PortId(*slot);
            let awaited = bound.slots[port.index()].contain(ethertype);
            let expected = match rule::receive(&Active(port, ports, awaited), &addresses) {
                Ok(Received::Aggregate) => (REDIRECT, vec![]),
                Ok(Received::Port | Received::PortAndAggregate { .. }) => (NEXT, vec![]),
                Err(reason) => (DROP, vec![(Some(port), reason)]),
            };
            assert_eq!(self.run(program, frame), expected, "slot {slot}, {frame:x?}, {ports:?}");
        }
    }
}

/// Runs a test with the programs of each wiring.
fn each_wiring(test: fn(&Programs)) {
    for wiring in [Wiring::Shared, Wiring::Direct] {
        bench_on(wiring, Device::Veth, move || {
            println!("{wiring:?}");
            test(&Programs::load_for(wiring));
        });
    }
}

/// A destination of each class.
fn destinations() -> Vec<[u8; 6]> {
    let mut all = vec![
        UNICAST,
        [0; 6],
        [0xff; 6],
        [0x33, 0x33, 0, 0, 0, 1],
        [0x01, 0x00, 0x5e, 0, 0, 1],
        [0x01, 0x80, 0xc2, 0, 0, 0x10],
        [0x01, 0x80, 0xc2, 0, 1, 0x00],
        [0x01, 0x80, 0xc3, 0, 0, 0x00],
        [0x00, 0x80, 0xc2, 0, 0, 0x00],
    ];
    all.extend((0..=0x0f).map(|last| [0x01, 0x80, 0xc2, 0, 0, last]));
    all
}

/// Tables in which the tried slots are active, standby, accepting, fallen back to, and without hope.
fn tables() -> Vec<Ports> {
    let port = IfIndex(4000);
    let all = table(&[(5, port), (0, port), (63, port)], 0);
    vec![
        Ports::EMPTY,
        all,
        Ports { active: 63, ..all },
        Ports { accept: PortId(5).bit() | PortId(63).bit(), ..all },
        Ports { usable: all.usable & !PortId(0).bit(), ..all },
        Ports { usable: PortId(63).bit(), accept: u64::MAX, ..all },
        Ports { usable: 0, accept: u64::MAX, ..all },
        Ports { usable: PortId(9).bit(), ..all },
        Ports { count: 2, active: 1, usable: PortId(63).bit(), ..all },
        Ports { active: u32::MAX, ..all },
        Ports { ifindex: [IfIndex::NONE; MAX_PORTS], ..all },
    ]
}

/// Somebody waits for our frames on one of the ports that are tried, and on another for something else; somebody waits
/// for more than can be told apart.
fn bindings() -> [Bound; 2] {
    let ours = EtherTypes::of([0x88f7, wire::ETHERTYPE]);
    let many = EtherTypes::of((1..=5).map(|number| 0x9000 + number));
    [Bound::of([(PortId(5), ours), (PortId(63), EtherTypes::of([0x88f7, 0x0800]))]), Bound::of([(PortId(63), many)])]
}

#[test]
fn every_class_of_destination_in_every_kind_of_table() {
    each_wiring(|programs| {
        for ports in tables() {
            programs.table.publish(&ports);
            assert_eq!(programs.table.load(), ports);
            for destination in destinations() {
                let frame = wire::frame(destination, "class");
                programs.check_tx(&ports, &frame);
                programs.check_rx(&ports, &frame);
                programs.check_rx(&ports, &wire::tagged(&frame, 10));
            }
        }
    });
}

#[test]
fn what_sockets_bound_to_a_port_wait_for_in_every_kind_of_table() {
    each_wiring(|programs| {
        for (ports, bound) in tables().into_iter().flat_map(|ports| bindings().map(|bound| (ports, bound))) {
            programs.table.publish(&ports);
            programs.bound.publish(&bound);
            assert_eq!(programs.bound.load(), bound);
            for destination in [UNICAST, [0xff; 6], [0x01, 0x80, 0xc2, 0, 0, 0x02], [0x01, 0x80, 0xc2, 0, 0, 0x0e]] {
                let frame = wire::frame(destination, "awaited");
                programs.check_rx(&ports, &frame);
                programs.check_rx(&ports, &wire::tagged(&frame, 10));
            }
        }
    });
}

#[test]
fn frames_of_any_length() {
    bench(|| {
        let programs = Programs::load();
        let ports = table(&[(0, IfIndex(4000)), (5, IfIndex(4001))], 5);
        programs.table.publish(&ports);
        // The kernel takes none for a test run that is shorter than an Ethernet header.
        for length in (14..80).chain([128, 1500, 3000]) {
            let mut frame = wire::frame(UNICAST, "length");
            frame.resize(length, 0);
            programs.check_tx(&ports, &frame);
            programs.check_rx(&ports, &frame);
        }
    });
}

/// Where `data_end` is in `struct __sk_buff`.
const DATA_END: usize = 80;

#[test]
fn frames_of_which_only_the_header_is_linear() {
    bench(|| {
        let programs = Programs::load();
        let ports = table(&[(0, IfIndex(4000)), (5, IfIndex(4001))], 5);
        programs.table.publish(&ports);
        // The kernel puts into the linear part what the context claims to end there, and insists on the header.
        let mut context = vec![0_u8; 192];
        context[DATA_END..][..4].copy_from_slice(&14_u32.to_ne_bytes());
        for destination in destinations() {
            let frame = wire::frame(destination, "paged");
            let options = TestRunOptions { data_in: Some(&frame), ctx_in: Some(&context), ..TestRunOptions::new() };
            let result = match programs.rx[&0].test_run(options) {
                Ok(result) => result,
                Err(error) => {
                    println!("skipped: {} ({error:?})", PAGED_TEST_RUNS.lacking());
                    return;
                }
            };
            let addresses = MacAddresses::from_octets(*frame.first_chunk().unwrap());
            let expected = match rule::receive(&Active(PortId(0), &ports, false), &addresses) {
                Ok(Received::Aggregate) => REDIRECT,
                Ok(Received::Port | Received::PortAndAggregate { .. }) => NEXT,
                Err(_) => DROP,
            };
            assert_eq!(result.return_value, expected, "{destination:x?}");
        }
    });
}

#[test]
fn the_copy_of_a_control_frame_arrives_on_the_aggregate_from_the_active_port() {
    each_wiring(|programs| {
        programs.table.publish(&table(&[(0, IfIndex(4000)), (5, IfIndex(4001)), (63, IfIndex(4002))], 5));
        let aggregate = Wire::open(index("agg0"));
        for last in 0..=0x0f {
            let frame = wire::frame([0x01, 0x80, 0xc2, 0, 0, last], &format!("control {last}"));
            for program in programs.rx.values() {
                assert_eq!(programs.run(program, &frame), (NEXT, vec![]));
            }
            if ![1, 2].contains(&last) {
                assert_eq!(aggregate.receive().octets, frame, "…:{last:02x}");
            }
        }
        // Pause, slow protocols and what the other ports received would have come before the last one.
        assert_eq!(aggregate.poll(std::time::Duration::ZERO), None);
    });
}

/// Tables with any words at all.
fn any_table() -> impl Strategy<Value = Ports> {
    (
        any::<(u64, u64, u64, u32)>(),
        0..=80_u32,
        proptest::collection::vec(any::<u8>(), MAX_PORTS),
        proptest::collection::vec(prop_oneof![Just(0), 1..5000_u32], MAX_PORTS),
    )
        .prop_map(|((a, b, accept, active), count, order, indexes)| {
            let mut ports = Ports { usable: a & b, accept, active: active % 70, count, ..Ports::EMPTY };
            ports.order.copy_from_slice(&order);
            for (to, from) in ports.ifindex.iter_mut().zip(indexes) {
                *to = IfIndex(from);
            }
            ports
        })
}

/// A runner whose cases are the same every time: fewer where patience is asked for.
fn runner(cases: u32) -> TestRunner {
    let cases = cases / wait::patience();
    TestRunner::new(Config { cases, rng_seed: RngSeed::Fixed(0xa66), failure_persistence: None, ..Config::default() })
}

#[test]
fn any_table_and_any_destination() {
    bench(|| {
        let programs = Programs::load();
        let control = (0..=0x12_u8).prop_map(|last| [0x01, 0x80, 0xc2, 0, 0, last]);
        let destination = prop_oneof![any::<[u8; 6]>(), control];
        runner(150)
            .run(&(any_table(), destination), |(ports, destination)| {
                programs.table.publish(&ports);
                let frame = wire::frame(destination, "any");
                programs.check_tx(&ports, &frame);
                programs.check_rx(&ports, &frame);
                Ok(())
            })
            .unwrap();
    });
}

/// A test run does not say which port was meant. So the port that the rule means loses its interface, which makes the
/// program drop; and then all others lose theirs, which must not matter.
#[test]
fn the_program_means_the_same_port_as_the_rule() {
    bench(|| {
        let programs = Programs::load();
        let frame = wire::frame(UNICAST, "which");
        runner(300)
            .run(&any_table(), |mut ports| {
                ports.ifindex = [IfIndex(4000); MAX_PORTS];
                let Some(port) = ports.choose() else {
                    programs.table.publish(&ports);
                    programs.check_tx(&ports, &frame);
                    return Ok(());
                };
                ports.ifindex[port.index()] = IfIndex::NONE;
                programs.table.publish(&ports);
                prop_assert_eq!(programs.run(&programs.tx, &frame), (DROP, vec![(None, DropReason::NoPort)]));
                ports.ifindex = [IfIndex::NONE; MAX_PORTS];
                ports.ifindex[port.index()] = IfIndex(4000);
                programs.table.publish(&ports);
                prop_assert_eq!(programs.run(&programs.tx, &frame), (REDIRECT, vec![]));
                Ok(())
            })
            .unwrap();
    });
}

/// Where `cb[0]` is in `struct __sk_buff`.
const LABEL: std::ops::Range<usize> = 48..52;

#[test]
fn the_relay_passes_on_what_a_port_labelled_and_nothing_else() {
    bench_on(Wiring::Direct, Device::Veth, || {
        let programs = Programs::load_for(Wiring::Direct);
        let pair = pair(Case { wiring: Wiring::Direct, device: Device::Veth, hook: Hook::Auto });
        programs.dataplane.attach_relay(&pair, Hook::Auto).unwrap();
        let relay = SchedClassifier::from_pin(format!("{BPFFS}/agg0/{}", ProgramRole::Relay)).unwrap();
        programs.table.publish(&table(&[(0, IfIndex(4000))], 0));
        let run = |program: &SchedClassifier, frame: &[u8], label: [u8; 4]| {
            let (mut before, mut after) = (vec![0_u8; 192], vec![0_u8; 192]);
            before[LABEL].copy_from_slice(&label);
            let result = program
                .test_run(TestRunOptions {
                    data_in: Some(frame),
                    ctx_in: Some(&before),
                    ctx_out: Some(&mut after),
                    ..TestRunOptions::new()
                })
                .unwrap();
            (result.return_value, <[u8; 4]>::try_from(&after[LABEL]).unwrap())
        };
        // A test run's frames come in on `lo`, whose MAC is all zero.
        let mut labels = Vec::new();
        for destination in [[0; 6], UNICAST, [0xff; 6]] {
            let frame = wire::frame(destination, "labelled");
            let (action, label) = run(&programs.rx[&0], &frame, [0; 4]);
            assert_eq!(action, REDIRECT);
            assert_eq!(run(&relay, &frame, label).0, REDIRECT, "{destination:x?}");
            labels.push(label);
            for other in [[0; 4], [0xff; 4], label.map(|octet| !octet)] {
                assert_eq!(run(&relay, &frame, other).0, DROP, "{destination:x?}, {other:x?}");
            }
        }
        assert!(labels[0] != labels[1] && labels[1] == labels[2], "{labels:x?}");
    });
}
