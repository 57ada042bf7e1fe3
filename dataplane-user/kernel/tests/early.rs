//! Early drop: the XDP programs against the host build of the rule, and on the ports of an aggregate.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/random_frames.rs"]
mod random_frames;
mod support;

use std::{collections::BTreeMap, path::Path};

use aggctl_common::{
    Bound, DropReason, EtherTypes, IfIndex, MacAddresses, PortId, Ports,
    programs::RxPolicy,
    rule::{self, PortsView, Received, ReceivingPort},
    vlan::{self, CUSTOMER, OuterTag, SERVICE},
};
use aggctl_engine::{config::XdpMode, settings::Settings, vlan::VlanConfig};
use aggctl_kernel::dataplane::{Dataplane, DataplaneDefect, DataplaneError, DropCount, ProgramRole};
use aggctl_tests::{matrix::SOON, wait, wait_for};
use aya::programs::{TestRun as _, TestRunOptions, Xdp, xdp};
use aya_obj::programs::XdpAttachType;
use random_frames::RandomFrames;
use support::{
    BPFFS,
    attached::{P0, P1, attach, both_ways, detach, each, early, ports},
    bench, dataplane, foreign, index, run, table,
    wire::{self, UNICAST, Wire},
};

/// `XDP_DROP`.
const DROP: u32 = 1;
/// `XDP_PASS`.
const PASS: u32 = 2;

/// The least that a program looks at: addresses, a tag and what is behind it.
const LEAST: usize = 18;

const BOTH: [XdpMode; 2] = [XdpMode::Native, XdpMode::Generic];
const PTP: u16 = 0x88f7;

/// A port that received a frame for which a socket waits, or not.
struct Port<'a> {
    id: PortId,
    rx_policy: RxPolicy,
    ports: &'a Ports,
    awaited: bool,
}

impl ReceivingPort for Port<'_> {
    fn slot(&self) -> PortId {
        self.id
    }

    fn rx_policy(&self) -> RxPolicy {
        self.rx_policy
    }

    fn table(&self) -> impl PortsView {
        *self.ports
    }

    fn is_awaited(&self) -> bool {
        self.awaited
    }
}

/// The program of one port, loaded.
struct Program {
    dataplane: Dataplane,
    settings: Settings,
    sees_tags: bool,
    program: Xdp,
}

impl Program {
    fn load(rx_policy: RxPolicy, vlan: &str, sees_tags: bool, mode: XdpMode) -> Self {
        let settings = Settings { rx_policy, vlan: vlan.parse().unwrap(), ..Settings::default() };
        let mut dataplane = dataplane();
        dataplane.set_settings(settings.clone());
        dataplane.attach_early(P0, &early("p0", mode, sees_tags)).unwrap();
        let pin = format!("{BPFFS}/agg0/{}", ProgramRole::Xdp(P0));
        let program = Xdp::from_pin(pin, XdpAttachType::Interface).unwrap();
        Self { dataplane, settings, sees_tags, program }
    }

    /// What the program must say of a frame, and why: what the receiving one would drop, of which it is sure.
    fn expected(&self, ports: &Ports, bound: &Bound, frame: &[u8]) -> Result<(), DropReason> {
        if frame.len() < LEAST {
            return Ok(());
        }
        let word = |at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
        let port = Port {
            id: P0,
            rx_policy: self.settings.rx_policy,
            ports,
            awaited: bound.slots[P0.index()].may_contain(word(12), word(16)),
        };
        let received = rule::receive(&port, &MacAddresses::from_octets(*frame.first_chunk().unwrap()))?;
        let tag = OuterTag::in_band(|at| Some(word(at)))?;
        match (received, tag) {
            (Received::Aggregate, Some(tag)) if self.sees_tags => {
                vlan::on_receive(&self.settings.vlan.globals().rule(), Some(tag)).map(|_| ())
            }
            _ => Ok(()),
        }
    }

    /// Runs the program on a frame; says what it returned, and what it counted.
    fn run(&self, frame: &[u8]) -> (u32, Vec<DropReason>) {
        let before = self.dataplane.drops().unwrap();
        let action = self.action(frame);
        let counted = self.dataplane.drops().unwrap().into_iter().filter(|count| !before.contains(count));
        (action, counted.map(|count| count.reason).collect())
    }

    /// Checks what becomes of frames, and of all together what is counted.
    fn check_all(&self, ports: &Ports, bound: &Bound, frames: impl Iterator<Item = Vec<u8>>) {
        let mut expected = self.counts();
        for frame in frames {
            let outcome = self.expected(ports, bound, &frame);
            let action = if outcome.is_ok() { PASS } else { DROP };
            assert_eq!(self.action(&frame), action, "{:?}: {frame:x?}, {ports:?}, {bound:?}", self.settings);
            if let Err(reason) = outcome {
                *expected.entry(reason.name()).or_default() += 1;
            }
        }
        assert_eq!(self.counts(), expected);
    }

    fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.dataplane.drops().unwrap().into_iter().map(|count| (count.reason.name(), count.packets)).collect()
    }

    fn action(&self, frame: &[u8]) -> u32 {
        self.program.test_run(TestRunOptions { data_in: Some(frame), ..TestRunOptions::new() }).unwrap().return_value
    }

    fn publish(&self, ports: &Ports, bound: &Bound) {
        self.dataplane.table().unwrap().publish(ports);
        self.dataplane.bound().unwrap().publish(bound);
    }
}

/// A policy of each kind, with and without a rule about VLANs that the program can go by.
const KINDS: [(RxPolicy, &str, bool, XdpMode); 7] = [
    (RxPolicy::Active, "off", true, XdpMode::Native),
    (RxPolicy::Active, "access=10", true, XdpMode::Generic),
    (RxPolicy::Active, "trunk=20-22", false, XdpMode::Native),
    (RxPolicy::Designated, "off", false, XdpMode::Generic),
    (RxPolicy::Designated, "trunk=20-22,native=30", true, XdpMode::Native),
    (RxPolicy::Any, "trunk=20-22", true, XdpMode::Generic),
    (RxPolicy::Any, "access=10", true, XdpMode::Native),
];

/// The port is active, standing by, one that still accepts, and one of none that are usable.
fn tables() -> Vec<Ports> {
    let all = table(&[(P0.0, IfIndex(4000)), (P1.0, IfIndex(4001))], P0.0);
    let standby = Ports { active: P1.0.into(), ..all };
    let mac = aggctl_common::Destination::from_octets([0x02, 0, 0, 0, 0, 0x01]).word();
    vec![
        Ports { mac, ..all },
        all,
        standby,
        Ports { accept: P0.bit(), ..standby },
        Ports { usable: 0, ..all },
        Ports { usable: P1.bit(), ..all },
    ]
}

/// Nobody waits; somebody waits for our frames, for what has a length, and for more than can be told apart.
fn bindings() -> Vec<Bound> {
    let of = |wanted: &[u16]| Bound::of([(P0, EtherTypes::of(wanted.iter().copied()))]);
    vec![Bound::NOTHING, of(&[PTP, wire::ETHERTYPE]), of(&[0x0004]), of(&[0x9000, 0x9001, 0x9002, 0x9003, 0x9004])]
}

/// Frames with these tags, the outermost first.
fn tagged(destination: [u8; 6], tags: &[(u16, u16)]) -> Vec<u8> {
    let mut frame = wire::frame(destination, "early");
    let tags = tags.iter().flat_map(|(tpid, tci)| [*tpid, *tci]).flat_map(u16::to_be_bytes);
    frame.splice(12..12, tags.collect::<Vec<_>>());
    frame
}

#[test]
fn every_kind_of_frame_in_every_kind_of_table() {
    bench(|| {
        let destinations = [UNICAST, [0xff; 6], [0x33, 0x33, 0, 0, 0, 1], [0x01, 0x80, 0xc2, 0, 0, 0x10]];
        let control = [0, 1, 2, 0x0e].map(|last| [0x01, 0x80, 0xc2, 0, 0, last]);
        let tags: [&[(u16, u16)]; 6] = [
            &[],
            &[(CUSTOMER, 10)],
            &[(CUSTOMER, 0x6015)],
            &[(SERVICE, 99)],
            &[(CUSTOMER, 0)],
            &[(SERVICE, 10), (CUSTOMER, 20)],
        ];
        for (rx_policy, vlan, sees_tags, mode) in KINDS {
            let program = Program::load(rx_policy, vlan, sees_tags, mode);
            for (ports, bound) in tables().iter().flat_map(|ports| bindings().into_iter().map(move |b| (ports, b))) {
                program.publish(ports, &bound);
                let all = destinations.into_iter().chain(control);
                let frames = all.flat_map(|destination| tags.iter().map(move |tags| tagged(destination, tags)));
                program.check_all(ports, &bound, frames);
            }
            program.dataplane.detach_early(P0).unwrap();
        }
    });
}

