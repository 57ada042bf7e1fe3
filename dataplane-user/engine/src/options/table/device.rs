//! What the aggregate is made of. Little of it changes while it runs.

use super::OptionRow;
use crate::{
    config::{Addresses, AggregateConfig, Device, Hook, MacPolicy, Wiring, Xdp},
    options::{
        Live, ShowPart, Shown,
        kinds::{Choice, NamedValue, Planned, field},
    },
};

pub(super) static ROWS: &[OptionRow<AggregateConfig>] = &[
    OptionRow {
        name: "mac-policy",
        aliases: &["fail_over_mac", "hwaddr_policy"],
        help: "Who owns which MAC: all ports have the aggregate's (same-all), the aggregate has that of the active \
               port (by-active), or the active port alone has the aggregate's (only-active)",
        kind: &Choice {
            field: field!(AggregateConfig.mac_policy),
            words: &[
                NamedValue(MacPolicy::SameAll, &["same-all", "none", "0"]),
                NamedValue(MacPolicy::ByActive, &["by-active", "active", "1"]),
                NamedValue(MacPolicy::OnlyActive, &["only-active", "follow", "2"]),
            ],
            planned: &[],
        },
        live: Live::Programs,
        json: "mac_policy",
        shown: Shown::In(ShowPart::Settings, |config| config.mac_policy != MacPolicy::SameAll),
        page: "active-backup.md",
    },
    OptionRow {
        name: "addresses",
        aliases: &[],
        help: "What becomes of the ports' addresses and routes: they move, or the ports must have none",
        kind: &Choice {
            field: field!(AggregateConfig.addresses),
            words: &[NamedValue(Addresses::Move, &["move"]), NamedValue(Addresses::None, &["none"])],
            planned: &[],
        },
        live: Live::No,
        json: "",
        shown: Shown::No,
        page: "attach-detach.md",
    },
    OptionRow {
        name: "wiring",
        aliases: &[],
        help: "How device, ports and programs are connected: on a bonding or team device (over; a bond is made of the \
               ports unless NAME is one, which auto takes), or on a device of our own (shared; direct is cheaper, but \
               what is sent does not show on the aggregate)",
        kind: &Choice {
            field: field!(AggregateConfig.wiring),
            words: &[
                NamedValue(Wiring::Auto, &["auto"]),
                NamedValue(Wiring::Over, &["over"]),
                NamedValue(Wiring::Shared, &["shared"]),
                NamedValue(Wiring::Direct, &["direct"]),
            ],
            planned: &[],
        },
        live: Live::No,
        json: "wiring",
        shown: Shown::No,
        page: "wiring-direct.md",
    },
    OptionRow {
        name: "device",
        aliases: &[],
        help: "What the aggregate's own device is (auto: netkit where the kernel has it)",
        kind: &Choice {
            field: field!(AggregateConfig.device),
            words: &[
                NamedValue(Device::Auto, &["auto"]),
                NamedValue(Device::Netkit, &["netkit"]),
                NamedValue(Device::Veth, &["veth"]),
            ],
            planned: &[],
        },
        live: Live::No,
        json: "device",
        shown: Shown::No,
        page: "",
    },
    OptionRow {
        name: "hook",
        aliases: &[],
        help: "The kernel hook that the programs are attached to (auto: tcx where the kernel has it)",
        kind: &Choice {
            field: field!(AggregateConfig.hook),
            words: &[
                NamedValue(Hook::Auto, &["auto"]),
                NamedValue(Hook::Tcx, &["tcx"]),
                NamedValue(Hook::Clsact, &["clsact"]),
            ],
            planned: &[],
        },
        live: Live::No,
        json: "hook",
        shown: Shown::No,
        page: "",
    },
    OptionRow {
        name: "xdp",
        aliases: &[],
        help: "Whether XDP programs on the ports drop what must not be received: in the driver (native), just behind \
               it (generic), or in those drivers where nothing is lost by it (auto)",
        kind: &Choice {
            field: field!(AggregateConfig.xdp),
            words: &[
                NamedValue(Xdp::Off, &["off"]),
                NamedValue(Xdp::Native, &["native"]),
                NamedValue(Xdp::Generic, &["generic"]),
                NamedValue(Xdp::Auto, &["auto"]),
            ],
            planned: &[],
        },
        live: Live::Attachments,
        json: "xdp",
        shown: Shown::No,
        page: "xdp.md",
    },
    OptionRow {
        name: "config",
        aliases: &[],
        help: "A file with options",
        kind: &Planned,
        live: Live::No,
        json: "",
        shown: Shown::No,
        page: "",
    },
];
