//! What holds for every frame.

extern crate std;

use core::ops::Range;
use std::{collections::BTreeSet, vec, vec::Vec};

use proptest::{prelude::*, strategy::ValueTree as _, test_runner::TestRunner};

use super::{NoTransport, Policy, fields, hash, seeded, usual};

/// A field of a frame, and the policies that cover it.
type Field = (&'static str, Range<usize>, &'static [Policy]);

const NONE: &[Policy] = &[];
const LINK: &[Policy] = &[Policy::Layer2, Policy::Layer23];
const ADDRESS: &[Policy] = &[Policy::Layer23, Policy::Layer34];
const TRANSPORT: &[Policy] = &[Policy::Layer34];

/// What IPv4 and IPv6 have in common.
const ETHERNET: [Field; 4] = [
    ("destination, but for its last octet", 0..5, NONE),
    ("last octet of the destination", 5..6, LINK),
    ("source, but for its last octet", 6..11, NONE),
    ("last octet of the source", 11..12, LINK),
];

const IPV4: [Field; 9] = [
    ("service", 15..16, NONE),
    ("length and identification", 16..20, NONE),
    ("time to live", 22..23, NONE),
    ("checksum", 24..26, NONE),
    ("source address", 26..30, ADDRESS),
    ("destination address", 30..34, ADDRESS),
    ("source port", 34..36, TRANSPORT),
    ("destination port", 36..38, TRANSPORT),
    ("payload", 38..60, NONE),
];

const IPV6: [Field; 6] = [
    ("class, flow label, length", 14..20, NONE),
    ("hop limit", 21..22, NONE),
    ("source address", 22..38, ADDRESS),
    ("destination address", 38..54, ADDRESS),
    ("ports", 54..58, TRANSPORT),
    ("payload", 58..80, NONE),
];

const PING: [Field; 3] =
    [("checksum", 36..38, NONE), ("identifier", 38..40, TRANSPORT), ("sequence number", 40..42, NONE)];

/// Checks with frames of random content, in which some octets are set, that of all the frames in which a field has
/// another random value too at least 99 % have another hash if the policy covers it, and none has if it does not.
fn check(fields: &[Field], set: &[(usize, u8)]) {
    const CASES: usize = 2000;

    let mut runner = TestRunner::deterministic();
    let mut random = || {
        let mut frame = vec![0; 80];
        runner.rng().fill_bytes(&mut frame);
        for (at, value) in set {
            frame[*at] = *value;
        }
        frame
    };
    for (name, range, covered) in fields {
        let mut changed = [0; 3];
        for _ in 0..CASES {
            let one = random();
            let mut other = one.clone();
            while other == one {
                other[range.clone()].copy_from_slice(&random()[range.clone()]);
            }
            for (changed, policy) in changed.iter_mut().zip(Policy::ALL) {
                *changed += usize::from(hash(policy, &one[..]) != hash(policy, &other[..]));
            }
        }
        for (changed, policy) in changed.into_iter().zip(Policy::ALL) {
            let right = if covered.contains(&policy) { changed * 100 >= CASES * 99 } else { changed == 0 };
            assert!(right, "{name} under {policy}: {changed} of {CASES} changed");
        }
    }
}

#[test]
fn only_covered_fields_of_ipv4_change_the_hash() {
    let set = [(12, 0x08), (13, 0x00), (14, 0x45), (20, 0x40), (21, 0)];
    for protocol in [6, 17, 132] {
        check(&[&ETHERNET[..], &IPV4].concat(), &[&set[..], &[(23, protocol)]].concat());
    }
    check(&PING, &[&set[..], &[(23, 1), (34, 8), (35, 0)]].concat());
}

#[test]
fn only_covered_fields_of_ipv6_change_the_hash() {
    for protocol in [6, 17, 132] {
        check(&[&ETHERNET[..], &IPV6].concat(), &[(12, 0x86), (13, 0xdd), (20, protocol)]);
    }
}

#[test]
fn the_ethertype_counts_where_there_is_no_ip() {
    const IP: [[u8; 2]; 2] = [[0x08, 0x00], [0x86, 0xdd]];
    let frame = |ethertype: [u8; 2]| {
        let mut frame = vec![0; 60];
        frame[12..14].copy_from_slice(&ethertype);
        frame
    };
    let mut seen = [(); 3].map(|()| BTreeSet::new());
    let mut types = 0;
    for ethertype in (0..=u16::MAX).map(u16::to_be_bytes).filter(|ethertype| !IP.contains(ethertype)) {
        types += 1;
        for (seen, policy) in seen.iter_mut().zip(Policy::ALL) {
            seen.insert(hash(policy, &frame(ethertype)[..]).unwrap());
        }
    }
    assert_eq!(seen.map(|seen| seen.len()), [types; 3]);
}

