//! The rows.

mod carrier;
mod device;
mod flapping;
mod lacp;
mod ports;
mod spreading;
mod talking;
mod watching;

use super::{HasOptions, Head, OptionGroup, OptionRow};
use crate::{
    config::{AggregateConfig, PortConfig},
    hold_down::FlapRule,
    watches::WatchConfig,
};
pub use ports::{ActivePort, LiveRequests};

impl HasOptions for AggregateConfig {
    const OPTION: &'static str = "option";

    fn rows() -> impl Iterator<Item = &'static OptionRow<Self>> {
        [spreading::ROWS, carrier::ROWS, talking::ROWS, device::ROWS, lacp::ROWS].into_iter().flatten()
    }
}

impl HasOptions for PortConfig {
    const OPTION: &'static str = "setting of a port";

    fn rows() -> impl Iterator<Item = &'static OptionRow<Self>> {
        ports::ROWS.iter()
    }
}

impl HasOptions for LiveRequests {
    const OPTION: &'static str = "order";

    fn rows() -> impl Iterator<Item = &'static OptionRow<Self>> {
        ports::LIVE_REQUESTS.iter()
    }
}

impl HasOptions for WatchConfig {
    const OPTION: &'static str = "setting of a watch";

    fn rows() -> impl Iterator<Item = &'static OptionRow<Self>> {
        watching::ROWS.iter()
    }

    fn has(&self, row: &OptionRow<Self>) -> bool {
        self.kind.settings().contains(&row.name)
    }
}

impl HasOptions for FlapRule {
    const OPTION: &'static str = "setting of flap damping";
    const REQUIRED: bool = true;

    fn rows() -> impl Iterator<Item = &'static OptionRow<Self>> {
        flapping::ROWS.iter()
    }
}

/// Options that are written as one.
pub static GROUPS: &[OptionGroup] = &[
    OptionGroup {
        name: "watch",
        help: "A watch of the ports: link, or arp, ns, traffic, errors with settings of their own; repeat for each",
        heads: &[Head { names: &["link", "ethtool"], value: None }, Head { names: &["miimon"], value: Some("poll") }],
        rest: Some("watches"),
        keys: &[("up-delay", "up-delay"), ("down-delay", "down-delay"), ("poll", "poll")],
        bare: None,
    },
    OptionGroup {
        name: "announce",
        help: "How often the neighbours are told of a change",
        heads: &[],
        rest: None,
        keys: &[("count", "announce-count"), ("interval", "announce-interval"), ("groups", "announce-groups")],
        bare: Some("announce-count"),
    },
];
