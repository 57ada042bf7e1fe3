//! Which ports are usable, and which of them is active.

use aggctl_common::MAX_PORTS;

use super::OptionRow;
use crate::{
    config::{AggregateConfig, Reselect},
    hold_down::HoldDown,
    options::{
        Live, ShowPart, Shown, Unit,
        kinds::{Choice, FlapDamping, Name, NamedValue, Number, WatchList, field},
    },
    watches::{WatchPolicy, Watches},
};

/// bonding's largest delay.
const LONGEST_DELAY: u32 = 300_000;

pub(super) static ROWS: &[OptionRow<AggregateConfig>] = &[
    OptionRow {
        name: "reselect",
        aliases: &["primary_reselect"],
        help: "When a better port than the active one takes over",
        kind: &Choice {
            field: field!(AggregateConfig.reselect),
            words: &[
                NamedValue(Reselect::Always, &["always", "0"]),
                NamedValue(Reselect::Better, &["better", "1"]),
                NamedValue(Reselect::Failure, &["failure", "2"]),
            ],
            planned: &[],
        },
        live: Live::Controller,
        json: "reselect",
        shown: Shown::In(ShowPart::Settings, |_| true),
        page: "active-backup.md",
    },
    OptionRow {
        name: "primary",
        aliases: &[],
        help: "The port that is preferred over all others",
        kind: &Name { field: field!(AggregateConfig.primary) },
        live: Live::Controller,
        json: "primary",
        shown: Shown::In(ShowPart::Settings, |config| config.primary.is_some()),
        page: "active-backup.md",
    },
    OptionRow {
        name: "min-ports",
        aliases: &["min_links"],
        help: "How many ports must be usable for the aggregate to have carrier",
        kind: &Number {
            field: field!(AggregateConfig.min_ports),
            min: 1,
            max: MOST_PORTS,
            unit: Unit::None,
            only: None,
        },
        live: Live::Controller,
        json: "min_ports",
        shown: Shown::In(ShowPart::Settings, |_| true),
        page: "",
    },
    OptionRow {
        name: "up-delay",
        aliases: &["updelay", "delay_up"],
        help: "How long a link must be up before its port is usable; skipped while no other port is",
        kind: &Number {
            field: field!(AggregateConfig.link_watch.up_delay_ms),
            min: 0,
            max: LONGEST_DELAY,
            unit: Unit::Milliseconds,
            only: None,
        },
        live: Live::Controller,
        json: "link_watch.up_delay_ms",
        shown: Shown::In(ShowPart::Settings, |_| true),
        page: "active-backup.md",
    },
    OptionRow {
        name: "down-delay",
        aliases: &["downdelay", "delay_down"],
        help: "How long a link must be down before its port is given up",
        kind: &Number {
            field: field!(AggregateConfig.link_watch.down_delay_ms),
            min: 0,
            max: LONGEST_DELAY,
            unit: Unit::Milliseconds,
            only: None,
        },
        live: Live::Controller,
        json: "link_watch.down_delay_ms",
        shown: Shown::In(ShowPart::Settings, |_| true),
        page: "active-backup.md",
    },
    OptionRow {
        name: "poll",
        aliases: &["miimon"],
        help: "How often each port's link is asked for; kernel events come besides",
        kind: &Number {
            field: field!(AggregateConfig.link_watch.poll_ms),
            min: 1,
            max: 60_000,
            unit: Unit::Milliseconds,
            only: None,
        },
        live: Live::Controller,
        json: "link_watch.poll_ms",
        shown: Shown::In(ShowPart::Settings, |_| true),
        page: "active-backup.md",
    },
    OptionRow {
        name: "hold-down",
        aliases: &[],
        help: "Flap damping: a port whose link, or verdict of its watches, changed so many times in the window is not \
               taken for so long, unless no other port has a link",
        kind: &FlapDamping { field: field!(AggregateConfig.hold_down) },
        live: Live::Controller,
        json: "hold_down",
        shown: Shown::In(ShowPart::Settings, |config| config.hold_down != HoldDown::Off),
        page: "active-backup.md",
    },
    OptionRow {
        name: "dead-after",
        aliases: &[],
        help: "In wiring over: for how long no controller may be at work before the driver chooses the port",
        kind: &Number {
            field: field!(AggregateConfig.dead_after_ms),
            min: 50,
            max: 60_000,
            unit: Unit::Milliseconds,
            only: None,
        },
        live: Live::Controller,
        json: "dead_after_ms",
        shown: Shown::In(ShowPart::Settings, |config| !config.wiring.has_pair()),
        page: "wiring-over.md",
    },
    OptionRow {
        name: "watch-policy",
        aliases: &[],
        help: "How many of its watches must find a port well; without a link none can",
        kind: &Choice {
            field: field!(AggregateConfig.watch_policy),
            words: &[NamedValue(WatchPolicy::All, &["all"]), NamedValue(WatchPolicy::Any, &["any"])],
            planned: &[],
        },
        live: Live::Controller,
        json: "watch_policy",
        shown: Shown::In(ShowPart::Settings, |config| config.watches.all().len() > 1),
        page: "watches.md",
    },
    OptionRow {
        name: "watches",
        aliases: &["link_watch"],
        help: "What every port that has no watches of its own is watched by",
        kind: &WatchList { field: field!(AggregateConfig.watches) },
        live: Live::Controller,
        json: "watches",
        shown: Shown::In(ShowPart::Settings, |config| config.watches != Watches::default()),
        page: "watches.md",
    },
];

/// [`MAX_PORTS`] as a number of ports.
const MOST_PORTS: u8 = {
    assert!(MAX_PORTS <= 255);
    MAX_PORTS.to_le_bytes()[0]
};
