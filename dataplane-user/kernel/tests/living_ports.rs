//! The rule with ports of which the kernel says that they are dead: random tables, through `BPF_PROG_TEST_RUN` and
//! through `aggctl_common`, must come to the same.
//!
//! A test run does not say where a frame would go. So only the port that the host chose has an interface, and every
//! other time all but that one: the frame is redirected if the program chose the same, and else dropped, or the other
//! way round. In the table are the addresses of two devices, one that is alive and one that is not, and 0 where none is
//! known.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/random_frames.rs"]
mod random_frames;
mod support;

use aggctl_common::{
    IfIndex, MAX_PORTS, MacAddresses, PortId, Ports, PortsMap,
    hash::{Policy, list::Known},
    programs::{RxPolicy, TxPolicy},
    rule::{self, PortsView, ReceivingPort},
    seen::PortsWithLiveness,
    spread::{self, MIN_BUCKETS},
};
use aggctl_engine::{
    config::{Device, Hook, Wiring},
    settings::Settings,
    spread::{BucketTable, SpreadMember, fallback_orders, primaries, rotation},
};
use aggctl_kernel::dataplane::{Dataplane, ProgramRole};
use aggctl_tests::feature::READABLE_DEVICES;
use aya::{
    maps::{Array, Map, MapData},
    programs::{SchedClassifier, TestRun as _, TestRunOptions},
};
use random_frames::RandomFrames;
use support::{
    BPFFS,
    attached::{Case, P0, P1, attach_to, pair, ports},
    bench, dataplane, index, run,
};

/// What the kernel calls the programs' actions.
const DROP: u32 = 2;
const REDIRECT: u32 = 7;
/// The slots that are used.
const SLOTS: [u8; 5] = [7, 0, 3, 1, 63];
/// Tables for each set-up.
const TABLES: usize = 5_000;
/// An interface: no test run gets there.
const SOMEWHERE: IfIndex = IfIndex(4000);

/// A port that receives.
struct Port(PortId, RxPolicy, PortsWithLiveness);

impl ReceivingPort for Port {
    fn slot(&self) -> PortId {
        self.0
    }

    fn rx_policy(&self) -> RxPolicy {
        self.1
    }

    fn table(&self) -> impl PortsView {
        self.2
    }

    fn is_awaited(&self) -> bool {
        false
    }
}

/// Numbers that look like chance, the same in each run (the generator SplitMix64).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A table of [`SLOTS`], of which about half are usable, and what the kernel says of them.
    fn table(&mut self, devices: [u64; 2]) -> (PortsWithLiveness, PortsMap) {
        let mut order = SLOTS;
        for place in 1..order.len() {
            order.swap(place, usize::try_from(self.next() % (place as u64 + 1)).unwrap());
        }
        let mut ports = Ports { accept: self.next(), count: 5, ..Ports::EMPTY };
        ports.order[..5].copy_from_slice(&order);
        ports.active = u32::from(SLOTS[usize::try_from(self.next() % 5).unwrap()]);
        let mut seen = PortsWithLiveness { ports, alive: u64::MAX };
        let mut map = PortsMap::EMPTY;
        for slot in SLOTS.map(PortId) {
            if !self.next().is_multiple_of(3) {
                seen.ports.usable |= slot.bit();
            }
            map.device[slot.index()] = match self.next() % 8 {
                0 => 0,
                1..=3 => devices[0],
                _ => {
                    seen.alive &= !slot.bit();
                    devices[1]
                }
            };
        }
        map.ports = seen.ports;
        (seen, map)
    }
}

/// The programs, and the map that they go by.
struct Programs {
    tx: SchedClassifier,
    rx: Vec<(PortId, SchedClassifier)>,
    map: Array<MapData, [u8; size_of::<PortsMap>()]>,
    /// One that is alive, and one that is not.
    devices: [u64; 2],
}

impl Programs {
    fn load(dataplane: &Dataplane) -> Option<Self> {
        let case = Case { wiring: Wiring::Shared, device: Device::Veth, hook: Hook::Auto };
        attach_to(dataplane, case);
        if !dataplane.asks_kernel() {
            println!("skipped: {}", READABLE_DEVICES.lacking());
            return None;
        }
        run(&["ip", "link", "set", "q1", "down"]);
        let devices = [P0, P1].map(|port| dataplane.table().unwrap().device(port));
        assert!(devices.iter().all(|device| *device != 0) && ports().usable == P0.bit() | P1.bit());
        let program = |role: ProgramRole| SchedClassifier::from_pin(format!("{BPFFS}/agg0/{role}")).unwrap();
        let rx = SLOTS.map(|slot| {
            // All on one interface: the test runs do not depend on where they are attached.
            dataplane.attach_rx(PortId(slot), index("p0"), &pair(case), case.hook).unwrap();
            (PortId(slot), program(ProgramRole::Rx(PortId(slot))))
        });
        let map = Map::Array(MapData::from_pin(format!("{BPFFS}/agg0/ports")).unwrap());
        Some(Self { tx: program(ProgramRole::Tx), rx: rx.into(), map: map.try_into().unwrap(), devices })
    }

