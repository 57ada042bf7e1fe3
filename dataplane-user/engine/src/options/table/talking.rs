//! What the neighbours are told, and what the ports listen to.

use super::Row;
use crate::{
    config::{AggregateConfig, Toggle},
    options::{
        Live, Part, Shown, Unit,
        kinds::{Choice, Number, Word, field},
    },
};

/// What a toggle can be.
static TOGGLE: &[Word<Toggle>] = &[
    Word(Toggle::Auto, &["auto"]),
    Word(Toggle::On, &["on", "yes", "true"]),
    Word(Toggle::Off, &["off", "no", "false"]),
];

pub(super) static ROWS: &[Row<AggregateConfig>] = &[
    Row {
        name: "announce-count",
        aliases: &["num_grat_arp", "num_unsol_na", "notify_peers.count"],
        help: "How many times each address is announced after a change; 0: not at all",
        kind: &Number {
            field: field!(AggregateConfig.announce.count),
            min: 0,
            max: u8::MAX,
            unit: Unit::None,
            only: None,
        },
        live: Live::Controller,
        json: "announce.count",
        shown: Shown::In(Part::Settings, |_| true),
        page: "active-backup.md",
    },
    Row {
        name: "announce-interval",
        aliases: &["peer_notif_delay", "notify_peers.interval"],
        help: "The pause between two rounds of announcements",
        kind: &Number {
            field: field!(AggregateConfig.announce.interval_ms),
            min: 0,
            max: 300_000,
            unit: Unit::Milliseconds,
            only: None,
        },
        live: Live::Controller,
        json: "announce.interval_ms",
        shown: Shown::In(Part::Settings, |_| true),
        page: "active-backup.md",
    },
    Row {
        name: "promisc",
        aliases: &[],
        help: "Promiscuous mode of the ports (auto: while the aggregate is promiscuous)",
        kind: &Choice { field: field!(AggregateConfig.promisc), words: TOGGLE, planned: &[] },
        live: Live::Controller,
        json: "promisc",
        shown: Shown::In(Part::Settings, |config| config.promisc != Toggle::Auto),
        page: "",
    },
    Row {
        name: "allmulti",
        aliases: &[],
        help: "All-multicast mode of the ports (auto: on)",
        kind: &Choice { field: field!(AggregateConfig.allmulti), words: TOGGLE, planned: &[] },
        live: Live::Controller,
        json: "allmulti",
        shown: Shown::In(Part::Settings, |config| config.allmulti != Toggle::Auto),
        page: "",
    },
];
