//! What wirings differ in, as far as plans are concerned: whether there is a namespace, and which programs the pair
//! has.

use std::iter;

use crate::{
    config::{Device, Hook, Wiring},
    plan::{Change, LinkStep, ProgramStep, Step},
};

/// What must be there before the pair is made.
pub(super) fn namespace(wiring: Wiring) -> Option<Step> {
    wiring.has_namespace().then(|| LinkStep::Namespace { present: Change::ON }.into())
}

/// The programs of the pair. Both must be attached before the peer is up: what the host sends past the sending
/// program would come out there.
pub(super) fn programs(wiring: Wiring, device: Device, hook: Hook) -> Vec<Step> {
    let tx = ProgramStep::Tx { device, hook, attached: Change::ON };
    let relay = wiring.has_namespace().then_some(ProgramStep::Relay { hook, attached: Change::ON });
    iter::once(tx).chain(relay).map(Step::from).collect()
}
