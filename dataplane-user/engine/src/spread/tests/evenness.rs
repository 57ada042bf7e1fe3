//! How evenly the buckets, and the flows in them, are spread. What is printed is what docs/table.md says.

use super::*;

/// Flow hashes as good as any: a multiplicative generator with a mixing step (SplitMix64's constants).
pub(super) fn hashes(count: u64) -> Vec<u32> {
    (1..=count)
        .map(|number| {
            let mut z = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (z >> 32) as u32
        })
        .collect()
}

/// The largest error of a part, in relation to that part and to the whole: ports have `counts` of `total` buckets, and
/// shall have them by `weight`.
fn errors(members: &[SpreadMember], counts: &[u32; MAX_PORTS], total: u32) -> (f64, f64) {
    let sum: u32 = members.iter().map(|member| u32::from(member.weight())).sum();
    members.iter().fold((0_f64, 0_f64), |(relative, absolute), member| {
        let shall = f64::from(member.weight()) / f64::from(sum);
        let error = (f64::from(counts[member.id.index()]) / f64::from(total) - shall).abs();
        (relative.max(error / shall), absolute.max(error))
    })
}

/// The members in the mask.
fn some(of: &[SpreadMember], mask: u64) -> Vec<SpreadMember> {
    of.iter().copied().filter(|member| mask & member.id.bit() != 0).collect()
}

/// For each number of ports, any of the first eight: the largest relative error.
fn worst(buckets: u32) -> [f64; 9] {
    let all = equal(8);
    let fallback_orders = fallback_orders(&all, buckets);
    let mut worst = [0_f64; 9];
    // Of the larger tables only some, which takes long enough where nothing is optimised.
    let step = if buckets > BUCKETS { 17 } else { 1 };
    for mask in (step..256).step_by(step as usize) {
        let error = errors(&some(&all, mask), &counts(&primaries(&fallback_orders, mask)), buckets).0;
        let ports = mask.count_ones() as usize;
        worst[ports] = worst[ports].max(error);
    }
    worst
}

/// Also what becomes of the buckets of ports that fail, since any of the eight may be missing.
#[test]
fn equal_ports_have_equal_parts() {
    for (buckets, limit) in [(256, 0.25), (1_024, 0.10), (BUCKETS, 0.025), (65_536, 0.006)] {
        let worst = worst(buckets);
        println!("{buckets} buckets: largest relative error for 2 to 8 ports {:.4?}", &worst[2..]);
        assert!(worst.iter().all(|error| *error <= limit), "{buckets} buckets: {worst:?}");
    }
    assert!(worst(1_024)[2] <= 0.015 && worst(BUCKETS)[2] <= 0.006);
}

/// The buckets that a port leaves behind go to all others alike: within what a fair lot would do in two of three cases
/// for each bucket (one standard deviation of a binomial distribution), twice that at most.
#[test]
fn the_buckets_of_a_port_that_leaves_are_spread_evenly() {
    for count in 3..=8_u8 {
        let mut largest = 0_f64;
        let members = equal(count);
        let fallback_orders = fallback_orders(&members, BUCKETS);
        let before = primaries(&fallback_orders, usable(&members));
        for gone in 0..count {
            let after = primaries(&fallback_orders, usable(&members) & !PortId(gone).bit());
            let moved: Vec<u8> =
                before.iter().zip(&after).filter(|(old, _)| **old == gone).map(|(_, new)| *new).collect();
            let (counts, others) = (counts(&moved), f64::from(count) - 1.0);
            let fair = moved.len() as f64 / others;
            for heir in (0..count).filter(|slot| *slot != gone) {
                let error = (f64::from(counts[usize::from(heir)]) - fair).abs();
                largest = largest.max(error / fair);
                let deviation = (fair * (1.0 - 1.0 / others)).sqrt();
                assert!(
                    error <= 2.0 * deviation,
                    "{count} ports: {heir} inherits {error:.0} from {gone} too many or few"
                );
            }
        }
        println!("{count} ports: heirs differ from equal parts by at most {:.1} %", largest * 100.0);
    }
}

