//! What wirings differ in, as far as plans are concerned: whether there is a namespace, and which programs the pair has.

use crate::{
    config::{Device, Hook, Wiring},
    plan::Step,
};

/// What must be there before the pair is made.
pub(super) fn namespace(wiring: Wiring) -> Option<Step> {
    wiring.has_namespace().then_some(Step::CreateNamespace)
}

/// The programs of the pair. Both must hang before the hidden end is up: what the host sends past the sending program would
/// come out there.
pub(super) fn programs(wiring: Wiring, device: Device, hook: Hook) -> Vec<Step> {
    let mut steps = vec![Step::AttachTx { device, hook }];
    steps.extend(wiring.has_namespace().then_some(Step::AttachRelay { hook }));
    steps
}
