extern crate std;

mod evenness;
mod sample;

use std::{string::ToString as _, vec::Vec};

use sample::{Carries, Packet, Sample, Samples};

use super::{Field, FieldList, Known, Masks, PrefixLengths, fields, hash, mix::mix};

fn list(fields: &[Field]) -> FieldList {
    fields.iter().fold(FieldList::default(), |list, field| list.with(*field))
}

fn hashed(list: &FieldList, sample: &Sample) -> u32 {
    hash(&Masks::of(list), sample.frame().as_slice(), &sample.known()).unwrap()
}

/// Whether a change of a field is one of what a list covers: the network of NVGRE is a part of GRE's key.
fn covers(list: &FieldList, field: Field, sample: &Sample) -> bool {
    let nvgre = matches!(sample.packet, Packet::Four(Carries::Nvgre) | Packet::Six(Carries::Nvgre));
    list.has(field) || field == Field::Vni && nvgre && list.has(Field::GreKey)
}

/// Checks that of so many frames that differ in one field at least 99 % have another hash if a list covers it; and that
/// none has if it does not.
fn check(list: FieldList, cases: usize, samples: &mut Samples) {
    for field in Field::ALL {
        let (mut covered, mut changed) = (0, 0);
        let cases = if list.has(field) { cases } else { cases / 20 };
        let mut tried = 0;
        while tried < cases {
            let one = samples.sample();
            if !one.has(field) {
                continue;
            }
            tried += 1;
            let other = samples.other(field, &one);
            let differs = hashed(&list, &one) != hashed(&list, &other);
            if covers(&list, field, &one) {
                (covered, changed) = (covered + 1, changed + usize::from(differs));
            } else {
                assert!(!differs, "{list:?}: {field:?} of {one:?} and {other:?}");
            }
        }
        assert!(changed * 100 >= covered * 99, "{list:?}: {field:?} changed {changed} of {covered}");
    }
}

#[test]
fn a_field_changes_the_hash_of_a_list_that_has_it_and_of_no_other() {
    let mut samples = Samples::new();
    for field in Field::ALL {
        check(list(&[field]), 200, &mut samples);
    }
    check(list(&Field::ALL), 1000, &mut samples);
}

#[test]
fn so_it_does_in_any_two() {
    let mut samples = Samples::new();
    for (position, one) in Field::ALL.into_iter().enumerate() {
        for other in &Field::ALL[position + 1..] {
            check(list(&[one, *other]), 100, &mut samples);
        }
    }
}

#[test]
fn what_a_frame_has_is_told_as_it_is() {
    let mut samples = Samples::new();
    let all = list(&Field::ALL);
    for _ in 0..2000 {
        let sample = samples.sample();
        let (found, number) = fields(&all, sample.frame().as_slice(), &sample.known()).unwrap();
        assert_eq!(number, hashed(&all, &sample));
        for field in Field::ALL.into_iter().filter(|field| sample.has(*field)) {
            let nvgre = covers(&list(&[Field::GreKey]), field, &sample);
            if matches!(field, Field::SrcMac | Field::DstMac | Field::SrcIp | Field::DstIp) || nvgre {
                continue;
            }
            let (decimal, hexadecimal) = (sample.value(field).to_string(), std::format!("{:#x}", sample.value(field)));
            let told = found.value(field).unwrap().to_string();
            assert!(told == decimal || told == hexadecimal, "{field:?}: {told} of {sample:?}");
        }
    }
    let sample = Sample { packet: Packet::Four(Carries::Ports), ..samples.sample() };
    let (found, _) = fields(&all, sample.frame().as_slice(), &sample.known()).unwrap();
    let address = u32::try_from(sample.value(Field::SrcIp) & 0xffff_ffff).unwrap();
    assert_eq!(found.value(Field::SrcIp).unwrap().to_string(), std::net::Ipv4Addr::from(address).to_string());
    assert_eq!([Field::Spi, Field::FlowLabel, Field::Mpls].map(|field| found.value(field)), [None; 3]);
}

