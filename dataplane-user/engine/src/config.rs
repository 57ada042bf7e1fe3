//! What the owner wishes an aggregate to be.

mod hash_policy;
mod lacp;
mod mode;
mod wiring;

use serde::{Deserialize, Serialize};

use crate::{
    hold_down::HoldDown,
    vlan::VlanConfig,
    watches::{WatchPolicy, Watches},
};

pub use hash_policy::{HashPolicy, InvalidPolicy, NAMED};
pub use lacp::{AdSelect, LacpConfig, LacpRate};
pub use mode::{HashConfig, Mode, Partner, TableKind};
pub use wiring::{Device, Hook, Wiring, Xdp, XdpMode};

/// Everything that can be chosen about an aggregate. Two attaches with equal configurations mean the same aggregate.
///
/// What a record of an older version does not have is as it is by default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AggregateConfig {
    /// Name of the aggregate's interface.
    pub name: String,
    /// How a port is chosen.
    pub mode: Mode,
    /// How flows are told apart and spread, in mode `hash`.
    pub hash: HashConfig,
    /// How many packets a port gets before it is the next one's turn, in mode `round-robin`. 0: each packet goes to a
    /// port at random, as with bonding's `packets_per_slave`.
    pub stride: u16,
    /// What the ports are connected to; `None`: what the mode needs ([`AggregateConfig::partner`]).
    pub partner: Option<Partner>,
    /// Which VLANs pass, and how they are tagged.
    pub vlan: VlanConfig,
    /// How the device, the ports and the programs are connected.
    pub wiring: Wiring,
    /// What the aggregate's own device is.
    pub device: Device,
    /// Which kernel hook the programs are attached to.
    pub hook: Hook,
    /// Whether the ports drop what must not be received before the kernel makes a packet of it.
    pub xdp: Xdp,
    /// Name of the port that is preferred over all others, whatever their priority. It may be none of `ports`, yet or
    /// any more.
    pub primary: Option<String>,
    /// When a better port than the active one takes over.
    pub reselect: Reselect,
    /// How many ports must be usable for the aggregate to have carrier. At least 1.
    pub min_ports: u8,
    /// The link watch of every port.
    pub link_watch: LinkWatch,
    /// What every port is watched by that has no watches of its own.
    pub watches: Watches,
    /// How many of its watches must find a port well.
    pub watch_policy: WatchPolicy,
    /// Whether ports that change too often are not taken for a while.
    pub hold_down: HoldDown,
    /// In wiring `over`: for how long no controller may have been at work, in milliseconds, before the programs leave
    /// the choice of the port to the driver.
    pub dead_after_ms: u32,
    /// In wiring `over`: how the bonding device that we make speaks LACP.
    pub lacp: LacpConfig,
    /// What the neighbours are told after the active port changed.
    pub announce: Announce,
    /// Promiscuous mode of the ports. `Auto`: while the aggregate itself is promiscuous, or a port's VLAN filter is
    /// fixed.
    pub promisc: Toggle,
    /// All-multicast mode of the ports. `Auto`: on, since nobody mirrors the aggregate's groups to the ports' filters.
    pub allmulti: Toggle,
    /// Who owns which MAC.
    pub mac_policy: MacPolicy,
    /// What becomes of the addresses that the ports have.
    pub addresses: Addresses,
    /// The ports, in the order in which they were named.
    pub ports: Vec<PortConfig>,
}

impl Default for AggregateConfig {
    /// What an option is unless it is given.
    fn default() -> Self {
        Self {
            name: String::new(),
            mode: Mode::default(),
            hash: HashConfig::default(),
            stride: 1,
            partner: None,
            vlan: VlanConfig::default(),
            wiring: Wiring::default(),
            device: Device::default(),
            hook: Hook::default(),
            xdp: Xdp::default(),
            primary: None,
            reselect: Reselect::default(),
            min_ports: 1,
            link_watch: LinkWatch::default(),
            watches: Watches::default(),
            watch_policy: WatchPolicy::default(),
            hold_down: HoldDown::default(),
            dead_after_ms: 250,
            lacp: LacpConfig::default(),
            announce: Announce::default(),
            promisc: Toggle::default(),
            allmulti: Toggle::default(),
            mac_policy: MacPolicy::default(),
            addresses: Addresses::default(),
            ports: Vec::new(),
        }
    }
}

impl AggregateConfig {
    /// An aggregate with default settings.
    #[must_use]
    pub fn new(name: impl Into<String>, ports: Vec<PortConfig>) -> Self {
        Self { name: name.into(), ports, ..Self::default() }
    }

    /// What the ports are connected to. Unless it was said, modes in which several ports carry traffic take their
    /// partner to know that they are one group.
    #[must_use]
    pub fn partner(&self) -> Partner {
        self.partner.unwrap_or(match self.mode {
            Mode::ActiveBackup => Partner::Plain,
            Mode::Hash | Mode::RoundRobin | Mode::Random => Partner::Lag,
        })
    }

