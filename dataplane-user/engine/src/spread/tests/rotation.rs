//! Rotations: round-robin, random, and bonding's modulo.

use aggctl_common::spread::{MAX_ROTATION, Rotation, pick};

use super::*;

/// The slots of a rotation of ports with these weights.
fn of(weights: &[u8]) -> Vec<u8> {
    let members: Vec<SpreadMember> = (0..).zip(weights).map(|(slot, weight)| share(slot, *weight)).collect();
    rotation(&members, true).entries().to_vec()
}

#[test]
fn equal_ports_take_turns_in_the_order_in_which_they_joined() {
    let members = [share(5, 7), share(0, 7), share(2, 7)];
    for weighted in [true, false] {
        let rotation = rotation(&members, weighted);
        assert_eq!(rotation.entries(), [5, 0, 2]);
        assert_eq!((rotation.usable, rotation.count), (0b10_0101, 3));
        assert_eq!(rotation.slots[3..], [END; MAX_ROTATION - 3]);
    }
}

#[test]
fn weights_do_not_matter_to_bondings_modulo() {
    assert_eq!(rotation(&[share(1, 200), share(0, 1)], false).entries(), [1, 0]);
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
    let members = [SpreadMember { usable: false, ..share(0, 1) }, share(1, 1)];
    assert_eq!(rotation(&members, true).entries(), [1]);
    assert_eq!(rotation(&members[..1], true), Rotation::EMPTY);
    assert_eq!(rotation(&[], false), Rotation::EMPTY);
}

/// Every entry has a weight that asks for a longer rotation than there can be.
#[test]
fn weights_that_do_not_fit_are_met_as_closely_as_they_can_be() {
    assert_eq!(of(&[255, 254]), [0, 1]);
    assert_eq!(counts(&of(&[255, 1]))[..2], [239, 1]);
    let sixty_four: Vec<u8> = (0..64).map(|slot| if slot == 0 { 255 } else { 1 }).collect();
    assert_eq!(counts(&of(&sixty_four))[..2], [177, 1], "nobody is left out");
}

proptest! {
    /// In each stretch of the rotation, repeated, a port has its part of the turns, give or take less than two.
    #[test]
    fn turns_are_evenly_spread_over_time(
        weights in prop::collection::vec(1..=20_u8, 1..=8), start: u32, length in 1..500_u32
    ) {
        let members: Vec<SpreadMember> = (0..).zip(&weights).map(|(slot, weight)| share(slot, *weight)).collect();
        let rotation = rotation(&members, true);
        let start = start % 1_000_000;
        let taken: Vec<u8> = (start..start + length)
            .map(|number| pick(&ports(rotation.usable), &rotation, number).map_or(END, |port| port.0))
            .collect();
        let total: u32 = weights.iter().copied().map(u32::from).sum();
        for (count, weight) in counts(&taken).iter().zip(&weights) {
            let fair = f64::from(length) * f64::from(*weight) / f64::from(total);
            prop_assert!((f64::from(*count) - fair).abs() < 2.0, "{count} turns of weight {weight}, not {fair}");
        }
    }

    /// Whatever the weights, no part is further from them than half a turn in the longest rotation explains.
    #[test]
    fn parts_are_as_close_to_the_weights_as_a_cycle_allows(weights in prop::collection::vec(1..=255_u8, 1..=8)) {
        let rotation = of(&weights);
        prop_assert!(rotation.len() <= MAX_ROTATION);
        let total: u32 = weights.iter().copied().map(u32::from).sum();
        for (count, weight) in counts(&rotation).iter().zip(&weights) {
            let error = f64::from(*count) / rotation.len() as f64 - f64::from(*weight) / f64::from(total);
            prop_assert!(error.abs() <= 1.0 / MAX_ROTATION as f64, "{error} for {weight} of {total}");
        }
    }

    /// Kernel-compat: when ports fail or come back the programs answer at once as the next rotation does.
    #[test]
    fn the_rule_answers_like_the_next_cycle_of_kernel_compat(
        mut members in members(64, 1..=64),
        gone: u64,
        numbers in prop::collection::vec(any::<u32>(), 50),
    ) {
        let old = rotation(&members, false);
        for member in &mut members {
            member.usable = gone & member.id.bit() == 0;
        }
        let next = rotation(&members, false);
        for number in numbers {
            let now = ports(next.usable);
            prop_assert_eq!(pick(&now, &old, number), pick(&now, &next, number));
        }
    }

    /// Weighted: while a port is gone, its turns are left out, and the others keep their proportion.
    #[test]
    fn while_a_port_is_gone_the_others_keep_their_proportion(weights in prop::collection::vec(1..=20_u8, 2..=8)) {
        let members: Vec<SpreadMember> = (0..).zip(&weights).map(|(slot, weight)| share(slot, *weight)).collect();
        let rotation = rotation(&members, true);
        let now = ports(rotation.usable & !1);
        let round = rotation.count - counts(rotation.entries())[0];
        let taken = |number| pick(&now, &rotation, number).map_or(END, |port| port.0);
        let taken: Vec<u8> = (0..round).map(taken).collect();
        prop_assert_eq!(counts(&taken)[0], 0);
        prop_assert_eq!(&counts(&taken)[1..], &counts(rotation.entries())[1..]);
    }
}
