//! Settings of a watch.

use aggctl_common::vlan::VlanId;

use super::OptionRow;
use crate::{
    options::{
        Live, Shown, Unit,
        kinds::{Choice, FieldAccess, NamedValue, Number, Optional, Targets, ValueKind, field},
    },
    watches::{Validate, WatchConfig, WatchPolicy},
};

/// The longest time that a watch can be given: bonding's longest delay.
const LONGEST: u32 = 300_000;

const fn row(
    name: &'static str,
    json: &'static str,
    aliases: &'static [&'static str],
    help: &'static str,
    kind: &'static dyn ValueKind<WatchConfig>,
) -> OptionRow<WatchConfig> {
    OptionRow { name, aliases, help, kind, live: Live::Controller, json, shown: Shown::No, page: "watches.md" }
}

/// A number of milliseconds.
macro_rules! milliseconds {
    ($field:ident from $min:literal) => {
        &Number { field: field!(WatchConfig.$field), min: $min, max: LONGEST, unit: Unit::Milliseconds, only: None }
    };
}

pub(super) static ROWS: &[OptionRow<WatchConfig>] = &[
    row(
        "target",
        "targets",
        &["arp_ip_target", "ns_ip6_target", "target_host"],
        "arp, ns: who is asked; several with `target=` before each, 16 at most",
        &Targets,
    ),
    row(
        "need",
        "need",
        &["arp_all_targets"],
        "arp, ns: how many of the targets must answer",
        &Choice {
            field: field!(WatchConfig.need),
            words: &[NamedValue(WatchPolicy::Any, &["any", "0"]), NamedValue(WatchPolicy::All, &["all", "1"])],
            planned: &[],
        },
    ),
    row(
        "interval",
        "interval_ms",
        &["arp_interval"],
        "arp, ns: the time between two questions",
        milliseconds!(interval_ms from 10),
    ),
    row(
        "missed-max",
        "missed_max",
        &["arp_missed_max"],
        "arp, ns: how many questions in a row must go without answer for a target to be out of reach",
        &Number { field: field!(WatchConfig.missed_max), min: 1, max: u8::MAX, unit: Unit::None, only: None },
    ),
    row(
        "init-wait",
        "init_wait_ms",
        &[],
        "arp, ns: how long after the link came up the first question is asked",
        milliseconds!(init_wait_ms from 0),
    ),
    row(
        "source",
        "source",
        &["source_host"],
        "arp: whom ports that carry traffic say they ask for; none: nobody (0.0.0.0), as other ports do",
        &Optional {
            field: field!(WatchConfig.source),
            syntax: "IP",
            json_type: "string",
            samples: &["192.0.2.9", "none"],
        },
    ),
    row(
        "vlan",
        "vlan",
        &["vlanid"],
        "arp, ns: the VLAN in which is asked, by the tag that frames have on the aggregate",
        &Optional {
            field: FieldAccess {
                get: |watch: &WatchConfig| watch.vlan.map(|vid| vid.0),
                set: |watch, number: Option<u16>| watch.vlan = number.map(VlanId),
            },
            syntax: "VID",
            json_type: "number",
            samples: &["7", "none"],
        },
    ),
    row(
        "validate",
        "validate",
        &["arp_validate"],
        "arp, ns: on which ports only the target's own answers count; on the others whatever is received, or with \
         filter any frame of the protocol",
        &Choice {
            field: field!(WatchConfig.validate),
            words: &[
                NamedValue(Validate::All, &["all", "3"]),
                NamedValue(Validate::Active, &["active", "1"]),
                NamedValue(Validate::Standby, &["standby", "backup", "2"]),
                NamedValue(Validate::None, &["none", "0"]),
                NamedValue(Validate::Filter, &["filter", "4"]),
                NamedValue(Validate::FilterActive, &["filter-active", "5"]),
                NamedValue(Validate::FilterStandby, &["filter-standby", "filter_backup", "6"]),
            ],
            planned: &[],
        },
    ),
    row(
        "idle",
        "idle_ms",
        &[],
        "traffic: for how long nothing may be received while other ports receive",
        milliseconds!(idle_ms from 100),
    ),
    row(
        "limit",
        "limit",
        &[],
        "errors: how many there may be in the time that within says",
        &Number { field: field!(WatchConfig.limit), min: 0, max: u32::MAX, unit: Unit::None, only: None },
    ),
    row("within", "within_ms", &[], "errors: the time in which they are counted", milliseconds!(within_ms from 100)),
    row(
        "calm",
        "calm_ms",
        &[],
        "errors: how long there must be no more than limit allows before the port is trusted again",
        milliseconds!(calm_ms from 0),
    ),
];
