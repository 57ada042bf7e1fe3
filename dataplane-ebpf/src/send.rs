//! Frames that the host sends.

use aggctl_common::{
    DropReason, IfIndex, PortId,
    hash::{self, Policy},
    programs::Selection,
    rule, spread,
};
use aya_ebpf::{Global, helpers::bpf_get_prandom_u32, programs::TcContext};

use crate::{action, buckets, drops, frame, ports, vlan};

/// How the port is picked: a [`Selection`]. This and what follows is set when the program is loaded.
#[unsafe(no_mangle)]
static SELECTION: Global<u32> = Global::new(0);

/// What is hashed: a [`Policy`].
#[unsafe(no_mangle)]
static POLICY: Global<u32> = Global::new(0);

/// What the hash is mixed with; 0: nothing.
#[unsafe(no_mangle)]
static SEED: Global<u32> = Global::new(0);

/// What is left of a hash of 32 bits after a shift by this much is a bucket.
#[unsafe(no_mangle)]
static SHIFT: Global<u32> = Global::new(24);

/// How many packets a port gets in turn.
#[unsafe(no_mangle)]
static STRIDE: Global<u32> = Global::new(1);

/// Sends the frame, with the tag that it has on the wire, out of the port that is chosen for it, or drops it.
#[inline(always)]
pub fn send(context: &TcContext) -> i32 {
    match vlan::outgoing(context).and_then(|()| port(context)) {
        Ok(port) => action::redirect(port),
        Err(reason) => drops::count(reason.sent()),
    }
}

/// Where the frame leaves. Before a table was published, that is where everything leaves.
#[inline(always)]
fn port(context: &TcContext) -> Result<IfIndex, DropReason> {
    let table = ports::table()?;
    let chosen = match Selection::of(SELECTION.load()) {
        Selection::Active => rule::choose(&table),
        Selection::Buckets => match buckets::buckets() {
            Some(buckets) => spread::choose(&table, &buckets, spread::bucket(hash(context)?, SHIFT.load())),
            None => rule::choose(&table),
        },
        Selection::Modulo => in_turn(&table, hash(context)?),
        Selection::RoundRobin => in_turn(&table, turn()),
        // SAFETY: the helper takes nothing and touches no memory of ours.
        Selection::Random => in_turn(&table, unsafe { bpf_get_prandom_u32() }),
    };
    rule::send(&table, chosen)
}

/// The port whose turn this number is.
#[inline(always)]
fn in_turn(table: &ports::Table, number: u32) -> Option<PortId> {
    match buckets::turns() {
        Some(turns) => spread::turn(table, &turns, number),
        None => rule::choose(table),
    }
}

/// How often the turn has passed on on this CPU.
#[inline(always)]
fn turn() -> u32 {
    let (number, stride) = (buckets::next(), STRIDE.load());
    // The compiler does not know that nobody sets it to zero.
    if stride > 1 { number / stride } else { number }
}

/// The flow's hash.
#[inline(always)]
fn hash(context: &TcContext) -> Result<u32, DropReason> {
    let policy = Policy::from_number(POLICY.load()).unwrap_or_default();
    let hash = frame::hash(context, policy).ok_or(DropReason::Malformed)?;
    Ok(hash::seeded(hash, SEED.load()))
}
