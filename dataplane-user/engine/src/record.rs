//! What is kept about an aggregate outside the controller's memory, so that anyone can adopt or undo it.

mod interfaces;
mod migrate;
mod remains;

use aggctl_common::{IfIndex, LAYOUT_VERSION, Mac, PortId};
use serde::{Deserialize, Serialize};

use crate::{
    config::{AggregateConfig, Device, Hook, MacPolicy, PortConfig, XdpMode},
    event::OwnFlags,
    host::{Address, Host, Link, NeighbourEntry, Nexthop, Route},
    identity::Identity,
    plan::Step,
};

pub use self::{
    migrate::{OLDEST_VERSION, migrate},
    remains::Remains,
};

/// Version of the record's layout. What changed: 4 has the present index of a port and its identity in fields of their
/// own, where 3 wrote the present index over `before.index`, and its steps by layer, each with what was and what shall
/// be; see [`migrate`].
pub const RECORD_VERSION: u32 = 4;

/// The record of an aggregate: the journal of what was done to the host and all that is needed to undo it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// [`RECORD_VERSION`].
    pub version: u32,
    /// How often it was written: of several copies the one with the highest number is the latest. 0: never, or by an
    /// older version, which had one place for it.
    #[serde(default)]
    pub sequence: u64,
    /// [`aggctl_common::LAYOUT_VERSION`] of the maps.
    pub layout: u32,
    /// Where in its life the aggregate is.
    pub phase: Phase,
    /// The owner's wish.
    pub config: AggregateConfig,
    /// The device that is in use ([`Device::Auto`] resolved).
    pub device: Device,
    /// The hook that is in use ([`Hook::Auto`] resolved).
    pub hook: Hook,
    /// Number of the aggregate's interface; [`IfIndex::NONE`] until it is made.
    pub index: IfIndex,
    /// Number of its peer; [`IfIndex::NONE`] until it is made.
    #[serde(rename = "hidden_index")]
    pub peer_index: IfIndex,
    /// Name of its peer.
    #[serde(rename = "hidden")]
    pub peer: String,
    /// In wiring `over`: the driver's device was made by us, and goes on detach.
    #[serde(default)]
    pub made: bool,
    /// The aggregate's MAC.
    pub mac: Mac,
    /// Why `config` has a MAC policy that nobody asked for, if it has: a port keeps its MAC.
    #[serde(default)]
    pub mac_fallback: Option<String>,
    /// The ports.
    pub ports: Vec<PortRecord>,
    /// The steps that were planned and how far they got. Undoing runs them backwards.
    pub journal: Vec<JournalEntry>,
    /// Addresses, routes and neighbours of the aggregate when last seen, should the interface be deleted by others.
    pub last_seen: Layer3,
    /// When the attach is undone unless confirmed: nanoseconds of CLOCK_BOOTTIME.
    pub confirm_by: Option<u64>,
}

impl Record {
    /// The record of an attach that begins, in [`Phase::Attaching`], with this wish, hook and MAC: it has no device, no
    /// ports and no steps yet.
    #[must_use]
    pub fn begin(config: AggregateConfig, hook: Hook, mac: Mac) -> Self {
        Self {
            version: RECORD_VERSION,
            sequence: 0,
            layout: LAYOUT_VERSION,
            phase: Phase::Attaching,
            config,
            device: Device::Auto,
            hook,
            index: IfIndex::NONE,
            peer_index: IfIndex::NONE,
            peer: String::new(),
            made: false,
            mac,
            mac_fallback: None,
            ports: Vec::new(),
            journal: Vec::new(),
            last_seen: Layer3::default(),
            confirm_by: None,
        }
    }

    /// Takes back what was changed since it was `former`. That does not make it an older copy.
    pub fn take_back(&mut self, former: Self) {
        *self = Self { sequence: self.sequence, ..former };
    }

    /// Whether the aggregate's device is ours: then it has what the ports had, and they get it back on detach.
    #[must_use]
    pub const fn has_own_device(&self) -> bool {
        self.made || self.config.wiring.has_pair()
    }

    /// The configuration that was asked for, where another one had to be taken.
    #[must_use]
    pub fn asked(&self) -> AggregateConfig {
        let config = self.config.clone();
        match self.mac_fallback {
            Some(_) => AggregateConfig { mac_policy: MacPolicy::default(), ..config },
            None => config,
        }
    }

    /// The configuration with what is in use for what was left to us.
    #[must_use]
    pub fn in_use(&self) -> AggregateConfig {
        let config = self.config.clone();
        AggregateConfig { device: self.device, hook: self.hook, partner: Some(config.partner()), ..config }
    }
}

/// Where in its life an aggregate is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The plan of the attach is being carried out.
    Attaching,
    /// It is in place.
    Attached,
    /// It is being undone.
    Detaching,
    /// It was undone, but for the steps in the journal: those could not be undone, and are to be tried again.
    Undoing,
}

/// A port, and what it was before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortRecord {
    /// Its slot.
    pub id: PortId,
    /// Its settings; the name is the present one.
    pub config: PortConfig,
    /// The index of its interface now; `None` from the moment that the interface is gone.
    #[serde(default)]
    pub index: Option<IfIndex>,
    /// In which mode it drops early, if it does.
    #[serde(default)]
    pub xdp: Option<XdpMode>,
    /// What its interface is known by, besides the name in `config`: an index alone proves nothing.
    pub identity: Identity,
    /// Its interface before it became a port, with the index that it had then; `promisc` and `allmulti` as its owner
    /// has changed them since.
    pub before: Link,
    /// The addresses that it had.
    pub addresses: Vec<Address>,
}

impl PortRecord {
    /// What the owner wants of its flags.
    #[must_use]
    pub fn own_flags(&self) -> OwnFlags {
        OwnFlags { promisc: self.before.promisc, allmulti: self.before.allmulti }
    }
}

/// A step of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalEntry {
    /// The step.
    pub step: Step,
    /// Whether carrying it out has begun (it may have taken effect).
    pub begun: bool,
}

impl JournalEntry {
    /// A step that is to be carried out.
    #[must_use]
    pub const fn planned(step: Step) -> Self {
        Self { step, begun: false }
    }
}

/// What lives on an interface above the link.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer3 {
    /// Its addresses.
    pub addresses: Vec<Address>,
    /// Routes that leave by it.
    pub routes: Vec<Route>,
    /// Nexthop objects that leave by it.
    pub nexthops: Vec<Nexthop>,
    /// Its neighbours.
    pub neighbours: Vec<NeighbourEntry>,
}

impl Layer3 {
    /// What `link` has.
    #[must_use]
    pub fn of(host: &Host, link: IfIndex) -> Self {
        Self {
            addresses: host.addresses.iter().filter(|address| address.link == link).cloned().collect(),
            routes: host.routes.iter().filter(|route| route.links.contains(&link)).cloned().collect(),
            nexthops: host.nexthops.iter().filter(|nexthop| nexthop.link == Some(link)).cloned().collect(),
            neighbours: host.neighbours.iter().filter(|neighbour| neighbour.link == link).cloned().collect(),
        }
    }
}
