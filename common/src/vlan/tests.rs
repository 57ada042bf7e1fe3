use proptest::prelude::*;

use super::*;

extern crate std;
use std::{vec, vec::Vec};

const PRIORITY: u16 = 0xb000;

fn list(vlans: impl IntoIterator<Item = u16>) -> [u64; Globals::WORDS] {
    let mut list = [0; Globals::WORDS];
    for vid in vlans {
        list[usize::from(vid / 64)] |= 1 << (vid % 64);
    }
    list
}

fn tag(vid: u16) -> Option<OuterTag> {
    Some(OuterTag::new(CUSTOMER, PRIORITY | vid))
}

fn trunk(vlans: &[u16], native: Option<u16>) -> VlanRule<[u64; Globals::WORDS]> {
    VlanRule::Trunk { list: list(vlans.iter().copied()), native: native.map(VlanId) }
}

/// One row of docs/vlan.md: rule, tag, what happens on the way out, what on the way in.
type Row = (VlanRule<[u64; Globals::WORDS]>, Option<OuterTag>, Option<TagChange>, Option<TagChange>);

#[test]
fn the_table_of_the_documentation() {
    let access = VlanRule::Access(VlanId(10));
    let (plain, native) = (trunk(&[20, 21], None), trunk(&[20, 21], Some(30)));
    let retag = |vid| Some(TagChange::Retag(PRIORITY | vid));
    let rows: Vec<Row> = vec![
        (VlanRule::Off, None, Some(TagChange::Keep), Some(TagChange::Keep)),
        (VlanRule::Off, tag(0), Some(TagChange::Keep), Some(TagChange::Keep)),
        (VlanRule::Off, tag(10), Some(TagChange::Keep), Some(TagChange::Keep)),
        (access, None, Some(TagChange::Push(10)), None),
        (access, tag(0), retag(10), None),
        (access, tag(10), None, Some(TagChange::Pop)),
        (access, tag(11), None, None),
        (plain, None, None, None),
        (plain, tag(0), None, None),
        (plain, tag(20), Some(TagChange::Keep), Some(TagChange::Keep)),
        (plain, tag(22), None, None),
        (native, None, None, Some(TagChange::Push(30))),
        (native, tag(0), None, retag(30)),
        (native, tag(30), Some(TagChange::Pop), Some(TagChange::Keep)),
        (native, tag(21), Some(TagChange::Keep), Some(TagChange::Keep)),
        (native, tag(31), None, None),
    ];
    for (rule, tag, out, back) in rows {
        assert_eq!(on_send(&rule, tag), out.ok_or(DropReason::Vlan), "out: {tag:?}, {rule:?}");
        assert_eq!(on_receive(&rule, tag), back.ok_or(DropReason::Vlan), "in: {tag:?}, {rule:?}");
    }
}

/// The tags of a frame, the outermost first, after a change.
fn changed(change: TagChange, tag: Option<OuterTag>) -> Option<OuterTag> {
    match change {
        TagChange::Keep => tag,
        TagChange::Pop => {
            assert!(tag.is_some(), "nothing to take away");
            None
        }
        TagChange::Push(tci) => {
            assert!(tag.is_none(), "a second tag");
            Some(OuterTag::new(CUSTOMER, tci))
        }
        TagChange::Retag(tci) => {
            assert!(tag.is_some(), "nothing to replace");
            Some(OuterTag::new(CUSTOMER, tci))
        }
    }
}

fn every_tag() -> impl Iterator<Item = Option<OuterTag>> {
    let tags =
        [CUSTOMER, SERVICE].into_iter().flat_map(|tpid| (0..=u16::MAX).map(move |tci| Some(OuterTag::new(tpid, tci))));
    tags.chain([None])
}

fn vid(tag: Option<OuterTag>) -> u16 {
    tag.map_or(0, |tag| tag.vid().0)
}

#[test]
fn an_access_aggregate_sends_its_vlan_and_nothing_else() {
    let rule: VlanRule<[u64; Globals::WORDS]> = VlanRule::Access(VlanId(10));
    for tag in every_tag() {
        match on_send(&rule, tag) {
            Ok(change) => {
                let wire = changed(change, tag);
                assert_eq!((vid(tag), vid(wire)), (0, 10));
                let priority = |tag: Option<OuterTag>| tag.map_or(0, |tag| tag.tci() & 0xf000);
                assert_eq!(priority(wire), priority(tag));
                assert_eq!(wire.unwrap().tpid(), CUSTOMER);
            }
            Err(reason) => assert!(reason == DropReason::Vlan && vid(tag) != 0),
        }
        match on_receive(&rule, tag) {
            Ok(change) => assert_eq!((vid(tag), changed(change, tag)), (10, None)),
            Err(reason) => assert!(reason == DropReason::Vlan && vid(tag) != 10),
        }
    }
}

