//! What the neighbours are told, and what the ports listen to.

use super::OptionRow;
use crate::{
    config::{AggregateConfig, Toggle},
    options::{
        Live, ShowPart, Shown, Unit,
        kinds::{Choice, NamedValue, Number, field},
    },
};

/// What a toggle can be.
static TOGGLE: &[NamedValue<Toggle>] = &[
    NamedValue(Toggle::Auto, &["auto"]),
    NamedValue(Toggle::On, &["on", "yes", "true"]),
    NamedValue(Toggle::Off, &["off", "no", "false"]),
];

pub(super) static ROWS: &[OptionRow<AggregateConfig>] = &[
    OptionRow {
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
        shown: Shown::In(ShowPart::Settings, |_| true),
        page: "active-backup.md",
    },
    OptionRow {
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
        shown: Shown::In(ShowPart::Settings, |_| true),
        page: "active-backup.md",
    },
    OptionRow {
        name: "announce-groups",
        aliases: &["resend_igmp", "mcast_rejoin.count"],
        help: "How many times the multicast groups that are received are reported after a change; 0: not at all",
        kind: &Number {
            field: field!(AggregateConfig.announce.groups),
            min: 0,
            max: u8::MAX,
            unit: Unit::None,
            only: None,
        },
        live: Live::Controller,
        json: "announce.groups",
        shown: Shown::In(ShowPart::Settings, |config| config.announce.groups != 1),
        page: "active-backup.md",
    },
    OptionRow {
        name: "promisc",
        aliases: &[],
        help: "Promiscuous mode of the ports (auto: while the aggregate is promiscuous)",
        kind: &Choice { field: field!(AggregateConfig.promisc), words: TOGGLE, planned: &[] },
        live: Live::Controller,
        json: "promisc",
        shown: Shown::In(ShowPart::Settings, |config| config.promisc != Toggle::Auto),
        page: "",
    },
    OptionRow {
        name: "allmulti",
        aliases: &[],
        help: "All-multicast mode of the ports (auto: on)",
        kind: &Choice { field: field!(AggregateConfig.allmulti), words: TOGGLE, planned: &[] },
        live: Live::Controller,
        json: "allmulti",
        shown: Shown::In(ShowPart::Settings, |config| config.allmulti != Toggle::Auto),
        page: "",
    },
];
