//! The ports in turn.

use aggctl_common::spread::{Cycle, TURNS};

use super::Share;

/// The cycle of those of `members` that are usable; `members` are in the order in which they joined, at most
/// [`aggctl_common::MAX_PORTS`].
///
/// Not `weighted`: each port once, in that order, as bonding has it. Weighted: each as often as its weight says,
/// interleaved, so that a port's turns lie as far apart as they can. If that takes more than [`TURNS`] entries, then the
/// length is taken at which the parts of the traffic come closest to those that the weights ask for.
#[must_use]
pub fn cycle(members: &[Share], weighted: bool) -> Cycle {
    let ports: Vec<&Share> = members.iter().filter(|member| member.usable).collect();
    let turns = if weighted {
        turns(&ports.iter().map(|port| u64::from(port.weight())).collect::<Vec<_>>())
    } else {
        vec![1; ports.len()]
    };
    let mut cycle = Cycle { usable: ports.iter().fold(0, |mask, port| mask | port.id.bit()), ..Cycle::EMPTY };
    for (slot, port) in cycle.slots.iter_mut().zip(interleaved(&turns)) {
        *slot = ports[port].id.0;
        cycle.count += 1;
    }
    cycle
}

/// How often each port has a turn: the shortest cycle of at most [`TURNS`] whose largest error is the smallest.
///
/// Starting with a turn for each, the next one always goes to the port that is furthest behind its weight (Webster's
/// method of apportionment), which gives the best numbers for each length in passing.
fn turns(weights: &[u64]) -> Vec<u64> {
    let total: u64 = weights.iter().sum();
    let mut turns = vec![1; weights.len()];
    let mut best = (turns.clone(), error(weights, &turns, total));
    for _ in weights.len()..TURNS {
        let ahead =
            |one: usize, other: usize| weights[one] * (2 * turns[other] + 1) >= weights[other] * (2 * turns[one] + 1);
        let Some(next) = (0..weights.len()).reduce(|one, other| if ahead(one, other) { one } else { other }) else {
            break;
        };
        turns[next] += 1;
        let error = error(weights, &turns, total);
        // As fractions of integers, lest rounding prefer a longer cycle that is no better.
        if error.0 * best.1.1 < best.1.0 * error.1 {
            best = (turns.clone(), error);
        }
    }
    best.0
}

/// The largest difference between the part of the traffic that a port has and the one that it shall have, times
/// `total`, as numerator and denominator.
fn error(weights: &[u64], turns: &[u64], total: u64) -> (u64, u64) {
    let length = turns.iter().sum();
    let errors = weights.iter().zip(turns).map(|(weight, turns)| (turns * total).abs_diff(weight * length));
    (errors.max().unwrap_or(0), length)
}

/// The ports in an order in which each has so many turns, spread out.
///
/// Every turn earns each port its own number of turns as credit; the port with the most pays for all. Ties go to the
/// one that joined first, so ports that are equal take turns in the order in which they joined.
fn interleaved(turns: &[u64]) -> Vec<usize> {
    let length: u64 = turns.iter().sum();
    let mut paid = vec![0; turns.len()];
    (1..=length)
        .filter_map(|turn| {
            let credit = |port: usize| (turn * turns[port]).cast_signed() - (paid[port] * length).cast_signed();
            let richest = (0..turns.len()).reduce(|one, other| if credit(one) >= credit(other) { one } else { other });
            richest.inspect(|port| paid[*port] += 1)
        })
        .collect()
}
