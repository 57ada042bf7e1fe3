//! The ports in turn.

use aggctl_common::spread::{MAX_ROTATION, Rotation};

use super::SpreadMember;

/// The rotation of those of `members` that are usable; `members` are in the order in which they joined, at most
/// [`aggctl_common::MAX_PORTS`].
///
/// Not `weighted`: each port once, in that order, as bonding has it. Weighted: each as often as its weight says,
/// interleaved, so that a port's turns lie as far apart as they can. If that takes more than [`MAX_ROTATION`] entries,
/// then the length is taken at which the parts of the traffic come closest to those that the weights ask for.
#[must_use]
pub fn rotation(members: &[SpreadMember], weighted: bool) -> Rotation {
    let ports: Vec<&SpreadMember> = members.iter().filter(|member| member.usable).collect();
    let counts = if weighted {
        counts(&ports.iter().map(|port| u64::from(port.weight())).collect::<Vec<_>>())
    } else {
        vec![1; ports.len()]
    };
    let mut rotation = Rotation { usable: ports.iter().fold(0, |mask, port| mask | port.id.bit()), ..Rotation::EMPTY };
    for (slot, port) in rotation.slots.iter_mut().zip(interleaved(&counts)) {
        *slot = ports[port].id.0;
        rotation.count += 1;
    }
    rotation
}

/// How often each port has a turn: the shortest rotation of at most [`MAX_ROTATION`] whose largest error is the
/// smallest.
///
/// Starting with a turn for each, the next one always goes to the port that is furthest behind its weight (Webster's
/// method of apportionment), which gives the best numbers for each length in passing.
fn counts(weights: &[u64]) -> Vec<u64> {
    let total: u64 = weights.iter().sum();
    let mut counts = vec![1; weights.len()];
    let mut best = (counts.clone(), error(weights, &counts, total));
    for _ in weights.len()..MAX_ROTATION {
        let ahead =
            |one: usize, other: usize| weights[one] * (2 * counts[other] + 1) >= weights[other] * (2 * counts[one] + 1);
        let Some(next) = (0..weights.len()).reduce(|one, other| if ahead(one, other) { one } else { other }) else {
            break;
        };
        counts[next] += 1;
        let error = error(weights, &counts, total);
        // As fractions of integers, lest rounding prefer a longer rotation that is no better.
        if error.0 * best.1.1 < best.1.0 * error.1 {
            best = (counts.clone(), error);
        }
    }
    best.0
}

/// The largest difference between the part of the traffic that a port has and the one that it shall have, times
/// `total`, as numerator and denominator.
fn error(weights: &[u64], counts: &[u64], total: u64) -> (u64, u64) {
    let length = counts.iter().sum();
    let errors = weights.iter().zip(counts).map(|(weight, counts)| (counts * total).abs_diff(weight * length));
    (errors.max().unwrap_or(0), length)
}

/// The ports in an order in which each has so many turns, spread out.
///
/// Every turn earns each port its own count as credit; the port with the most pays for all. Ties go to the
/// one that joined first, so ports that are equal take turns in the order in which they joined.
fn interleaved(counts: &[u64]) -> Vec<usize> {
    let length: u64 = counts.iter().sum();
    let mut paid = vec![0; counts.len()];
    (1..=length)
        .filter_map(|turn| {
            let credit = |port: usize| (turn * counts[port]).cast_signed() - (paid[port] * length).cast_signed();
            let richest = (0..counts.len()).reduce(|one, other| if credit(one) >= credit(other) { one } else { other });
            richest.inspect(|port| paid[*port] += 1)
        })
        .collect()
}
