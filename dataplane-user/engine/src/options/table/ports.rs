//! Settings of a port, and what can be asked of a running aggregate about its ports.

use serde::{Deserialize, Serialize};

use super::OptionRow;
use crate::{
    config::PortConfig,
    options::{
        Live, Shown, Unit,
        kinds::{FieldAccess, Name, Number, OwnWatches, Planned, Switch, field},
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
        name: "enabled",
        aliases: &[],
        help: "Whether it may be used; off: nothing is sent through it and it is not chosen to receive, whatever its \
               link",
        kind: &Switch { field: field!(PortConfig.enabled) },
        live: Live::Controller,
        json: "enabled",
        shown: Shown::No,
        page: "active-backup.md",
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
pub struct LiveRequests {
    /// The port to make active.
    pub active_port: Option<ActivePort>,
}

/// Which port shall be active now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActivePort {
    /// The one of this name.
    Named(String),
    /// The one that the rule chooses when no port is active.
    ByRule,
}

impl LiveRequests {
    fn named(&self) -> Option<String> {
        match &self.active_port {
            Some(ActivePort::Named(name)) => Some(name.clone()),
            Some(ActivePort::ByRule) | None => None,
        }
    }

    fn set_named(&mut self, name: Option<String>) {
        self.active_port = Some(name.map_or(ActivePort::ByRule, ActivePort::Named));
    }
}

pub(super) static LIVE_REQUESTS: &[OptionRow<LiveRequests>] = &[OptionRow {
    name: "active-port",
    aliases: &["active_slave"],
    help: "The port that shall carry the traffic now; none: a choice by hand is given up, and the rule chooses again",
    kind: &Name { field: FieldAccess { get: LiveRequests::named, set: LiveRequests::set_named } },
    live: Live::After,
    json: "active_port",
    shown: Shown::No,
    page: "active-backup.md",
}];