#[test]
fn a_new_port_takes_its_part_from_all() {
    for count in 2..=7_u8 {
        let (before, after) = (table(&equal(count), BUCKETS), table(&equal(count + 1), BUCKETS));
        let taken: Vec<u8> = before.iter().zip(&after).filter(|(_, new)| **new == count).map(|(old, _)| *old).collect();
        let fair = f64::from(BUCKETS) / f64::from(count) / (f64::from(count) + 1.0);
        for from in 0..count {
            let error = (f64::from(counts(&taken)[usize::from(from)]) / fair - 1.0).abs();
            assert!(error < 0.25, "of {count} ports, {from} gives up {error} too much or little");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn parts_are_as_the_weights_say_within_two_percent(members in members(8, 1..=8)) {
        let (_, absolute) = errors(&members, &counts(&table(&members, BUCKETS)), BUCKETS);
        prop_assert!(absolute <= 0.02, "{absolute}");
    }
}

/// Not only the first slots: none of the 64 is a bad match for another.
#[test]
fn any_two_ports_have_equal_parts() {
    let fallback_orders = fallback_orders(&equal(64), BUCKETS);
    let ranks: Vec<[usize; 64]> = fallback_orders
        .iter()
        .map(|order| {
            let mut ranks = [0; 64];
            order.iter().enumerate().for_each(|(rank, slot)| ranks[usize::from(*slot)] = rank);
            ranks
        })
        .collect();
    for one in 0..64 {
        for other in 0..one {
            let first = ranks.iter().filter(|ranks| ranks[one] < ranks[other]).count();
            let error = (first as f64 / f64::from(BUCKETS) - 0.5).abs();
            assert!(error <= 0.0105, "{one} and {other}: {error}");
        }
    }
}

/// Weights as people use them, in the first slots: the error is small against the port's own part, too.
#[test]
fn usual_weights_are_met_closely() {
    let mut largest = 0_f64;
    for weights in [
        &[1, 2][..],
        &[2, 1],
        &[1, 10],
        &[10, 25],
        &[1, 1, 2],
        &[1, 2, 3],
        &[10, 1, 1],
        &[10, 25, 100],
        &[1, 2, 3, 4],
        &[10, 10, 1, 1],
        &[1, 2, 4, 8],
        &[1, 2, 3, 4, 5, 6, 7, 8],
        &[2, 2, 2, 2, 1, 1, 1, 1],
    ] {
        let members: Vec<SpreadMember> = (0..).zip(weights).map(|(slot, weight)| share(slot, *weight)).collect();
        let (relative, absolute) = errors(&members, &counts(&table(&members, BUCKETS)), BUCKETS);
        largest = largest.max(relative);
        assert!(relative <= 0.03 && absolute <= 0.004, "{weights:?}: {relative:.4} of the part, {absolute:.4} of all");
    }
    println!("usual weights: largest relative error {largest:.4}");
}

/// Random flows are spread as a fair die would: the statistic of the chi-squared test stays below the value that it
/// exceeds once in 1,000 times, plus what the buckets' own unevenness explains.
#[test]
fn random_flows_pass_the_chi_squared_test() {
    /// The 99.9 % quantiles for 1 to 7 degrees of freedom (NIST/SEMATECH e-Handbook, table 1.3.6.7.4).
    const CRITICAL: [f64; 7] = [10.828, 13.816, 16.266, 18.467, 20.515, 22.458, 24.322];
    let hashes = hashes(10_000);
    for count in 2..=8_u8 {
        let table = table(&equal(count), BUCKETS);
        let chosen: Vec<u8> =
            hashes.iter().map(|hash| table[spread::bucket(*hash, spread::shift(BUCKETS)) as usize]).collect();
        let fair = 10_000.0 / f64::from(count);
        let statistic: f64 =
            counts(&chosen)[..usize::from(count)].iter().map(|flows| (f64::from(*flows) - fair).powi(2) / fair).sum();
        println!("{count} ports: chi-squared {statistic:.1}");
        assert!(statistic < CRITICAL[usize::from(count) - 2], "{count} ports: {statistic}");
    }
}

/// Any table, also the largest with the most ports.
#[test]
fn the_largest_table_has_all_ports_in_every_row() {
    let members = equal(64);
    let fallback_orders = fallback_orders(&members, spread::MAX_BUCKETS);
    assert_eq!(fallback_orders.len(), spread::MAX_BUCKETS as usize);
    assert!(
        fallback_orders.iter().all(|order| order.iter().fold(0, |mask, slot| mask | PortId(*slot).bit()) == u64::MAX)
    );
    let (relative, _) = errors(&members, &counts(&primaries(&fallback_orders, u64::MAX)), spread::MAX_BUCKETS);
    assert!(relative < 0.1, "{relative}");
}