#[test]
fn a_trunk_passes_its_vlans_as_they_are() {
    for rule in [trunk(&[1, 64, 100, 4094], None), trunk(&[1, 64, 100, 4094], Some(7))] {
        for tag in every_tag() {
            let member = [1, 64, 100, 4094].contains(&vid(tag));
            for decision in [on_send(&rule, tag), on_receive(&rule, tag)] {
                match decision {
                    Ok(TagChange::Keep) if member => {}
                    decided => assert!(!member && (vid(tag) == 7 || decided != Ok(TagChange::Keep)), "{tag:?}"),
                }
            }
        }
    }
}

#[test]
fn only_the_native_vlan_is_untagged_on_the_wire() {
    let rule = trunk(&[1, 64], Some(7));
    for tag in every_tag() {
        let out = on_send(&rule, tag).map(|change| vid(changed(change, tag)));
        let back = on_receive(&rule, tag).map(|change| changed(change, tag));
        match vid(tag) {
            0 => {
                assert_eq!(out, Err(DropReason::Vlan));
                let priority = tag.map_or(0, |tag| tag.tci() & 0xf000);
                assert_eq!(back, Ok(Some(OuterTag::new(CUSTOMER, priority | 7))));
            }
            7 => assert_eq!((out, back), (Ok(0), Ok(tag))),
            _ => {}
        }
    }
}

#[test]
fn a_native_vlan_that_is_also_listed_is_still_untagged_on_the_wire() {
    let rule = trunk(&[7, 8], Some(7));
    assert_eq!(on_send(&rule, tag(7)), Ok(TagChange::Pop));
    assert_eq!(on_receive(&rule, None), Ok(TagChange::Push(7)));
}

#[test]
fn the_reserved_numbers_are_in_no_list() {
    let rule = VlanRule::Trunk { list: [u64::MAX; Globals::WORDS], native: None };
    for reserved in [0, 4095] {
        assert_eq!(
            (on_send(&rule, tag(reserved)), on_receive(&rule, tag(reserved))),
            (Err(DropReason::Vlan), Err(DropReason::Vlan))
        );
    }
}

#[test]
fn a_tag_is_read_from_its_place_in_the_frame() {
    let mut frame = vec![0; 18];
    let of = |frame: &[u8]| {
        OuterTag::in_band(|at| frame.get(at..at + 2).map(|octets| u16::from_be_bytes(octets.try_into().unwrap())))
    };
    assert_eq!(of(&frame), Ok(None));
    for (octets, tpid) in [([0x81, 0x00], CUSTOMER), ([0x88, 0xa8], SERVICE)] {
        frame[12..14].copy_from_slice(&octets);
        frame[14..16].copy_from_slice(&[0xbf, 0xfe]);
        let tag = of(&frame).unwrap().unwrap();
        assert_eq!((tag, tag.vid()), (OuterTag::new(tpid, 0xbffe), VlanId::MAX));
        for short in 0..16 {
            assert_eq!(of(&frame[..short]), Err(DropReason::Malformed), "{short} octets");
        }
    }
    frame[12..14].copy_from_slice(&[0x08, 0x00]);
    assert_eq!((of(&frame[..14]), of(&frame[..13])), (Ok(None), Err(DropReason::Malformed)));
}

#[test]
fn globals_stand_for_a_rule() {
    assert_eq!(Globals::default().rule(), VlanRule::Off);
    let globals = Globals { mode: Globals::ACCESS, vid: 10, ..Globals::default() };
    assert_eq!(globals.rule(), VlanRule::Access(VlanId(10)));
    let globals = Globals { mode: Globals::TRUNK, vid: 0, list: list([3]) };
    assert_eq!(globals.rule(), VlanRule::Trunk { list: &globals.list, native: None });
    let globals = Globals { vid: 9, ..globals };
    assert_eq!(globals.rule(), VlanRule::Trunk { list: &globals.list, native: Some(VlanId(9)) });
    assert_eq!(Globals { mode: 3, ..globals }.rule(), VlanRule::Off);
}

fn any_rule() -> impl Strategy<Value = Globals> {
    (0..4_u32, any::<u32>(), any::<[u64; 32]>(), any::<[u64; 32]>()).prop_map(|(mode, vid, low, high)| {
        let mut list = [0; Globals::WORDS];
        list[..32].copy_from_slice(&low);
        list[32..].copy_from_slice(&high);
        Globals { mode, vid, list }
    })
}

proptest! {
    #[test]
    fn what_goes_out_is_received_by_an_aggregate_with_the_same_rule(
        globals in any_rule(), tag in proptest::option::of((prop_oneof![Just(CUSTOMER), Just(SERVICE)], any::<u16>()))
    ) {
        let rule = globals.rule();
        let tag = tag.map(|(tpid, tci)| OuterTag::new(tpid, tci));
        if let Ok(change) = on_send(&rule, tag) {
            let wire = changed(change, tag);
            let back = on_receive(&rule, wire).map(|change| changed(change, wire));
            // Without a VLAN on this side the frame comes back untagged, else in the same one.
            prop_assert_eq!(back.map(vid), Ok(vid(tag)));
        }
    }
}
