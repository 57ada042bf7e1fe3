//! Settings of flap damping. None has a default: damping is off unless it is asked for, and then by all three.

use super::OptionRow;
use crate::{
    hold_down::FlapRule,
    options::{
        Live, Shown, Unit,
        kinds::{Number, ValueKind, field},
    },
};

const fn row(
    name: &'static str,
    json: &'static str,
    help: &'static str,
    kind: &'static dyn ValueKind<FlapRule>,
) -> OptionRow<FlapRule> {
    let page = "active-backup.md";
    OptionRow { name, aliases: &[], help, kind, live: Live::Controller, json, shown: Shown::No, page }
}

pub(super) static ROWS: &[OptionRow<FlapRule>] = &[
    row(
        "changes",
        "changes",
        "How many changes in the window are too many",
        &Number { field: field!(FlapRule.changes), min: 2, max: u8::MAX, unit: Unit::None, only: None },
    ),
    row(
        "window",
        "window_s",
        "The time in which they are counted",
        &Number { field: field!(FlapRule.window_s), min: 1, max: 3_600, unit: Unit::Seconds, only: None },
    ),
    row(
        "for",
        "for_s",
        "For how long the port is not taken then",
        &Number { field: field!(FlapRule.for_s), min: 1, max: 86_400, unit: Unit::Seconds, only: None },
    ),
];