#[test]
fn a_symmetric_hash_is_the_same_both_ways() {
    let mut samples = Samples::new();
    let two_way: Vec<_> = Field::ALL.into_iter().filter(|field| !field.has_direction()).collect();
    let symmetric = FieldList { symmetric: true, ..list(&two_way) };
    let plain = list(&two_way);
    let mut differ = 0;
    for _ in 0..5000 {
        let sample = samples.sample();
        assert_eq!(hashed(&symmetric, &sample), hashed(&symmetric, &sample.turned()), "{sample:?}");
        differ += usize::from(hashed(&plain, &sample) != hashed(&plain, &sample.turned()));
    }
    assert!(differ > 4900, "{differ}");
    for prefixes in [PrefixLengths { four: 24, six: 56 }, PrefixLengths { four: 1, six: 127 }] {
        let list = FieldList { source: prefixes, destination: prefixes, ..symmetric };
        for _ in 0..1000 {
            let sample = Sample { packet: Packet::Six(Carries::Ports), ..samples.sample() };
            assert_eq!(hashed(&list, &sample), hashed(&list, &sample.turned()));
        }
    }
    check(FieldList { symmetric: true, ..list(&two_way) }, 500, &mut samples);
}

#[test]
fn of_an_address_the_prefix_counts() {
    let mut samples = Samples::new();
    for (four, six) in [(1, 1), (8, 32), (24, 48), (31, 64), (32, 65), (32, 128), (17, 127)] {
        let lengths = PrefixLengths { four, six };
        for (field, list) in [
            (Field::SrcIp, FieldList { source: lengths, ..list(&[Field::SrcIp]) }),
            (Field::DstIp, FieldList { destination: lengths, ..list(&[Field::DstIp]) }),
        ] {
            for (packet, bits, length) in [
                (Packet::Four(Carries::Ports), 32, u32::from(four)),
                (Packet::Six(Carries::Ports), 128, u32::from(six)),
            ] {
                let sample = Sample { packet, ..samples.sample() };
                for bit in 0..bits {
                    let mut other = sample.clone();
                    other.values[field as usize] ^= 1 << (bits - 1 - bit);
                    let differs = hashed(&list, &sample) != hashed(&list, &other);
                    assert_eq!(differs, bit < length, "{list:?}, bit {bit} of {bits}");
                }
            }
        }
    }
}

#[test]
fn a_tag_counts_the_same_within_the_frame_and_beside_it() {
    let mut samples = Samples::new();
    let all = list(&Field::ALL);
    for _ in 0..1000 {
        let mut sample = samples.sample();
        sample.tags.1 = false;
        let within = hashed(&all, &sample);
        sample.tags.1 = true;
        assert_eq!(hashed(&all, &sample), within, "{sample:?}");
    }
}

#[test]
fn all_fragments_of_a_datagram_are_together() {
    let mut samples = Samples::new();
    let all = list(&Field::ALL);
    for _ in 0..1000 {
        let sample = Sample { packet: Packet::Four(Carries::Vxlan), tags: (0, false), ..samples.sample() };
        let fragment = |flags: [u8; 2], behind: u64| {
            let mut frame = sample.frame();
            frame[20..22].copy_from_slice(&flags);
            frame[14] = 0x45;
            frame.truncate(34);
            frame.extend(behind.to_be_bytes());
            frame.extend(behind.to_be_bytes());
            hash(&Masks::of(&all), frame.as_slice(), &sample.known()).unwrap()
        };
        let first = fragment([0x20, 0], 1 << 60);
        assert_eq!([fragment([0x20, 9], 2), fragment([0, 18], 3)], [first; 2]);
        assert_ne!(fragment([0x40, 0], 1 << 60), first);
    }
}

#[test]
fn frames_may_end_anywhere() {
    let mut samples = Samples::new();
    let all = list(&Field::ALL);
    for _ in 0..300 {
        let sample = samples.sample();
        let frame = sample.frame();
        for length in 0..frame.len() {
            let told = fields(&all, &frame[..length], &sample.known());
            assert_eq!(told.is_some(), length >= 14, "{length} octets of {sample:?}");
        }
    }
    let beside = Known { mark: 7, ..Known::default() };
    assert_eq!(fields(&list(&[Field::Mark]), &[0; 13][..], &beside), None);
}

/// What the C source of `jhash_3words` gives, `initval` first.
const JHASH: [((u32, [u32; 3]), u32); 4] = [
    ((0x0000_0000, [0x0000_0000, 0x0000_0000, 0x0000_0000]), 0x1b68_e557),
    ((0x0000_0000, [0x0000_0001, 0x0000_0002, 0x0000_0003]), 0xa461_58f5),
    ((0x1234_5678, [0xffff_ffff, 0x0000_0000, 0x8000_0000]), 0x5f89_230e),
    ((0x0000_0001, [0xc0a8_0001, 0xc0a8_0002, 0x1234_5678]), 0xf804_c1a5),
];

#[test]
fn words_are_mixed_as_by_the_kernel() {
    for ((hash, words), expected) in JHASH {
        assert_eq!(mix(hash, words), expected, "{hash:x} {words:x?}");
    }
}
