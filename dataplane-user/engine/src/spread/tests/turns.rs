//! Cycles: round-robin, random, and bonding's modulo.

use aggctl_common::spread::{Cycle, TURNS, turn};

use super::*;

/// The slots of a cycle of ports with these weights.
fn of(weights: &[u8]) -> Vec<u8> {
    let members: Vec<Share> = (0..).zip(weights).map(|(slot, weight)| share(slot, *weight)).collect();
    cycle(&members, true).turns().to_vec()
}

#[test]
fn equal_ports_take_turns_in_the_order_in_which_they_joined() {
    let members = [share(5, 7), share(0, 7), share(2, 7)];
    for weighted in [true, false] {
        let cycle = cycle(&members, weighted);
        assert_eq!(cycle.turns(), [5, 0, 2]);
        assert_eq!((cycle.usable, cycle.count), (0b10_0101, 3));
        assert_eq!(cycle.slots[3..], [END; TURNS - 3]);
    }
}

#[test]
fn weights_do_not_matter_to_bondings_modulo() {
    assert_eq!(cycle(&[share(1, 200), share(0, 1)], false).turns(), [1, 0]);
}

#[test]
fn turns_of_a_heavy_port_are_interleaved_with_those_of_the_others() {
    assert_eq!(of(&[2, 1]), [0, 1, 0]);
    assert_eq!(of(&[1, 2]), [1, 0, 1]);
    assert_eq!(of(&[5, 1, 1]), [0, 0, 1, 0, 2, 0, 0]);
    assert_eq!(of(&[30, 10, 10]), of(&[3, 1, 1]), "as short as it can be");
}

#[test]
fn unusable_ports_have_no_turn() {
    let members = [Share { usable: false, ..share(0, 1) }, share(1, 1)];
    assert_eq!(cycle(&members, true).turns(), [1]);
    assert_eq!(cycle(&members[..1], true), Cycle::EMPTY);
    assert_eq!(cycle(&[], false), Cycle::EMPTY);
}

/// Every entry has a weight that asks for a longer cycle than there can be.
#[test]
fn weights_that_do_not_fit_are_met_as_closely_as_they_can_be() {
    assert_eq!(of(&[255, 254]), [0, 1]);
    assert_eq!(counts(&of(&[255, 1]))[..2], [239, 1]);
    let sixty_four: Vec<u8> = (0..64).map(|slot| if slot == 0 { 255 } else { 1 }).collect();
    assert_eq!(counts(&of(&sixty_four))[..2], [177, 1], "nobody is left out");
}

proptest! {
    /// In each stretch of the cycle, repeated, a port has its part of the turns, give or take less than two.
    #[test]
    fn turns_are_evenly_spread_over_time(weights in prop::collection::vec(1..=20_u8, 1..=8), start: u32, length in 1..500_u32) {
        let members: Vec<Share> = (0..).zip(&weights).map(|(slot, weight)| share(slot, *weight)).collect();
        let cycle = cycle(&members, true);
        let start = start % 1_000_000;
        let taken: Vec<u8> = (start..start + length)
            .map(|number| turn(&ports(cycle.usable), &cycle, number).map_or(END, |port| port.0))
            .collect();
        let total: u32 = weights.iter().copied().map(u32::from).sum();
        for (count, weight) in counts(&taken).iter().zip(&weights) {
            let fair = f64::from(length) * f64::from(*weight) / f64::from(total);
            prop_assert!((f64::from(*count) - fair).abs() < 2.0, "{count} turns of weight {weight}, not {fair}");
        }
    }

    /// Whatever the weights, no part is further from them than half a turn in the longest cycle explains.
    #[test]
    fn parts_are_as_close_to_the_weights_as_a_cycle_allows(weights in prop::collection::vec(1..=255_u8, 1..=8)) {
        let cycle = of(&weights);
        prop_assert!(cycle.len() <= TURNS);
        let total: u32 = weights.iter().copied().map(u32::from).sum();
        for (count, weight) in counts(&cycle).iter().zip(&weights) {
            let error = f64::from(*count) / cycle.len() as f64 - f64::from(*weight) / f64::from(total);
            prop_assert!(error.abs() <= 1.0 / TURNS as f64, "{error} for {weight} of {total}");
        }
    }

    /// Kernel-compat: when ports fail or come back the programs answer at once as the next cycle does.
    #[test]
    fn the_rule_answers_like_the_next_cycle_of_kernel_compat(
        mut members in members(64, 1..=64),
        gone: u64,
        numbers in prop::collection::vec(any::<u32>(), 50),
    ) {
        let old = cycle(&members, false);
        for member in &mut members {
            member.usable = gone & member.id.bit() == 0;
        }
        let next = cycle(&members, false);
        for number in numbers {
            let now = ports(next.usable);
            prop_assert_eq!(turn(&now, &old, number), turn(&now, &next, number));
        }
    }

    /// Weighted: while a port is gone, its turns are left out, and the others keep their proportion.
    #[test]
    fn while_a_port_is_gone_the_others_keep_their_proportion(weights in prop::collection::vec(1..=20_u8, 2..=8)) {
        let members: Vec<Share> = (0..).zip(&weights).map(|(slot, weight)| share(slot, *weight)).collect();
        let cycle = cycle(&members, true);
        let now = ports(cycle.usable & !1);
        let round = cycle.count - counts(cycle.turns())[0];
        let taken: Vec<u8> = (0..round).map(|number| turn(&now, &cycle, number).map_or(END, |port| port.0)).collect();
        prop_assert_eq!(counts(&taken)[0], 0);
        prop_assert_eq!(&counts(&taken)[1..], &counts(cycle.turns())[1..]);
    }
}
