//! Which port a frame takes.

use aggctl_common::spread::{MAX_BUCKETS, MIN_BUCKETS, is_table_size};

use super::OptionRow;
use crate::{
    config::{AggregateConfig, Mode, Partner, TableKind},
    options::{
        Live, ShowPart, Shown, Unit,
        kinds::{Choice, FieldAccess, NamedValue, Number, Only, Parsed, Policies, field},
    },
    vlan::VlanConfig,
};

fn hashes(config: &AggregateConfig) -> bool {
    config.mode == Mode::Hash
}

/// The mode, and whether it is called `lacp`: that is mode `hash` over a device that speaks LACP.
fn mode_word(config: &AggregateConfig) -> (Mode, bool) {
    (config.mode, config.lacp.on && config.mode == Mode::Hash)
}

/// Takes over a mode. A device that speaks LACP goes on doing so in others.
fn set_mode_word(config: &mut AggregateConfig, (mode, lacp): (Mode, bool)) {
    config.mode = mode;
    config.lacp.on |= lacp;
}

pub(super) static ROWS: &[OptionRow<AggregateConfig>] = &[
    OptionRow {
        name: "mode",
        aliases: &["runner.name"],
        help: "How a port is chosen; lacp: by hash, over a bonding device that speaks LACP (wiring over)",
        kind: &Choice {
            field: FieldAccess { get: mode_word, set: set_mode_word },
            words: &[
                NamedValue((Mode::ActiveBackup, false), &["active-backup", "activebackup", "1"]),
                NamedValue((Mode::Hash, false), &["hash", "balance-xor", "xor", "loadbalance", "2"]),
                NamedValue((Mode::RoundRobin, false), &["round-robin", "balance-rr", "roundrobin", "0"]),
                NamedValue((Mode::Random, false), &["random"]),
                NamedValue((Mode::Hash, true), &["lacp", "802.3ad", "4"]),
            ],
            planned: &[&["broadcast", "3"], &["tlb", "balance-tlb", "5"], &["alb", "balance-alb", "6"]],
        },
        live: Live::Programs,
        json: "mode",
        shown: Shown::No,
        page: "sharing.md",
    },
    OptionRow {
        name: "hash",
        aliases: &["xmit_hash_policy", "runner.tx_hash"],
        help: "What is hashed in mode hash: a policy of bonding's, or a list of fields",
        kind: &Policies {
            field: field!(AggregateConfig.hash.policy),
            planned: &[&["encap2+3", "3"], &["encap3+4", "4"], &["vlan+srcmac", "5"]],
        },
        live: Live::Programs,
        json: "hash",
        shown: Shown::In(ShowPart::First, hashes),
        page: "hash.md",
    },
    OptionRow {
        name: "buckets",
        aliases: &[],
        help: "How many buckets the hash table has",
        kind: &Number {
            field: field!(AggregateConfig.hash.buckets),
            min: MIN_BUCKETS,
            max: MAX_BUCKETS,
            unit: Unit::None,
            only: Some(Only { name: "a power of two", holds: is_table_size }),
        },
        live: Live::Programs,
        json: "buckets",
        shown: Shown::In(ShowPart::First, |config| hashes(config) && config.hash.table == TableKind::Stable),
        page: "table.md",
    },
    OptionRow {
        name: "seed",
        aliases: &[],
        help: "What the hash is mixed with, so that aggregates in a row do not decide alike; 0: nothing",
        kind: &Number { field: field!(AggregateConfig.hash.seed), min: 0, max: u32::MAX, unit: Unit::None, only: None },
        live: Live::Programs,
        json: "seed",
        shown: Shown::In(ShowPart::First, |config| hashes(config) && config.hash.seed != 0),
        page: "sharing.md",
    },
    OptionRow {
        name: "table",
        aliases: &[],
        help: "How a hash leads to a port: stable (few flows move) or as the kernel's bonding driver does",
        kind: &Choice {
            field: field!(AggregateConfig.hash.table),
            words: &[
                NamedValue(TableKind::Stable, &["stable"]),
                NamedValue(TableKind::KernelCompat, &["kernel-compat"]),
            ],
            planned: &[],
        },
        live: Live::Programs,
        json: "table",
        shown: Shown::In(ShowPart::First, hashes),
        page: "table.md",
    },
    OptionRow {
        name: "stride",
        aliases: &["packets_per_slave"],
        help: "How many packets a port gets in turn in mode round-robin; 0: each packet at random",
        kind: &Number { field: field!(AggregateConfig.stride), min: 0, max: u16::MAX, unit: Unit::None, only: None },
        live: Live::Programs,
        json: "stride",
        shown: Shown::In(ShowPart::First, |config| config.mode == Mode::RoundRobin),
        page: "sharing.md",
    },
    OptionRow {
        name: "partner",
        aliases: &[],
        help: "What the ports are connected to: one group (lag), a switch that knows of none (plain), or what the mode \
               needs (auto: lag where all ports carry traffic)",
        kind: &Choice {
            field: field!(AggregateConfig.partner),
            words: &[
                NamedValue(None, &["auto"]),
                NamedValue(Some(Partner::Lag), &["lag"]),
                NamedValue(Some(Partner::Plain), &["plain"]),
            ],
            planned: &[],
        },
        live: Live::Programs,
        json: "partner",
        shown: Shown::In(ShowPart::First, |config| config.mode.shares()),
        page: "sharing.md",
    },
    OptionRow {
        name: "vlan",
        aliases: &[],
        help: "VLANs: the host is in this one (access), or these pass (trunk)",
        kind: &Parsed::<_, VlanConfig> {
            field: field!(AggregateConfig.vlan),
            syntax: "off|access=VID|trunk=LIST[,native=VID]",
            samples: &["off", "access=7", "trunk=1-3,10", "trunk=1-3,10,native=4"],
        },
        live: Live::Programs,
        json: "vlan",
        shown: Shown::No,
        page: "vlan.md",
    },
];
