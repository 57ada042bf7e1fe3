//! How the bonding device that we make in wiring `over` speaks LACP.

use super::OptionRow;
use crate::{
    config::{AdSelect, AggregateConfig, LacpRate},
    options::{
        Live, ShowPart, Shown, Unit,
        kinds::{Choice, NamedValue, Number, field},
    },
};

const fn speaks(config: &AggregateConfig) -> bool {
    config.lacp.on
}

pub(super) static ROWS: &[OptionRow<AggregateConfig>] = &[
    OptionRow {
        name: "lacp-rate",
        aliases: &["runner.fast_rate"],
        help: "With mode lacp: how often the partner shall send, every 30 seconds or every second",
        kind: &Choice {
            field: field!(AggregateConfig.lacp.rate),
            words: &[
                NamedValue(LacpRate::Slow, &["slow", "0", "false"]),
                NamedValue(LacpRate::Fast, &["fast", "1", "true"]),
            ],
            planned: &[],
        },
        live: Live::No,
        json: "lacp.rate",
        shown: Shown::In(ShowPart::Settings, speaks),
        page: "wiring-over.md",
    },
    OptionRow {
        name: "system-priority",
        aliases: &["ad_actor_sys_prio", "runner.sys_prio"],
        help: "With mode lacp: priority of this system; the choice of ports is that of the one with the lower number",
        kind: &Number {
            field: field!(AggregateConfig.lacp.system_priority),
            min: 1,
            max: u16::MAX,
            unit: Unit::None,
            only: None,
        },
        live: Live::No,
        json: "lacp.system_priority",
        shown: Shown::In(ShowPart::Settings, speaks),
        page: "wiring-over.md",
    },
    OptionRow {
        name: "ad-select",
        aliases: &["runner.agg_select_policy"],
        help: "With mode lacp: which of several groups of ports is used, the present one or the one with the most \
               bandwidth or ports",
        kind: &Choice {
            field: field!(AggregateConfig.lacp.select),
            words: &[
                NamedValue(AdSelect::Stable, &["stable", "0"]),
                NamedValue(AdSelect::Bandwidth, &["bandwidth", "1"]),
                NamedValue(AdSelect::Count, &["count", "2"]),
            ],
            planned: &[],
        },
        live: Live::No,
        json: "lacp.ad_select",
        shown: Shown::In(ShowPart::Settings, speaks),
        page: "wiring-over.md",
    },
];
