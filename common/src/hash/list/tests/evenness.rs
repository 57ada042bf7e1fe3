//! How evenly lists spread flows over buckets, by the chi-squared test.

extern crate std;

use std::vec::Vec;

use super::{
    super::{Field, FieldList, Masks, PrefixLengths, hash},
    list,
    sample::{Carries, Packet, Sample, Samples},
};
use crate::{
    hash::seeded,
    spread::{MIN_BUCKETS, bucket, shift},
};

/// What 99 of 100 fair lots over 256 buckets stay below: the distribution of chi-squared with 255 degrees of freedom.
const BOUND: f64 = 310.457;
/// How many flows are spread.
const FLOWS: u128 = 65_536;

/// Chi-squared of the buckets of these flows.
fn chi_squared(list: &FieldList, seed: u32, flows: impl Iterator<Item = Sample>) -> f64 {
    let masks = Masks::of(list);
    let mut buckets = [0_u32; MIN_BUCKETS as usize];
    let mut count = 0_u32;
    for flow in flows {
        let hash = hash(&masks, flow.frame().as_slice(), &flow.known()).unwrap();
        buckets[bucket(seeded(hash, seed), shift(MIN_BUCKETS)) as usize] += 1;
        count += 1;
    }
    let mean = f64::from(count) / f64::from(MIN_BUCKETS);
    buckets.iter().map(|bucket| (f64::from(*bucket) - mean).powi(2) / mean).sum()
}

/// The same flow again and again, but for the values of a field, which are these.
fn counted(start: &Sample, field: Field, values: impl Fn(u128) -> u128) -> impl Iterator<Item = Sample> {
    (0..FLOWS).map(move |number| {
        let mut flow = start.clone();
        flow.values[field as usize] = values(number);
        flow
    })
}

#[test]
fn flows_that_differ_in_one_number_are_spread_as_by_a_fair_lot() {
    let (mut samples, mut above) = (Samples::new(), Vec::new());
    let connections = list(&[Field::SrcIp, Field::DstIp, Field::SrcPort, Field::DstPort]);
    let symmetric = FieldList { symmetric: true, ..connections };
    let every = list(&Field::ALL);
    for packet in [Packet::Four(Carries::Ports), Packet::Six(Carries::Ports)] {
        let mut start = Sample { packet, ..samples.sample() };
        start.values[Field::Proto as usize] = 17;
        for (list, seed) in [(connections, 0), (connections, 7), (symmetric, 0), (every, 0), (every, 7)] {
            for (field, first) in [(Field::SrcPort, 0), (Field::SrcIp, 0x0a00_0000), (Field::DstIp, 0xfd00 << 96)] {
                let one_up = chi_squared(&list, seed, counted(&start, field, |number| first + number));
                if one_up > BOUND {
                    above.push(std::format!("{one_up:.1}: {list:?}, seed {seed}, {field:?} of {packet:?}"));
                }
            }
        }
    }
    // Of these 30, a fair lot would have 2 or more above the bound once in 28 times.
    assert!(above.len() < 2, "{above:#?}");
}

#[test]
fn flows_at_random_are_spread_as_by_a_fair_lot() {
    let prefixes = PrefixLengths { four: 24, six: 48 };
    let addresses = list(&[Field::SrcIp, Field::DstIp]);
    let lists = [
        list(&[Field::SrcIp]),
        FieldList { source: prefixes, destination: prefixes, symmetric: true, ..addresses },
        list(&[Field::SrcMac, Field::DstMac]),
        list(&[Field::Mark, Field::SkbHash]),
        list(&Field::ALL),
    ];
    for packet in [Packet::Four(Carries::Ports), Packet::Six(Carries::Esp)] {
        let mut samples = Samples::new();
        let flows: Vec<_> = (0..FLOWS).map(|_| Sample { packet, ..samples.sample() }).collect();
        for list in lists {
            let even = chi_squared(&list, 0, flows.iter().cloned());
            assert!(even <= BOUND, "{even:.1}: {list:?} of {packet:?}");
        }
    }
}