#[test]
fn what_is_dropped_and_what_passes() {
    bench(|| {
        let program = Program::load(RxPolicy::Active, "trunk=20", true, XdpMode::Native);
        let standby = Ports { active: P1.0.into(), ..tables()[1] };
        let waits = Bound::of([(P0, EtherTypes::of([wire::ETHERTYPE]))]);
        let lacp = [0x01, 0x80, 0xc2, 0, 0, 0x02];
        let dropped = |reason| (DROP, vec![reason]);
        program.publish(&standby, &Bound::NOTHING);
        assert_eq!(program.run(&tagged(UNICAST, &[])), dropped(DropReason::Standby));
        assert_eq!(program.run(&tagged([0xff; 6], &[(CUSTOMER, 20)])), dropped(DropReason::Standby));
        assert_eq!(program.run(&tagged(lacp, &[])), (PASS, vec![]), "control");
        program.publish(&standby, &waits);
        assert_eq!(program.run(&tagged(UNICAST, &[])), (PASS, vec![]), "awaited");
        assert_eq!(program.run(&tagged(UNICAST, &[(CUSTOMER, 21)])), (PASS, vec![]), "awaited, behind a tag");
        program.publish(&tables()[1], &Bound::NOTHING);
        assert_eq!(program.run(&tagged(UNICAST, &[(CUSTOMER, 21)])), dropped(DropReason::Vlan));
        assert_eq!(program.run(&tagged(UNICAST, &[(CUSTOMER, 20)])), (PASS, vec![]));
        assert_eq!(program.run(&tagged(UNICAST, &[])), (PASS, vec![]), "it may have had a tag");
        for length in 14..LEAST {
            program.publish(&standby, &Bound::NOTHING);
            assert_eq!(program.run(&tagged(UNICAST, &[])[..length]), (PASS, vec![]), "{length} octets");
        }
    });
}

#[test]
fn random_frames_meet_the_same_end_as_in_the_rule() {
    let count = usize::try_from(20_000 / wait::patience()).unwrap();
    bench(move || {
        for (rx_policy, vlan, sees_tags, mode) in KINDS {
            let program = Program::load(rx_policy, vlan, sees_tags, mode);
            let mut frames = RandomFrames::new(0xa66);
            for (ports, bound) in tables().iter().flat_map(|ports| bindings().into_iter().map(move |b| (ports, b))) {
                program.publish(ports, &bound);
                program.check_all(ports, &bound, frames.by_ref().take(count / 24));
            }
            program.dataplane.detach_early(P0).unwrap();
        }
    });
}

fn standby_drops(dataplane: &Dataplane) -> u64 {
    let is_it = |count: &&DropCount| (count.port, count.reason) == (Some(P1), DropReason::Standby);
    dataplane.drops().unwrap().iter().find(is_it).map_or(0, |count| count.packets)
}

/// Waits until so many frames were dropped on the standby port.
fn wait_for_drops(dataplane: &Dataplane, packets: u64) {
    wait_for("the frames to be dropped", SOON, || standby_drops(dataplane) == packets);
}

/// The mode and the name of the program that the kernel says is attached, as `ip` shows them.
fn shown(port: &str) -> String {
    let text = run(&["ip", "-d", "link", "show", "dev", port]);
    let words: Vec<_> = text.split_whitespace().collect();
    words.iter().find(|word| word.starts_with("xdp")).map_or_else(String::new, |word| (*word).to_owned())
}

#[test]
fn a_standby_port_drops_before_anybody_sees_it_and_the_active_one_lets_pass() {
    each(|case| {
        for mode in BOTH {
            let dataplane = attach(case);
            for (port, name) in [(P0, "p0"), (P1, "p1")] {
                dataplane.attach_early(port, &early(name, mode, false)).unwrap();
                assert_eq!(dataplane.early_mode(port, index(name)).unwrap(), Some(mode));
                assert_eq!(dataplane.defect_of_early(port, &early(name, mode, false)).unwrap(), None);
            }
            assert_eq!(shown("p1"), if mode == XdpMode::Native { "xdp" } else { "xdpgeneric" });
            both_ways("q0", "through the active port");
            // A socket for all protocols receives before the receiving program, but not before this one.
            let (port, far) = (Wire::open(index("p1")), Wire::open(index("q1")));
            for number in 0..20 {
                far.send(&wire::frame(UNICAST, &format!("flood {number}")));
            }
            wait_for_drops(&dataplane, 20);
            let control = wire::frame([0x01, 0x80, 0xc2, 0, 0, 0x02], "control");
            far.send(&control);
            assert_eq!(port.receive().octets, control, "{mode:?}: nothing of the flood came before");
            dataplane.table().unwrap().publish(&Ports { active: u32::from(P1.0), ..ports() });
            both_ways("q1", "one store changes both programs");
            for port in [P0, P1] {
                dataplane.detach_early(port).unwrap();
            }
            assert_eq!(shown("p1"), "");
            both_ways("q1", "without the programs");
            detach(&dataplane, case);
        }
    });
}

#[test]
fn what_a_socket_bound_to_a_standby_port_waits_for_passes() {
    bench(|| {
        let dataplane = attach(support::attached::Case::all()[3]);
        for mode in BOTH {
            dataplane.attach_early(P1, &early("p1", mode, false)).unwrap();
            let bound = Bound::of([(P1, EtherTypes::of([wire::ETHERTYPE]))]);
            dataplane.bound().unwrap().publish(&bound);
            let listener = Wire::open_for(index("p1"), wire::ETHERTYPE);
            let frame = wire::frame([0xff; 6], "awaited");
            Wire::open(index("q1")).send(&frame);
            assert_eq!(listener.receive().octets, frame, "{mode:?}");
        }
        assert_eq!(standby_drops(&dataplane), 0);
    });
}

