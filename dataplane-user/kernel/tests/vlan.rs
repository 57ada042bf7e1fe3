//! The VLAN rule in the programs against the rule in `aggctl_common::vlan`: with the tag within the frame, where
//! `BPF_PROG_TEST_RUN` leaves it, and with real frames, whose tag the kernel mostly keeps beside them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use aggctl_common::{
    Bound, DropReason, EtherTypes, PortId,
    vlan::{self, CUSTOMER, OuterTag, SERVICE, TagChange},
};
use aggctl_engine::{
    config::{Device, Hook, Wiring},
    settings::Settings,
    vlan::VlanConfig,
};
use aggctl_kernel::dataplane::{Dataplane, DropCount, ProgramRole};
use aggctl_tests::feature::PAGED_TEST_RUNS;
use aya::programs::{SchedClassifier, TestRun as _, TestRunOptions};
use support::{
    BPFFS,
    attached::{self, Case, P0, each, pair, ports},
    bench, dataplane, index,
    wire::{self, UNICAST, Wire},
};

/// What the kernel calls the programs' actions.
const NEXT: u32 = u32::MAX;
const DROP: u32 = 2;
const REDIRECT: u32 = 7;

/// A rule of every kind. VLAN 10 is the access VLAN, 20 a trunk's, 30 the native one.
const RULES: [&str; 5] = ["off", "access=10", "trunk=20-22,4094", "trunk=20,native=30", "trunk=1-4094,native=30"];

/// A spanning tree frame: it passes every rule in both directions.
const CONTROL: [u8; 6] = [0x01, 0x80, 0xc2, 0, 0, 0];

/// A direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Out,
    In,
}

/// A frame with these tags (EtherType, priority and VLAN), the outermost first.
fn frame(destination: [u8; 6], tags: &[(u16, u16)]) -> Vec<u8> {
    let mut frame = wire::frame(destination, &format!("{tags:x?}"));
    let tags = tags.iter().flat_map(|(tpid, tci)| [*tpid, *tci]).flat_map(u16::to_be_bytes);
    frame.splice(12..12, tags.collect::<Vec<_>>());
    frame
}

/// Tags of every kind: none, priority alone, each VLAN of the rules and others, both EtherTypes, two tags.
fn tags() -> Vec<Vec<(u16, u16)>> {
    let mut all = vec![vec![]];
    for tpid in [CUSTOMER, SERVICE] {
        for tci in [0x0000, 0xb000, 0x000a, 0xf00a, 0x0014, 0x7016, 0x0017, 0x501e, 0x0fff, 0xaffe] {
            all.push(vec![(tpid, tci)]);
            all.push(vec![(tpid, tci), (CUSTOMER, 0x200a)]);
        }
    }
    all
}

/// What the rule says about a frame.
fn decide(rule: &str, way: Way, frame: &[u8]) -> Result<(Option<OuterTag>, TagChange), DropReason> {
    let globals = rule.parse::<VlanConfig>().unwrap().globals();
    let tag = OuterTag::in_band(|at| Some(u16::from_be_bytes(frame.get(at..at + 2)?.try_into().unwrap())))?;
    let change = match way {
        Way::Out => vlan::on_send(&globals.rule(), tag),
        Way::In => vlan::on_receive(&globals.rule(), tag),
    };
    change.map(|change| (tag, change))
}

/// The data path with this rule and all programs attached; p0 is active.
fn with_rule(rule: &str) -> Dataplane {
    let mut dataplane = dataplane();
    let vlan = rule.parse::<VlanConfig>().unwrap();
    dataplane.set_settings(Settings { vlan, ..Settings::default() });
    dataplane
}

/// The programs of both directions, for test runs.
fn programs(rule: &str) -> (Dataplane, [(Way, SchedClassifier); 2]) {
    let dataplane = with_rule(rule);
    let pair = pair(Case { wiring: Wiring::Shared, device: Device::Veth, hook: Hook::Auto });
    dataplane.attach_rx(P0, index("p0"), &pair, Hook::Auto).unwrap();
    dataplane.attach_tx(&pair, Hook::Auto).unwrap();
    dataplane.table().unwrap().publish(&ports());
    let program = |role: ProgramRole| SchedClassifier::from_pin(format!("{BPFFS}/agg0/{role}")).unwrap();
    let programs = [(Way::Out, program(ProgramRole::Tx)), (Way::In, program(ProgramRole::Rx(P0)))];
    (dataplane, programs)
}

/// Runs a program; says what it returned, what it left of the frame, and what it counted.
fn run(dataplane: &Dataplane, program: &SchedClassifier, frame: &[u8], context: Option<&[u8]>) -> Option<Outcome> {
    let before = dataplane.drops().unwrap();
    let mut left = vec![0; frame.len() + 64];
    let options =
        TestRunOptions { data_in: Some(frame), data_out: Some(&mut left), ctx_in: context, ..TestRunOptions::new() };
    let result = program.test_run(options).ok()?;
    left.truncate(result.data_size_out as usize);
    let counted = dataplane.drops().unwrap().into_iter().filter(|count| !before.contains(count));
    Some(Outcome {
        action: result.return_value,
        left,
        counted: counted.map(|count| (count.port, count.reason)).collect(),
    })
}