    fn publish(&mut self, map: &PortsMap) {
        self.map.set(0, bytemuck::bytes_of(map).first_chunk().unwrap(), 0).unwrap();
    }
}

/// What a program returns for a frame.
fn outcome(program: &SchedClassifier, frame: &[u8]) -> u32 {
    program.test_run(TestRunOptions { data_in: Some(frame), ..TestRunOptions::new() }).unwrap().return_value
}

fn agree(tx_policy: TxPolicy, rx_policy: RxPolicy) {
    bench(move || {
        let settings = Settings {
            tx_policy,
            rx_policy,
            policy: Policy::Layer2.into(),
            seed: 0,
            buckets: MIN_BUCKETS,
            ..Settings::default()
        };
        let mut dataplane = dataplane();
        dataplane.set_settings(settings.clone());
        dataplane.create().unwrap();
        let members = SLOTS.map(|slot| SpreadMember { id: PortId(slot), weight: 1, usable: true });
        let orders = fallback_orders(&members, MIN_BUCKETS);
        let all = SLOTS.iter().fold(0, |mask, slot| mask | PortId(*slot).bit());
        let (primaries, rotation) = (primaries(&orders, all), rotation(&members, false));
        match tx_policy {
            TxPolicy::Buckets => {
                dataplane.publish_fallback_orders(&orders).unwrap();
                dataplane.publish_buckets(&primaries).unwrap();
            }
            TxPolicy::Modulo => dataplane.publish_rotation(&rotation).unwrap(),
            TxPolicy::Active | TxPolicy::RoundRobin | TxPolicy::Random => {}
        }
        let choose = |seen: &PortsWithLiveness, frame: &[u8]| {
            let hash = settings.policy.hash(frame, &Known::default()).unwrap();
            match tx_policy {
                TxPolicy::Buckets => {
                    let table = BucketTable { primaries: &primaries, fallback_orders: &orders };
                    spread::choose(seen, &table, spread::bucket(hash, settings.shift()))
                }
                TxPolicy::Modulo => spread::pick(seen, &rotation, hash),
                TxPolicy::Active | TxPolicy::RoundRobin | TxPolicy::Random => rule::choose(seen),
            }
        };
        let Some(mut programs) = Programs::load(&dataplane) else { return };
        let (mut chance, mut frames) = (Chance(tx_policy as u64), RandomFrames::new(9));
        let mut passed_over = 0;
        for number in 0..TABLES {
            let (seen, mut map) = chance.table(programs.devices);
            let frame = frames.next().unwrap();
            let chosen = choose(&seen, &frame);
            passed_over += usize::from(chosen != choose(&PortsWithLiveness { alive: u64::MAX, ..seen }, &frame));
            let turned = number % 2 == 0;
            map.ports.ifindex = [IfIndex::NONE; MAX_PORTS];
            for slot in SLOTS.map(PortId) {
                map.ports.ifindex[slot.index()] =
                    if (chosen == Some(slot)) == turned { IfIndex::NONE } else { SOMEWHERE };
            }
            programs.publish(&map);
            // The kernel refuses to run frames that end within their IP header.
            let run = TestRunOptions { data_in: Some(&frame), ..TestRunOptions::new() };
            let Ok(result) = programs.tx.test_run(run) else { continue };
            let expected = if chosen.is_some() && !turned { REDIRECT } else { DROP };
            assert_eq!(result.return_value, expected, "{chosen:?} of {:?}, alive {:x}", seen.ports, seen.alive);

            let mut received = [0; 60];
            received[..12].copy_from_slice(&frame[..12]);
            // A group every other time.
            received[0] = u8::from(number % 4 < 2) | 0x10;
            for (slot, program) in &programs.rx {
                let accepted = rule::receive(
                    &Port(*slot, rx_policy, seen),
                    &MacAddresses::from_octets(*received.first_chunk().unwrap()),
                );
                let expected = if accepted.is_ok() { REDIRECT } else { DROP };
                let text = format!("slot {slot} of {:?}, alive {:x}", seen.ports, seen.alive);
                assert_eq!(outcome(program, &received), expected, "{text}");
            }
        }
        assert!(passed_over > TABLES / 5, "only {passed_over} frames took another port than the table says");
    });
}

#[test]
fn one_port_carries_all() {
    agree(TxPolicy::Active, RxPolicy::Active);
}

#[test]
fn buckets() {
    agree(TxPolicy::Buckets, RxPolicy::Designated);
}

#[test]
fn modulo() {
    agree(TxPolicy::Modulo, RxPolicy::Any);
}