/// A frame that begins like an IP packet of some kind, so that all of the parser is reached, and goes on at random.
fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let ethertype = prop_oneof![
        4 => Just([0x08, 0x00]), 4 => Just([0x86, 0xdd]), 1 => Just([0x81, 0x00]), 1 => any::<[u8; 2]>()
    ];
    let protocol = prop_oneof![
        4 => prop::sample::select(vec![1_u8, 58]),
        4 => prop::sample::select(vec![6_u8, 17, 33, 50, 51, 132, 136]),
        1 => any::<u8>(),
    ];
    (ethertype, protocol, 0..=15_u8, prop::collection::vec(any::<u8>(), 0..200)).prop_map(
        |(ethertype, protocol, kind, mut frame)| {
            let six = ethertype == [0x86, 0xdd];
            let set: &[(usize, u8)] = if six {
                &[(20, protocol), (54, kind)]
            } else {
                &[(14, 0x45), (20, 0), (21, 0), (23, protocol), (34, kind)]
            };
            for (at, value) in [(12, ethertype[0]), (13, ethertype[1])].iter().chain(set) {
                if let Some(octet) = frame.get_mut(*at) {
                    *octet = *value;
                }
            }
            frame
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn what_is_told_is_what_is_hashed(frame in any_frame()) {
        for policy in Policy::ALL {
            let told = fields(policy, &frame[..]);
            prop_assert_eq!(told.map(|fields| fields.hash), hash(policy, &frame[..]));
            prop_assert_eq!(told.is_some(), frame.len() >= 14);
        }
    }

    #[test]
    fn the_short_way_leads_to_the_same_hash(frame in any_frame()) {
        for policy in Policy::ALL {
            let usual = usual(policy, &frame[..]);
            prop_assert!(usual.is_none() || usual == hash(policy, &frame[..]));
        }
    }

    #[test]
    fn all_fragments_of_a_datagram_are_together(
        frame in prop::collection::vec(any::<u8>(), 60),
        protocol in any::<u8>(),
        other in prop::collection::vec(any::<u8>(), 0..60),
        first in 1..=0x1fff_u16,
        last in 1..=0x1fff_u16,
    ) {
        let fragment = |flags: u16, payload: &[u8]| {
            let mut fragment = [&frame[..34], payload].concat();
            fragment[12..15].copy_from_slice(&[0x08, 0x00, 0x45]);
            fragment[20..22].copy_from_slice(&flags.to_be_bytes());
            fragment[23] = protocol;
            fragment
        };
        let fragments = [fragment(0x2000, &frame[34..]), fragment(0x2000 | first, &other), fragment(last, &other)];
        for policy in Policy::ALL {
            let hashes = fragments.each_ref().map(|fragment| hash(policy, &fragment[..]));
            prop_assert_eq!(hashes, [hashes[0]; 3]);
        }
        let told = fields(Policy::Layer34, &fragments[0][..]).unwrap();
        prop_assert_eq!(told.transport, Err(NoTransport::Fragment));
        prop_assert!(told.addresses.is_ok());
    }

    #[test]
    fn a_seed_keeps_apart_what_is_different(one in any::<u32>(), other in any::<u32>(), seed in any::<u32>()) {
        prop_assert_eq!(one == other, seeded(one, seed) == seeded(other, seed));
        prop_assert_eq!(seeded(one, 0), one);
    }
}

#[test]
fn the_short_way_is_for_tcp_and_udp() {
    let is_usual = |set: &[(usize, u8)]| {
        let mut frame = [0; 80];
        for (at, value) in [(12, 0x08), (14, 0x45), (23, 17)].iter().chain(set) {
            frame[*at] = *value;
        }
        Policy::ALL.map(|policy| usual(policy, &frame[..]).is_some())
    };
    assert_eq!(is_usual(&[]), [true; 3]);
    assert_eq!(is_usual(&[(23, 6)]), [true; 3]);
    assert_eq!(is_usual(&[(12, 0x86), (13, 0xdd), (20, 17)]), [true; 3]);
    for unusual in [(23, 1), (14, 0x46), (20, 0x20), (21, 1), (12, 0x81)] {
        assert_eq!(is_usual(&[unusual]), [true, false, false], "{unusual:?}");
    }
}

#[test]
fn a_seed_changes_half_of_the_bits_whichever_bit_differs() {
    let mut runner = TestRunner::deterministic();
    for bit in 0..32 {
        let mut flipped = 0;
        for _ in 0..1000 {
            let (hash, seed) = any::<(u32, u32)>().new_tree(&mut runner).unwrap().current();
            flipped += (seeded(hash, seed) ^ seeded(hash ^ (1 << bit), seed)).count_ones();
            flipped += (seeded(hash, seed) ^ seeded(hash, seed ^ (1 << bit))).count_ones();
        }
        // 64,000 bits, each of which flips with a chance of one half: ±5 % is more than 12 standard deviations.
        assert!((30_400..33_600).contains(&flipped), "bit {bit}: {flipped} of 64000");
    }
}