/// What a program made of a frame.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    action: u32,
    left: Vec<u8>,
    counted: Vec<(Option<PortId>, DropReason)>,
}

/// What a test run must come to. Tags beside the frame are not in what it leaves: one that was added, or that moved up
/// because the one around it went.
fn expected(rule: &str, way: Way, frame: &[u8]) -> Outcome {
    let (change, mut left) = (decide(rule, way, frame), frame.to_vec());
    let nested = frame.get(16..18).is_some_and(|next| next == CUSTOMER.to_be_bytes());
    match change {
        Ok((_, TagChange::Pop)) => drop(left.drain(12..if nested { 20 } else { 16 })),
        Ok((_, TagChange::Retag(_))) => drop(left.drain(12..16)),
        Ok((_, TagChange::Keep | TagChange::Push(_))) | Err(_) => {}
    }
    let from = if way == Way::Out { None } else { Some(P0) };
    match change {
        Ok(_) => Outcome { action: REDIRECT, left, counted: vec![] },
        Err(reason) => Outcome { action: DROP, left, counted: vec![(from, reason)] },
    }
}

#[test]
fn every_rule_and_every_tag_within_the_frame() {
    bench(|| {
        for rule in RULES {
            let (dataplane, programs) = programs(rule);
            for (way, program) in &programs {
                for tags in tags() {
                    let frame = frame(UNICAST, &tags);
                    let outcome = run(&dataplane, program, &frame, None).unwrap();
                    assert_eq!(outcome, expected(rule, *way, &frame), "{rule}, {way:?}: {tags:x?}");
                }
            }
        }
    });
}

#[test]
fn control_frames_are_left_alone_whatever_their_tag() {
    bench(|| {
        for rule in RULES {
            let (dataplane, programs) = programs(rule);
            for (way, program) in &programs {
                for tags in tags() {
                    let frame = frame(CONTROL, &tags);
                    let action = if *way == Way::Out { REDIRECT } else { NEXT };
                    let expected = Outcome { action, left: frame.clone(), counted: vec![] };
                    let outcome = run(&dataplane, program, &frame, None).unwrap();
                    assert_eq!(outcome, expected, "{rule}, {way:?}: {tags:x?}");
                }
            }
        }
    });
}

#[test]
fn a_frame_that_ends_within_its_tag_is_malformed() {
    bench(|| {
        for rule in RULES.into_iter().filter(|rule| *rule != "off") {
            let (dataplane, programs) = programs(rule);
            for (way, program) in &programs {
                for length in [14, 15] {
                    let frame = &frame(UNICAST, &[(CUSTOMER, 10)])[..length];
                    let outcome = run(&dataplane, program, frame, None).unwrap();
                    let from = if *way == Way::Out { None } else { Some(P0) };
                    assert_eq!((outcome.action, outcome.counted), (DROP, vec![(from, DropReason::Malformed)]));
                }
            }
        }
    });
}

/// Where `data_end` is in `struct __sk_buff`.
const DATA_END: usize = 80;

#[test]
fn a_tag_outside_the_linear_part_is_found() {
    bench(|| {
        // The kernel puts into the linear part what the context claims to end there.
        let mut context = vec![0_u8; 192];
        context[DATA_END..][..4].copy_from_slice(&14_u32.to_ne_bytes());
        for rule in RULES {
            let (dataplane, programs) = programs(rule);
            for (way, program) in &programs {
                for tags in tags() {
                    let frame = frame(UNICAST, &tags);
                    let Some(outcome) = run(&dataplane, program, &frame, Some(&context)) else {
                        println!("skipped: {}", PAGED_TEST_RUNS.lacking());
                        return;
                    };
                    let expected = expected(rule, *way, &frame);
                    assert_eq!((outcome.action, outcome.counted), (expected.action, expected.counted), "{tags:x?}");
                }
            }
        }
    });
}

/// The frame as it must arrive: its octets with the tag where it is on a wire.
fn arriving(rule: &str, way: Way, frame: &[u8]) -> Option<Vec<u8>> {
    let (tag, change) = decide(rule, way, frame).ok()?;
    let mut arriving = frame.to_vec();
    let old = if tag.is_some() && change != TagChange::Keep { 4 } else { 0 };
    let new = match change {
        TagChange::Push(tci) | TagChange::Retag(tci) => [CUSTOMER, tci].map(u16::to_be_bytes).concat(),
        TagChange::Keep | TagChange::Pop => vec![],
    };
    arriving.splice(12..12 + old, new);
    Some(arriving)
}