#[test]
fn the_mode_changes_and_the_program_is_swapped() {
    bench(|| {
        let mut dataplane = attach(support::attached::Case::all()[3]);
        let attach = |dataplane: &Dataplane, mode, tags| dataplane.attach_early(P1, &early("p1", mode, tags)).unwrap();
        let found =
            |dataplane: &Dataplane, mode, tags| dataplane.defect_of_early(P1, &early("p1", mode, tags)).unwrap();
        let stale = Some(DataplaneDefect::Stale { role: ProgramRole::Xdp(P1), index: index("p1") });
        let lacking = Some(DataplaneDefect::NotAttached { role: ProgramRole::Xdp(P1), index: index("p1") });
        assert_eq!(found(&dataplane, XdpMode::Native, false), lacking);
        for mode in [XdpMode::Generic, XdpMode::Native, XdpMode::Native, XdpMode::Generic] {
            attach(&dataplane, mode, false);
            assert_eq!(dataplane.early_mode(P1, index("p1")).unwrap(), Some(mode));
        }
        assert_eq!(found(&dataplane, XdpMode::Native, false), lacking, "it is in another mode");
        dataplane.set_settings(Settings { vlan: "trunk=20".parse::<VlanConfig>().unwrap(), ..Settings::default() });
        assert_eq!(found(&dataplane, XdpMode::Generic, false), None, "without tags it is the same program");
        assert_eq!(found(&dataplane, XdpMode::Generic, true), stale);
        attach(&dataplane, XdpMode::Generic, true);
        assert_eq!(found(&dataplane, XdpMode::Generic, true), None);
        dataplane.set_settings(Settings { rx_policy: RxPolicy::Any, ..Settings::default() });
        assert_eq!(found(&dataplane, XdpMode::Generic, true), stale, "nothing could be dropped");
        attach(&dataplane, XdpMode::Generic, true);
        assert_eq!((shown("p1").as_str(), dataplane.early_mode(P1, index("p1")).unwrap()), ("", None));
        assert_eq!(found(&dataplane, XdpMode::Generic, true), None);
        dataplane.detach_early(P1).unwrap();
    });
}

#[test]
fn a_program_of_somebody_else_is_not_replaced() {
    bench(|| {
        let dataplane = attach(support::attached::Case::all()[3]);
        let mut stranger = foreign::load_xdp(&Path::new(BPFFS).join("foreign"));
        let id = stranger.info().unwrap().id();
        for (theirs, shows) in [(xdp::XdpMode::Skb, "xdpgeneric"), (xdp::XdpMode::Driver, "xdp")] {
            let link = stranger.attach("p1", theirs).unwrap();
            for mode in BOTH {
                match dataplane.attach_early(P1, &early("p1", mode, false)) {
                    Err(DataplaneError::ForeignXdp { port, id: found, name }) => {
                        assert_eq!((port.as_str(), found, name.as_str()), ("p1", id, "stranger"));
                    }
                    other => panic!("{other:?}"),
                }
            }
            assert_eq!(shown("p1"), shows);
            stranger.detach(link).unwrap();
            // Whoever looks through all links of the kernel in this moment keeps it for as long.
            wait_for("the stranger's program gone", SOON, || shown("p1").is_empty());
        }
        dataplane.attach_early(P1, &early("p1", XdpMode::Native, false)).unwrap();
        for theirs in [xdp::XdpMode::Skb, xdp::XdpMode::Driver] {
            assert!(stranger.attach("p1", theirs).is_err(), "ours is there");
        }
        assert_eq!(dataplane.early_mode(P1, index("p1")).unwrap(), Some(XdpMode::Native));
    });
}

#[test]
fn a_driver_that_runs_no_program_is_named() {
    bench(|| {
        let dataplane = attach(support::attached::Case::all()[3]);
        run(&["ip", "link", "add", "br0", "type", "bridge"]);
        let refused = dataplane.attach_early(P1, &early("br0", XdpMode::Native, false)).unwrap_err();
        let text = refused.to_string();
        assert!(text.starts_with("br0: its driver does not take an XDP program") && text.contains("generic"), "{text}");
        dataplane.attach_early(P1, &early("br0", XdpMode::Generic, false)).unwrap();
        run(&["ip", "link", "del", "br0"]);
        assert_eq!(dataplane.early_mode(P1, IfIndex(4000)).unwrap(), None, "gone with the interface");
        dataplane.attach_early(P1, &early("p1", XdpMode::Generic, false)).unwrap();
    });
}
