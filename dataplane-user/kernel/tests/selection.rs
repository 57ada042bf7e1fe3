//! The choice of the port in the sending program against the host build of the same rules: a million random and mutated
//! frames, through `BPF_PROG_TEST_RUN` and through `aggctl_common`, must take the same port.
//!
//! A test run does not say where a frame would go. So only the port that the host chose has an interface: the frame is
//! redirected if the program chose that one too, and else dropped.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "support/random_frames.rs"]
mod random_frames;
mod support;

use aggctl_common::{
    IfIndex, PortId, Ports,
    hash::{
        self, Policy,
        list::{Field, Known},
    },
    programs::TxPolicy,
    spread::{self, Rotation},
};
use aggctl_engine::{
    config::{Device, HashPolicy, Hook, Wiring},
    settings::Settings,
    spread::{BucketTable, SpreadMember, fallback_orders, primaries, rotation},
};
use aggctl_kernel::dataplane::ProgramRole;
use aggctl_tests::feature::PAGED_TEST_RUNS;
use aya::programs::{SchedClassifier, TestRun as _, TestRunOptions};
use random_frames::RandomFrames;
use support::{
    BPFFS,
    attached::{Case, pair},
    bench, dataplane, table,
};

/// What the kernel calls the programs' actions.
const DROP: u32 = 2;
const REDIRECT: u32 = 7;

/// The slots that are used, in the order in which they joined.
const SLOTS: [u8; 5] = [7, 0, 3, 1, 63];
/// Frames for each of the set-ups, of which there are four.
const FRAMES: usize = 250_000;
/// The kernel's mark of all frames.
const MARK: u32 = 0x1234_5678;
/// An interface: no test run gets there.
const SOMEWHERE: IfIndex = IfIndex(4000);

/// What the host's rules go by.
enum Tables {
    Buckets { fallback_orders: Vec<[u8; spread::MAX_FALLBACKS]>, primaries: Vec<u8> },
    Rotation(Box<Rotation>),
}

impl Tables {
    fn choose(&self, settings: &Settings, ports: &Ports, frame: &[u8]) -> Option<PortId> {
        let known = Known { mark: MARK, ..Known::default() };
        let hash = hash::seeded(settings.policy.hash(frame, &known).unwrap(), settings.seed);
        match self {
            Self::Buckets { fallback_orders, primaries } => spread::choose(
                ports,
                &BucketTable { primaries, fallback_orders },
                spread::bucket(hash, settings.shift()),
            ),
            Self::Rotation(rotation) => spread::pick(ports, &**rotation, hash),
        }
    }
}

/// Tries a set-up; the published tables are for all ports usable, and often some are not any more.
fn agree(settings: Settings, seed: u64) {
    bench(move || {
        let mut dataplane = dataplane();
        dataplane.set_settings(settings.clone());
        dataplane.create().unwrap();
        let members = SLOTS.map(|slot| SpreadMember { id: PortId(slot), weight: 1 + slot % 3, usable: true });
        let all = table(&SLOTS.map(|slot| (slot, SOMEWHERE)), SLOTS[0]);
        let tables = if settings.tx_policy == TxPolicy::Buckets {
            let fallback_orders = fallback_orders(&members, settings.buckets);
            let primaries = primaries(&fallback_orders, all.usable);
            dataplane.publish_fallback_orders(&fallback_orders).unwrap();
            dataplane.publish_buckets(&primaries).unwrap();
            Tables::Buckets { fallback_orders, primaries }
        } else {
            let rotation = rotation(&members, false);
            dataplane.publish_rotation(&rotation).unwrap();
            Tables::Rotation(Box::new(rotation))
        };
        let pair = pair(Case { wiring: Wiring::Shared, device: Device::Veth, hook: Hook::Auto });
        dataplane.attach_tx(&pair, Hook::Auto).unwrap();
        let tx = SchedClassifier::from_pin(format!("{BPFFS}/agg0/{}", ProgramRole::Tx)).unwrap();
        let live = dataplane.table().unwrap();
        let mut compared = 0;
        let trial = TestRunOptions { data_in: Some(&[0; 200]), ctx_in: Some(&context(100)), ..TestRunOptions::new() };
        let paged = tx.test_run(trial).is_ok();
        if !paged {
            println!("skipped for frames in parts: {}", PAGED_TEST_RUNS.lacking());
        }
        for (number, frame) in RandomFrames::new(seed).take(FRAMES).enumerate() {
            // Every second frame finds another set of ports usable, now and then none.
            let usable = if number % 2 == 0 { all.usable } else { all.usable & scrambled(number) };
            let ports = Ports { usable, ..all };
            let chosen = tables.choose(&settings, &ports, &frame);
            let mut only = Ports { ifindex: [IfIndex::NONE; aggctl_common::MAX_PORTS], ..ports };
            // And sometimes it is the other way round: all but the chosen one have an interface.
            let turned = number % 16 == 0;
            for slot in SLOTS.map(usize::from) {
                let is_chosen = chosen.is_some_and(|port| port.index() == slot);
                only.ifindex[slot] = if is_chosen == turned { IfIndex::NONE } else { SOMEWHERE };
            }
            live.publish(&only);
            // The kernel refuses to run frames that end within their IP header.
            // Every fourth has a part of its headers outside the linear part.
            let linear = 54 + number % 23;
            let in_parts = paged && number % 4 == 3 && linear < frame.len();
            let context = context(if in_parts { u32::try_from(linear).unwrap() } else { 0 });
            let options = TestRunOptions { data_in: Some(&frame), ctx_in: Some(&context), ..TestRunOptions::new() };
            let Ok(result) = tx.test_run(options) else { continue };
            let expected = if chosen.is_some() && !turned { REDIRECT } else { DROP };
            assert_eq!(result.return_value, expected, "{settings:?}, {chosen:?}, {frame:x?}, {ports:?}");
            compared += 1;
        }
        assert!(compared > FRAMES * 9 / 10, "only {compared} frames could be compared");
        println!("{compared} frames");
    });
}