#[test]
fn every_rule_and_every_tag_of_real_frames() {
    each(|case: Case| {
        for rule in RULES {
            let dataplane = with_rule(rule);
            attached::attach_to(&dataplane, case);
            let mut dropped = 0;
            for (way, from, to) in [(Way::Out, "agg0", "q0"), (Way::In, "q0", "agg0")] {
                let (wire, sender) = (Wire::open(index(to)), Wire::open(index(from)));
                for tags in tags() {
                    let (frame, marker) = (frame(UNICAST, &tags), frame(CONTROL, &tags));
                    // What is dropped at the aggregate's own egress was not taken, either.
                    let _ = sender.try_send(&frame);
                    sender.send(&marker);
                    let expected = arriving(rule, way, &frame);
                    if way == Way::Out {
                        assert_eq!(rule.parse::<VlanConfig>().unwrap().on_wire(frame), expected, "{rule}: {tags:x?}");
                    }
                    dropped += u64::from(expected.is_none());
                    for octets in expected.into_iter().chain([marker]) {
                        assert_eq!(wire.receive().whole(), octets, "{case}, {rule}, {way:?}: {tags:x?}");
                    }
                }
            }
            let counted: u64 = dataplane.drops().unwrap().iter().map(|count: &DropCount| count.packets).sum();
            assert!(dataplane.drops().unwrap().iter().all(|count| count.reason == DropReason::Vlan));
            assert_eq!(counted, dropped, "{case}, {rule}");
            attached::detach(&dataplane, case);
        }
    });
}

/// With a socket bound to the port: the copy for the aggregate is subject to the rule, what stays with the port is as
/// it was. The kernel shows a tag that nobody on the port knows by saying that the frame is for another host.
#[test]
fn a_socket_bound_to_the_port_receives_frames_as_they_are_on_the_wire() {
    const ELSEWHERE: u8 = 3;
    const EVERYBODY: u8 = 1;
    each(|case: Case| {
        for rule in RULES {
            let dataplane = with_rule(rule);
            attached::attach_to(&dataplane, case);
            dataplane.bound().unwrap().publish(&Bound::of([(P0, EtherTypes::of([wire::ETHERTYPE]))]));
            let (on_port, aggregate) = (Wire::open_for(index("p0"), wire::ETHERTYPE), Wire::open(index("agg0")));
            let sender = Wire::open(index("q0"));
            // Behind two tags the kernel sees another protocol, for which nobody waits.
            for tags in tags().into_iter().filter(|tags| tags.len() < 2) {
                let (frame, marker) = (frame([0xff; 6], &tags), frame(CONTROL, &tags));
                sender.send(&frame);
                sender.send(&marker);
                let expected = arriving(rule, Way::In, &frame);
                for octets in expected.into_iter().chain([marker]) {
                    assert_eq!(aggregate.receive().whole(), octets, "{case}, {rule}: {tags:x?}");
                }
                let received = on_port.receive();
                let in_vlan = tags.first().is_some_and(|(_, tci)| tci & 0x0fff != 0);
                assert_eq!(received.octets[12..], frame[12 + 4 * tags.len()..], "{case}, {rule}: {tags:x?}");
                assert_eq!(received.kind, if in_vlan { ELSEWHERE } else { EVERYBODY }, "{case}, {rule}: {tags:x?}");
                on_port.receive();
            }
            assert_eq!(dataplane.drops().unwrap(), [], "{case}, {rule}");
            attached::detach(&dataplane, case);
        }
    });
}

/// On a packet socket the sender says what the frame's protocol is, and the kernel believes it. On a veth it looks for
/// itself at the other end.
#[test]
fn a_tag_that_the_sender_denies_does_not_slip_through() {
    each(|case: Case| {
        let dataplane = with_rule("trunk=20,native=30");
        attached::attach_to(&dataplane, case);
        let (wire, sender) = (Wire::open(index("q0")), Wire::open_for(index("agg0"), 0x88b5));
        let denied = frame(UNICAST, &[(CUSTOMER, 30)]);
        // Dropped at the aggregate's own egress, it was not taken, either.
        let _ = sender.try_send(&denied);
        let marker = frame(UNICAST, &[(CUSTOMER, 20)]);
        sender.send(&marker);
        let looked_at = case.device == Device::Veth && case.wiring == Wiring::Shared;
        if looked_at {
            assert_eq!(wire.receive().whole(), [&denied[..12], &denied[16..]].concat());
        }
        assert_eq!(wire.receive().whole(), marker, "{case}");
        let malformed = DropCount { port: None, reason: DropReason::Malformed, packets: 1 };
        let expected = if looked_at { vec![] } else { vec![malformed] };
        assert_eq!(dataplane.drops().unwrap(), expected, "{case}");
        attached::detach(&dataplane, case);
    });
}
