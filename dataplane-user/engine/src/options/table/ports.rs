//! Settings of a port, and what can be asked of a running aggregate about its ports.

use super::OptionRow;
use crate::{
    config::PortConfig,
    options::{
        Live, Shown, Unit,
        kinds::{Absent, Name, Number, OwnWatches, Planned, Switch, field},
    },
};

pub(super) static ROWS: &[OptionRow<PortConfig>] = &[
    OptionRow {
        name: "priority",
        aliases: &["prio"],
        help: "Its preference; higher is better",
        kind: &Number {
            field: field!(PortConfig.priority),
            min: i32::MIN,
            max: i32::MAX,
            unit: Unit::None,
            only: None,
        },
        live: Live::Controller,
        json: "priority",
        shown: Shown::No,
        page: "active-backup.md",
    },
    OptionRow {
        name: "sticky",
        aliases: &[],
        help: "Once active, it stays so while it is usable",
        kind: &Switch { field: field!(PortConfig.sticky) },
        live: Live::Controller,
        json: "sticky",
        shown: Shown::No,
        page: "active-backup.md",
    },
    OptionRow {
        name: "weight",
        aliases: &[],
        help: "Its share of the traffic in proportion to the other ports' weights, where all carry traffic",
        kind: &Number { field: field!(PortConfig.weight), min: 1, max: u8::MAX, unit: Unit::None, only: None },
        live: Live::Controller,
        json: "weight",
        shown: Shown::No,
        page: "sharing.md",
    },
    OptionRow {
        name: "watch",
        aliases: &["link_watch"],
        help: "What it is watched by, with / for the comma; default: as the aggregate's other ports",
        kind: &OwnWatches { field: field!(PortConfig.watches) },
        live: Live::Controller,
        json: "watch",
        shown: Shown::No,
        page: "watches.md",
    },
    OptionRow {
        name: "queue-id",
        aliases: &[],
        help: "The queue whose frames take this port",
        kind: &Planned,
        live: Live::Controller,
        json: "",
        shown: Shown::No,
        page: "",
    },
];

/// What can be asked of a running aggregate once its options are in place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Orders {
    /// The port to make active.
    pub active_port: Option<String>,
}

pub(super) static ORDERS: &[OptionRow<Orders>] = &[OptionRow {
    name: "active-port",
    aliases: &["active_slave"],
    help: "The port that shall carry the traffic now",
    kind: &Name { field: field!(Orders.active_port), absent: Absent::Never },
    live: Live::After,
    json: "active_port",
    shown: Shown::No,
    page: "active-backup.md",
}];