    /// What a port is watched by.
    #[must_use]
    pub fn watches_of<'a>(&'a self, port: &'a PortConfig) -> &'a Watches {
        port.watches.as_ref().unwrap_or(&self.watches)
    }

    /// Name of the primary, if that is no port (any more).
    #[must_use]
    pub fn absent_primary(&self) -> Option<&str> {
        let primary = self.primary.as_deref()?;
        self.ports.iter().all(|port| port.name != primary).then_some(primary)
    }
}

/// What can be chosen about one port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PortConfig {
    /// Name of the interface.
    pub name: String,
    /// Preference; higher is better. bonding: `prio`, team: `prio`. Default 0.
    pub priority: i32,
    /// Once active, it stays active while it is usable, whatever better port comes back. team: `sticky`.
    pub sticky: bool,
    /// Its share of the traffic in proportion to the other ports' weights, where all carry traffic. 1 to 255, default
    /// 1.
    pub weight: u8,
    /// What it is watched by; `None`: as the aggregate's other ports.
    pub watches: Option<Watches>,
    /// Whether it may be used. team: `enabled`.
    pub enabled: bool,
}

impl Default for PortConfig {
    /// What a setting is unless it is given.
    fn default() -> Self {
        Self { name: String::new(), priority: 0, sticky: false, weight: 1, watches: None, enabled: true }
    }
}

impl PortConfig {
    /// A port with default settings.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }
}

/// When a port that is preferred over the active one takes over. bonding: `primary_reselect`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reselect {
    /// As soon as it is usable.
    #[default]
    Always,
    /// As soon as it is usable, if its speed (then its duplex) is better than the active port's.
    Better,
    /// Only when the active port fails.
    Failure,
}

/// Settings of a link watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LinkWatch {
    /// How long a link must be up before the port is usable, in milliseconds. Skipped while no other port is usable.
    pub up_delay_ms: u32,
    /// How long a link must be down before the port is given up, in milliseconds.
    pub down_delay_ms: u32,
    /// How often each port's link is asked for, in milliseconds; kernel events come besides. At least 1.
    pub poll_ms: u32,
}

impl Default for LinkWatch {
    fn default() -> Self {
        Self { up_delay_ms: 0, down_delay_ms: 0, poll_ms: 10 }
    }
}

/// What the neighbours are told after the active port changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Announce {
    /// How many times each address is announced. Zero: not at all.
    pub count: u8,
    /// Pause between two rounds, in milliseconds.
    pub interval_ms: u32,
    /// How many times the groups are reported that are received. Zero: not at all.
    pub groups: u8,
}

impl Default for Announce {
    fn default() -> Self {
        Self { count: 3, interval_ms: 100, groups: 1 }
    }
}

/// A setting that can be left to aggctl.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Toggle {
    /// As needed.
    #[default]
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

/// Who owns which MAC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MacPolicy {
    /// All ports have the aggregate's.
    #[default]
    SameAll,
    /// Each port has its own, and the aggregate that of the active port. In mode `active-backup` only.
    ByActive,
    /// The active port has the aggregate's, each other its own. In mode `active-backup` only.
    OnlyActive,
}

impl MacPolicy {
    /// Whether ports must let frames in that are for another MAC than theirs, so that any of them can take over.
    #[must_use]
    pub const fn needs_all_frames(self) -> bool {
        !matches!(self, Self::SameAll)
    }
}

/// What becomes of the addresses and routes that the ports have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Addresses {
    /// They move to the aggregate, and back on detach.
    #[default]
    Move,
    /// The ports must have none.
    None,
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// The object without one of its fields, at any depth: every way to leave one out.
    fn without_one(object: &Value) -> Vec<Value> {
        let fields = object.as_object().into_iter().flatten();
        let mut all = Vec::new();
        for (key, inner) in fields {
            let mut without = object.clone();
            without.as_object_mut().unwrap().remove(key);
            all.push(without);
            for inner in without_one(inner) {
                let mut changed = object.clone();
                changed[key] = inner;
                all.push(changed);
            }
        }
        all
    }

    #[test]
    fn what_an_older_record_does_not_have_is_as_it_is_by_default() {
        let config = AggregateConfig::default();
        let all = without_one(&serde_json::to_value(&config).unwrap());
        assert!(all.len() > 20);
        for older in all {
            assert_eq!(serde_json::from_value::<AggregateConfig>(older.clone()).unwrap(), config, "{older}");
        }
        let port = PortConfig::default();
        for older in without_one(&serde_json::to_value(&port).unwrap()) {
            assert_eq!(serde_json::from_value::<PortConfig>(older).unwrap(), port);
        }
    }
}
