//! What members, tables and rules must hold together.

use aggctl_common::{Ports, spread};
use proptest::prelude::*;

use super::*;

mod changes;
mod evenness;
mod golden;
mod rotation;

const BUCKETS: u32 = spread::DEFAULT_BUCKETS;

/// A usable port.
fn share(id: u8, weight: u8) -> SpreadMember {
    SpreadMember { id: PortId(id), weight, usable: true }
}

/// Usable ports of equal weight in the first slots.
fn equal(count: u8) -> Vec<SpreadMember> {
    (0..count).map(|id| share(id, 1)).collect()
}

/// The mask of ports that are usable.
fn usable(members: &[SpreadMember]) -> u64 {
    members.iter().filter(|member| member.usable).fold(0, |mask, member| mask | member.id.bit())
}

/// The table of these members.
fn table(members: &[SpreadMember], buckets: u32) -> Vec<u8> {
    primaries(&fallback_orders(members, buckets), usable(members))
}

fn ports(usable: u64) -> Ports {
    Ports { usable, ..Ports::EMPTY }
}

/// Members in some of the first slots, with weights, all usable.
fn members(slots: u8, count: impl Into<prop::sample::SizeRange>) -> impl Strategy<Value = Vec<SpreadMember>> {
    prop::sample::subsequence((0..slots).collect::<Vec<u8>>(), count)
        .prop_shuffle()
        .prop_flat_map(|slots| {
            let weights = prop::collection::vec(prop_oneof![Just(1_u8), 1..=10_u8, any::<u8>()], slots.len());
            (Just(slots), weights)
        })
        .prop_map(|(slots, weights)| slots.into_iter().zip(weights).map(|(id, weight)| share(id, weight)).collect())
}
