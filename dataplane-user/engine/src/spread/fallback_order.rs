//! For each bucket, the order in which the ports have a claim on it.
//!
//! Weighted rendezvous hashing (Thaler and Ravishankar 1998; the weights as in Schindelhauer and Schomaker 2005): each
//! port draws for each bucket a number x between 0 and 1 that nothing but the bucket and the port's slot decide, and
//! scores -ln(x) / weight; the smallest score comes first. The scores are exponentially distributed with the weight as
//! their rate, so each port is first in a part of the buckets that is its part of all weights, and the same holds for
//! any of the ports alone: that spreads the buckets of a port that fails evenly, too. As a score depends on no other
//! port, a member that comes or goes is put in or taken out of each order, and moves nothing else.
//!
//! With random numbers the parts would be as uneven as any random sample: at 4,096 buckets and 8 ports one of them
//! would have 10 % too much. The numbers are the coordinates of a Sobol sequence instead (bucket: number of the point,
//! slot: dimension; Owen-scrambled, since the plain one is regular in a way that shows), whose first 2^n points fill
//! the cube far more evenly, and so every region of it for which one port is the first. Measured: 3 to 4 times.

use aggctl_common::spread::{END, MAX_BUCKETS, MAX_FALLBACKS};
use sobol_burley::sample;

use super::SpreadMember;

/// Which of the scramblings. Another one is another table: every upgrade would move flows. Of 20,000 that were tried
/// it is one of the most even ones for the first eight slots, any of them usable, with equal and with other weights.
const SCRAMBLING: u32 = 459;

/// The dimension of each slot. Some pairs of dimensions are no more even than random numbers, or less, as long as there
/// are no more than a few thousand points; these are the first 64 dimensions of which no two ports, with weights
/// between 1:10 and 10:1, miss their parts of 4,096 buckets by more than 1.05 % of all.
#[rustfmt::skip]
const DIMENSIONS: [u8; MAX_FALLBACKS] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
    16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31,
    32, 33, 34, 35, 36, 37, 40, 41, 42, 43, 44, 48, 49, 55, 56, 74,
    80, 81, 82, 92, 96, 101, 102, 104, 113, 118, 137, 139, 143, 144, 168, 172,
];

/// The sequence gives multiples of 2^-23, from 0; half a step more, and the logarithm is neither infinite nor zero.
const HALF_STEP: f64 = 1.0 / (1 << 24) as f64;

/// The low bits of a score that give way to the slot.
const SLOT: u64 = MAX_FALLBACKS as u64 - 1;

/// The order of each bucket: the slots of all members, usable or not, the one with the best claim first, then
/// [`END`]. `buckets` is a size of which [`aggctl_common::spread::is_table_size`] is true; more than [`MAX_BUCKETS`]
/// count as so many. The order of `members`, at most [`MAX_FALLBACKS`], does not matter.
#[must_use]
pub fn fallback_orders(members: &[SpreadMember], buckets: u32) -> Vec<[u8; MAX_FALLBACKS]> {
    (0..buckets.min(MAX_BUCKETS)).map(|bucket| order(members, bucket)).collect()
}

/// The order of one bucket.
fn order(members: &[SpreadMember], bucket: u32) -> [u8; MAX_FALLBACKS] {
    let mut claims = [u64::MAX; MAX_FALLBACKS];
    for (claim, member) in claims.iter_mut().zip(members) {
        *claim = self::claim(bucket, member);
    }
    let claims = &mut claims[..members.len().min(MAX_FALLBACKS)];
    claims.sort_unstable();
    let mut order = [END; MAX_FALLBACKS];
    for (slot, claim) in order.iter_mut().zip(claims) {
        *slot = (*claim & SLOT).to_le_bytes()[0];
    }
    order
}

/// A port's claim on a bucket, the smallest one first. Positive floating point numbers are in the order of their bits;
/// the last six of these say the slot instead, so that equal scores are in the order of the slots.
fn claim(bucket: u32, member: &SpreadMember) -> u64 {
    let slot = u64::from(member.id.0) & SLOT;
    let dimension = DIMENSIONS[member.id.index() % MAX_FALLBACKS];
    let x = f64::from(sample(bucket, dimension.into(), SCRAMBLING)) + HALF_STEP;
    // Not that of the system's library, which may differ in the last bits from one machine to the next.
    let score = -libm::log(x) / f64::from(member.weight());
    score.to_bits() & !SLOT | slot
}