/// What a program is told beside a frame whose linear part ends there (0: with the frame): `struct __sk_buff`, of which
/// the kernel takes these two.
fn context(linear: u32) -> [u8; 192] {
    let mut context = [0; 192];
    context[8..12].copy_from_slice(&MARK.to_ne_bytes());
    context[80..84].copy_from_slice(&linear.to_ne_bytes());
    context
}

/// Bits that look like chance.
fn scrambled(number: usize) -> u64 {
    (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23).wrapping_mul(0xbf58_476d_1ce4_e5b9)
}

fn hashing(tx_policy: TxPolicy, policy: impl Into<HashPolicy>, seed: u32, buckets: u32) -> Settings {
    Settings { tx_policy, policy: policy.into(), seed, buckets, ..Settings::default() }
}

#[test]
fn buckets_by_layer2() {
    agree(hashing(TxPolicy::Buckets, Policy::Layer2, 0, 256), 1);
}

#[test]
fn buckets_by_layer2_and_3_with_a_seed() {
    agree(hashing(TxPolicy::Buckets, Policy::Layer23, 77, 4096), 2);
}

#[test]
fn buckets_by_layer3_and_4() {
    agree(hashing(TxPolicy::Buckets, Policy::Layer34, 0, 65_536), 3);
}

#[test]
fn the_kernels_modulo() {
    agree(hashing(TxPolicy::Modulo, Policy::Layer34, 0, spread::MIN_BUCKETS), 4);
}

/// A list of fields as a policy.
fn listed(list: &str) -> HashPolicy {
    list.parse().unwrap()
}

/// A test run cannot say what the kernel's hash is.
#[test]
fn buckets_by_all_fields() {
    let all: Vec<_> = Field::ALL.into_iter().filter(|field| *field != Field::SkbHash).map(Field::name).collect();
    agree(hashing(TxPolicy::Buckets, listed(&all.join(",")), 0, 65_536), 5);
}

#[test]
fn buckets_by_fields_of_both_ways_with_a_seed() {
    let list = "src-mac,dst-mac,inner-vlan,src-ip/20/50,dst-ip/20/50,proto,l4,vni,gre-key,icmp-id,symmetric";
    agree(hashing(TxPolicy::Buckets, listed(list), 77, 4096), 6);
}

#[test]
fn the_modulo_of_fields() {
    agree(
        hashing(TxPolicy::Modulo, listed("ethertype,vlan,dst-ip,dport,spi,gtp-teid,mpls"), 0, spread::MIN_BUCKETS),
        7,
    );
}

/// Publishes more tables than there are sides, and looks after each where a frame goes.
#[test]
fn one_table_takes_the_place_of_another() {
    for tx_policy in [TxPolicy::Buckets, TxPolicy::RoundRobin] {
        bench(move || {
            let mut dataplane = dataplane();
            let settings = hashing(tx_policy, Policy::Layer34, 0, spread::MIN_BUCKETS);
            dataplane.set_settings(settings.clone());
            dataplane.create().unwrap();
            assert_eq!(dataplane.buckets().unwrap(), None);
            let pair = pair(Case { wiring: Wiring::Shared, device: Device::Veth, hook: Hook::Auto });
            dataplane.attach_tx(&pair, Hook::Auto).unwrap();
            let tx = SchedClassifier::from_pin(format!("{BPFFS}/agg0/{}", ProgramRole::Tx)).unwrap();
            let live = dataplane.table().unwrap();
            let frame = RandomFrames::new(5).next().unwrap();
            let goes_to = |slot: u8| {
                let mut only = table(&SLOTS.map(|slot| (slot, IfIndex::NONE)), SLOTS[0]);
                only.ifindex[usize::from(slot)] = SOMEWHERE;
                live.publish(&only);
                let options = TestRunOptions { data_in: Some(&frame), ..TestRunOptions::new() };
                tx.test_run(options).unwrap().return_value == REDIRECT
            };
            assert_eq!(SLOTS.map(goes_to), [true, false, false, false, false], "the active port, before any table");
            for slot in SLOTS {
                if tx_policy == TxPolicy::Buckets {
                    let primaries = vec![slot; spread::MIN_BUCKETS as usize];
                    dataplane.publish_buckets(&primaries).unwrap();
                    assert_eq!(dataplane.buckets().unwrap(), Some(primaries));
                } else {
                    let rotation = Rotation {
                        usable: table(&SLOTS.map(|slot| (slot, IfIndex::NONE)), SLOTS[0]).usable,
                        ..rotation(&[SpreadMember { id: PortId(slot), weight: 1, usable: true }], true)
                    };
                    dataplane.publish_rotation(&rotation).unwrap();
                    assert_eq!(dataplane.rotation().unwrap(), Some(rotation));
                }
                assert_eq!(SLOTS.map(goes_to), SLOTS.map(|other| other == slot), "{tx_policy:?}, slot {slot}");
            }
        });
    }
}
