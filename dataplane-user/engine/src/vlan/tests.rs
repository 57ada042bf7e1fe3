use aggctl_common::Mac;
use proptest::prelude::*;

use super::*;
use crate::{
    announce::learning,
    tag::{Tag, tagged},
};

const SERVICE: u16 = vlan::SERVICE;

fn config(text: &str) -> VlanConfig {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn ranges_are_merged_and_sorted_in_output() {
    for (text, printed) in [
        ("off", "off"),
        ("access=1", "access=1"),
        ("access=4094", "access=4094"),
        ("access=010", "access=10"),
        ("trunk=10", "trunk=10"),
        ("trunk=20-22,10,1-3", "trunk=1-3,10,20-22"),
        ("trunk=1,2,3,3-5,7,6", "trunk=1-7"),
        ("trunk=1-4094", "trunk=1-4094"),
        ("trunk=63-65,native=5", "trunk=63-65,native=5"),
        ("trunk=native=5,63", "trunk=63,native=5"),
        ("trunk=4-6,native=5", "trunk=4-6,native=5"),
    ] {
        assert_eq!(config(text).to_string(), printed);
    }
}

#[test]
fn what_is_wrong_is_said() {
    let number = |text: &str| InvalidVlan::Number(text.into());
    let unknown = |text: &str| InvalidVlan::Unknown(text.into());
    for (text, error) in [
        ("", unknown("")),
        ("on", unknown("on")),
        ("access", unknown("access")),
        ("access=", number("")),
        ("access=0", number("0")),
        ("access=4095", number("4095")),
        ("access=+5", number("+5")),
        ("access=70000", number("70000")),
        ("access=1,2", number("1,2")),
        ("access=5,native=6", number("5,native=6")),
        ("trunk=", InvalidVlan::Empty),
        ("trunk=native=5", InvalidVlan::Empty),
        ("trunk=1,,2", number("")),
        ("trunk=1-", number("")),
        ("trunk=-3", number("")),
        ("trunk=1-2-3", number("2-3")),
        ("trunk=0-3", number("0")),
        ("trunk=1-4095", number("4095")),
        ("trunk=5-4", InvalidVlan::Backwards("5-4".into())),
        ("trunk=1,native=0", number("0")),
        ("trunk=1,native=2,native=3", InvalidVlan::SecondNative("native=3".into())),
        ("trunk=1,priority=2", unknown("priority=2")),
    ] {
        assert_eq!(text.parse::<VlanConfig>(), Err(error), "{text}");
    }
}

#[test]
fn errors_name_the_part_and_what_would_be_right() {
    let message = |text: &str| text.parse::<VlanConfig>().unwrap_err().to_string();
    assert_eq!(message("trunk=1-3,x"), "'x' is no VLAN (1 to 4094)");
    assert_eq!(message("trunk=9-3"), "'9-3' is no range of VLANs: its end comes before its beginning");
}

fn untagged() -> Vec<u8> {
    learning(Mac([2, 0, 0, 0, 0, 1]))
}

fn with(tags: &[(u16, u16)]) -> Vec<u8> {
    let tags = tags.iter().map(|(protocol, vlan)| Tag { protocol: *protocol, vlan: VlanId(*vlan) });
    tagged(&untagged(), &tags.collect::<Vec<_>>())
}

#[test]
fn announcements_have_the_tag_of_the_wire() {
    let frame = || with(&[(CUSTOMER, 7)]);
    for (rule, on_host, on_wire) in [
        ("off", untagged(), Some(untagged())),
        ("off", frame(), Some(frame())),
        ("access=7", untagged(), Some(frame())),
        ("access=7", frame(), None),
        ("access=7", with(&[(CUSTOMER, 0xa000)]), Some(with(&[(CUSTOMER, 0xa007)]))),
        ("access=7", with(&[(SERVICE, 0xa000), (CUSTOMER, 3)]), Some(with(&[(CUSTOMER, 0xa007), (CUSTOMER, 3)]))),
        ("trunk=7-9", untagged(), None),
        ("trunk=7-9", frame(), Some(frame())),
        ("trunk=8-9", frame(), None),
        ("trunk=8-9,native=7", frame(), Some(untagged())),
        ("trunk=8-9,native=7", untagged(), None),
        ("trunk=7", with(&[(SERVICE, 7), (CUSTOMER, 9)]), Some(with(&[(SERVICE, 7), (CUSTOMER, 9)]))),
        ("trunk=8,native=7", with(&[(SERVICE, 7), (CUSTOMER, 9)]), Some(with(&[(CUSTOMER, 9)]))),
    ] {
        assert_eq!(config(rule).on_wire(on_host.clone()), on_wire, "{rule}: {on_host:x?}");
    }
}

#[test]
fn control_frames_are_never_touched() {
    for mut frame in [untagged(), with(&[(CUSTOMER, 7)])] {
        frame[..6].copy_from_slice(&[0x01, 0x80, 0xc2, 0, 0, 0x0e]);
        for rule in ["off", "access=7", "trunk=8", "trunk=8,native=7"] {
            assert_eq!(config(rule).on_wire(frame.clone()), Some(frame.clone()), "{rule}");
        }
    }
}

#[test]
fn what_is_no_frame_is_not_sent() {
    for length in 0..14 {
        assert_eq!(config("access=7").on_wire(vec![2; length]), None, "{length}");
    }
}

proptest! {
    #[test]
    fn a_list_has_what_was_written_and_is_read_back(
        ranges in proptest::collection::vec((1..=4094_u16, 0..300_u16), 1..20),
        native in proptest::option::of(1..=4094_u16)
    ) {
        let ranges: Vec<_> = ranges.into_iter().map(|(first, more)| (first, (first + more).min(4094))).collect();
        let texts: Vec<_> = ranges.iter().map(|(first, last)| format!("{first}-{last}")).collect();
        let list: VlanList = texts.join(",").parse().unwrap();
        for vid in 0..=5000 {
            let expected = ranges.iter().any(|(first, last)| (*first..=*last).contains(&vid));
            prop_assert_eq!(list.contains(VlanId(vid)), expected, "{}", vid);
        }
        for pair in list.ranges().windows(2) {
            prop_assert!(pair[0].0 <= pair[0].1 && pair[0].1 + 1 < pair[1].0);
        }
        let config = VlanConfig::Trunk { list, native: native.map(VlanId) };
        prop_assert_eq!(config.to_string().parse(), Ok(config));
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "(access=|trunk=|native=|[-,0-9a]){0,8}") {
        let _ = text.parse::<VlanConfig>();
    }

    #[test]
    fn no_octets_make_the_rule_panic(frame in proptest::collection::vec(any::<u8>(), 0..40)) {
        for rule in ["off", "access=7", "trunk=1-4094,native=7"] {
            let _ = config(rule).on_wire(frame.clone());
        }
    }

    #[test]
    fn nothing_but_the_tag_changes(mut frame in proptest::collection::vec(any::<u8>(), 18..60), tagged: bool) {
        if tagged {
            frame[12..14].copy_from_slice(&CUSTOMER.to_be_bytes());
        }
        for rule in ["access=7", "trunk=1-4094,native=7"] {
            if let Some(wire) = config(rule).on_wire(frame.clone()) {
                prop_assert_eq!(&wire[..12], &frame[..12]);
                prop_assert!(wire.ends_with(&frame[18..]));
                prop_assert!(wire.len().abs_diff(frame.len()) <= 4);
            }
        }
    }
}
