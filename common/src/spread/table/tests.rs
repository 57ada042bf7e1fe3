use core::cell::Cell;

use proptest::prelude::*;

use super::*;
use crate::{Ports, seen::PortsWithLiveness, spread::MIN_BUCKETS};

extern crate std;
use std::vec::Vec;

/// A table of one order, which counts how often its order is read.
struct One {
    primary: u8,
    order: Vec<u8>,
    reads: Cell<usize>,
}

impl One {
    fn new(primary: u8, order: &[u8]) -> Self {
        Self { primary, order: order.to_vec(), reads: Cell::new(0) }
    }
}

impl TableView for One {
    fn primary(&self, _: u32) -> u8 {
        self.primary
    }

    fn fallback(&self, _: u32, position: usize) -> u8 {
        assert!(position < MAX_FALLBACKS);
        self.reads.set(self.reads.get() + 1);
        self.order.get(position).copied().unwrap_or(END)
    }
}

fn usable(usable: u64) -> Ports {
    Ports { usable, ..Ports::EMPTY }
}

#[test]
fn the_primary_is_taken_without_a_look_at_the_row() {
    let table = One::new(2, &[0, 1, 2]);
    assert_eq!(choose(&usable(0b111), &table, 0), Some(PortId(2)));
    assert_eq!(table.reads.get(), 0);
}

#[test]
fn an_unusable_primary_gives_way_to_the_first_usable_port_of_the_row() {
    let table = One::new(2, &[2, 0, 1]);
    assert_eq!(choose(&usable(0b011), &table, 0), Some(PortId(0)));
    assert_eq!(choose(&usable(0b010), &table, 0), Some(PortId(1)));
}

#[test]
fn without_a_usable_port_in_the_row_there_is_none() {
    let table = One::new(2, &[2, 0, 1]);
    assert_eq!(choose(&usable(0), &table, 0), None);
    assert_eq!(choose(&usable(0b1000), &table, 0), None, "a port that is no member of the table");
}

#[test]
fn the_mark_for_no_port_is_not_the_last_slot() {
    assert_eq!(choose(&usable(1 << 63), &One::new(END, &[]), MIN_BUCKETS - 1), None);
    assert_eq!(choose(&usable(1 << 63), &One::new(END, &[63]), 0), Some(PortId(63)));
}

#[test]
fn a_dead_primary_gives_way_to_the_first_of_the_row_that_is_alive() {
    let mut ports = Ports { usable: 0b111, count: 3, ..Ports::EMPTY };
    ports.order[..3].copy_from_slice(&[0, 1, 2]);
    let table = One::new(2, &[2, 0, 1]);
    let choose = |alive| choose(&PortsWithLiveness { ports, alive }, &table, 0);
    assert_eq!(choose(0b111), Some(PortId(2)));
    assert_eq!(table.reads.get(), 0, "the row is not looked at");
    assert_eq!(choose(0b011), Some(PortId(0)));
    assert_eq!(choose(0b010), Some(PortId(1)));
    assert_eq!(choose(0b110), Some(PortId(2)));
    assert_eq!(choose(0), Some(PortId(2)), "none is alive: the table alone decides");
}

proptest! {
    /// For any order and any ports: the primary, else the first usable one, and never a port that is not usable.
    #[test]
    fn the_first_usable_port_is_chosen(
        order in prop::sample::subsequence((0..64).collect::<Vec<u8>>(), 1..=64).prop_shuffle(),
        first: prop::sample::Index,
        mask: u64,
    ) {
        let primary = order[first.index(order.len())];
        let chosen = choose(&usable(mask), &One::new(primary, &order), 7).map(|port| port.0);
        let is_usable = |slot: &u8| mask >> slot & 1 == 1;
        let expected = Some(primary).filter(is_usable).or_else(|| order.iter().copied().find(is_usable));
        prop_assert_eq!(chosen, expected);
    }
}
