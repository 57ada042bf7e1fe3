use proptest::prelude::*;

use super::*;
use crate::{Ports, seen::PortsWithLiveness};

extern crate std;
use std::vec::Vec;

fn usable(usable: u64) -> Ports {
    Ports { usable, ..Ports::EMPTY }
}

/// The rotation of these slots, made while all of them were usable.
fn of(slots: &[u8]) -> Rotation {
    let mut rotation = Rotation { count: slots.len() as u32, ..Rotation::EMPTY };
    rotation.usable = slots.iter().fold(0, |mask, slot| mask | PortId(*slot).bit());
    rotation.slots[..slots.len()].copy_from_slice(slots);
    rotation
}

fn turns(mask: u64, rotation: &Rotation, numbers: core::ops::Range<u32>) -> Vec<Option<u8>> {
    numbers.map(|number| pick(&usable(mask), rotation, number).map(|port| port.0)).collect()
}

#[test]
fn each_entry_has_its_turn_and_then_the_first_again() {
    assert_eq!(turns(0b1011, &of(&[3, 0, 1]), 0..5), [3, 0, 1, 3, 0].map(Some));
}

#[test]
fn a_port_that_is_gone_leaves_the_others_in_their_order() {
    assert_eq!(turns(0b1010, &of(&[3, 0, 1]), 0..5), [3, 1, 3, 1, 3].map(Some));
    assert_eq!(turns(0b0101, &of(&[3, 0, 1]), 0..2), [0, 0].map(Some), "one that is no member has no turn");
}

#[test]
fn without_usable_port_there_is_no_turn() {
    assert_eq!(turns(0, &of(&[3, 0, 1]), 0..2), [None, None]);
    assert_eq!(turns(0b100, &of(&[3, 0, 1]), 0..2), [None, None]);
    assert_eq!(turns(0, &Rotation::EMPTY, 0..2), [None, None]);
    assert_eq!(turns(1 << 63, &Rotation::EMPTY, 0..2), [None, None], "the mark for no port is not the last slot");
}

#[test]
fn a_length_that_cannot_be_reads_nothing_outside() {
    let rotation = Rotation { count: u32::MAX, ..of(&[0]) };
    assert_eq!(pick(&usable(1), &rotation, 0), Some(PortId(0)));
    assert_eq!(pick(&usable(1), &rotation, MAX_ROTATION as u32), None);
    assert_eq!(rotation.entries().len(), MAX_ROTATION);
}

#[test]
fn the_turns_of_dead_ports_go_to_those_that_are_alive() {
    let mut ports = Ports { usable: 0b1011, count: 3, ..Ports::EMPTY };
    ports.order[..3].copy_from_slice(&[0, 1, 3]);
    let rotation = of(&[3, 0, 1]);
    let turns =
        |alive| [0, 1, 2].map(|number| pick(&PortsWithLiveness { ports, alive }, &rotation, number).map(|port| port.0));
    assert_eq!(turns(0b1011), [3, 0, 1].map(Some));
    assert_eq!(turns(0b1010), [3, 1, 1].map(Some), "only the turns of the dead one move");
    assert_eq!(turns(0b0001), [0, 0, 0].map(Some));
    assert_eq!(turns(0), [3, 0, 1].map(Some), "none is alive: the rotation alone decides");
}

proptest! {
    #[test]
    fn the_turn_is_that_of_a_cycle_of_the_entries_that_remain(
        slots in prop::collection::vec(0_u8..64, 1..=MAX_ROTATION),
        mask: u64,
        numbers in prop::collection::vec(any::<u32>(), 20),
    ) {
        let left: Vec<u8> = slots.iter().copied().filter(|slot| mask >> slot & 1 == 1).collect();
        let (rotation, next) = (of(&slots), of(&left));
        for number in numbers {
            prop_assert_eq!(pick(&usable(mask), &rotation, number), pick(&usable(next.usable), &next, number));
        }
    }
}
