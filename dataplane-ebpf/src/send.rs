//! Frames that the host sends.

use aggctl_common::{
    DropReason, PortId,
    hash::{self, Policy},
    rule, spread,
};
use aya_ebpf::{Global, helpers::bpf_get_prandom_u32, programs::TcContext};

use crate::{action, buckets, drops, frame, ports};

/// What the hash is mixed with; 0: nothing. This and what follows is set when the program is loaded.
#[unsafe(no_mangle)]
static SEED: Global<u32> = Global::new(0);

/// A hash of 32 bits, shifted right by this much, is the number of a bucket.
#[unsafe(no_mangle)]
static SHIFT: Global<u32> = Global::new(24);

/// How many packets a port gets in each of its turns.
#[unsafe(no_mangle)]
static STRIDE: Global<u32> = Global::new(1);

/// The port that is picked for a frame, if there is one.
pub type Picked = Result<Option<PortId>, DropReason>;

/// Sends the frame out of the port, or drops it.
#[inline(always)]
pub fn send(picked: Picked) -> i32 {
    match picked.and_then(|port| rule::egress(&ports::TABLE, port)) {
        Ok(port) => action::redirect(port),
        Err(reason) => {
            drops::count(reason.sent());
            action::DROP
        }
    }
}

/// The active port.
#[inline(always)]
pub fn active() -> Picked {
    Ok(rule::choose(&ports::TABLE))
}

/// By a hash, through the table of buckets.
#[inline(always)]
pub fn bucket(context: &TcContext, policy: Policy) -> Picked {
    Ok(by_bucket(seeded(frame::hash(context, policy))?))
}

/// The same with the fields of a list for a policy.
#[inline(always)]
pub fn listed_bucket(context: &TcContext) -> Picked {
    Ok(by_bucket(seeded(frame::listed(context))?))
}

/// By a hash modulo the number of ports.
#[inline(always)]
pub fn modulo(context: &TcContext, policy: Policy) -> Picked {
    Ok(by_rotation(seeded(frame::hash(context, policy))?))
}

/// The same with the fields of a list for a policy.
#[inline(always)]
pub fn listed_modulo(context: &TcContext) -> Picked {
    Ok(by_rotation(seeded(frame::listed(context))?))
}

/// The ports in turn.
#[inline(always)]
pub fn round_robin() -> Picked {
    Ok(by_rotation(turn_number()))
}

/// Any port.
#[inline(always)]
pub fn random() -> Picked {
    // SAFETY: the helper takes nothing and touches no memory of ours.
    Ok(by_rotation(unsafe { bpf_get_prandom_u32() }))
}

/// The port of this hash's bucket. Before a table was published: the active port.
#[inline(always)]
fn by_bucket(hash: u32) -> Option<PortId> {
    let bucket = spread::bucket(hash, SHIFT.load());
    match buckets::buckets() {
        Some(buckets) => spread::choose(&ports::TABLE, &buckets, bucket),
        None => rule::choose(&ports::TABLE),
    }
}

/// The port at this number of the rotation. Before one was published: the active port.
#[inline(always)]
fn by_rotation(number: u32) -> Option<PortId> {
    match buckets::rotation() {
        Some(rotation) => spread::pick(&ports::TABLE, &rotation, number),
        None => rule::choose(&ports::TABLE),
    }
}

/// How many turns are over on this CPU: packets that it sent, divided by the packets of a turn.
#[inline(always)]
fn turn_number() -> u32 {
    let (number, stride) = (buckets::next_number(), STRIDE.load());
    // The loader never sets it to zero, but the compiler does not know that.
    if stride > 1 { number / stride } else { number }
}

/// The hash as it is used. A frame without one is shorter than an Ethernet header.
#[inline(always)]
fn seeded(hash: Option<u32>) -> Result<u32, DropReason> {
    Ok(hash::seeded(hash.ok_or(DropReason::Malformed)?, SEED.load()))
}
