//! What the owner wishes to be watched of ports: `--watch`, any number of times.

use std::net::IpAddr;

use aggctl_common::vlan::VlanId;
use serde::{Deserialize, Serialize};

/// Most targets of one watch; as many as bonding has.
pub const MAX_TARGETS: usize = 16;
/// Most watches of one port.
pub const MAX_WATCHES: usize = 16;

/// What a port is watched by. Never empty, and none is there twice. Written as on the command line, with `+` between
/// two: `link+arp,target=192.0.2.1`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Watches(pub(crate) Vec<WatchConfig>);

impl Default for Watches {
    /// The link alone.
    fn default() -> Self {
        Self(vec![WatchConfig::new(WatchKind::Link)])
    }
}

impl Watches {
    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[WatchConfig] {
        &self.0
    }

    /// Those that need more than the state of the link.
    pub fn beyond_link(&self) -> impl Iterator<Item = &WatchConfig> {
        self.0.iter().filter(|watch| watch.kind != WatchKind::Link)
    }

    /// Whether the link is one of them.
    #[must_use]
    pub fn has_link(&self) -> bool {
        self.0.iter().any(|watch| watch.kind == WatchKind::Link)
    }
}

/// How many of its watches must find a port well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WatchPolicy {
    /// Each of them.
    #[default]
    All,
    /// One of them.
    Any,
}

impl WatchPolicy {
    /// The verdict of several.
    #[must_use]
    pub fn of(self, mut verdicts: impl Iterator<Item = bool>) -> bool {
        match self {
            Self::All => verdicts.all(|verdict| verdict),
            Self::Any => verdicts.any(|verdict| verdict),
        }
    }
}

/// What a watch looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum WatchKind {
    /// The link, as its driver reports it.
    #[default]
    Link,
    /// Whether IPv4 neighbours answer ARP requests that leave by the port.
    Arp,
    /// Whether IPv6 neighbours answer solicitations that leave by the port.
    Ns,
    /// Whether anything is received while other ports receive.
    Traffic,
    /// How fast the port's error counters grow.
    Errors,
}

impl WatchKind {
    /// All, by all their names: their own, then teamd's.
    pub const ALL: [(Self, &'static [&'static str]); 5] = [
        (Self::Link, &["link", "ethtool"]),
        (Self::Arp, &["arp", "arp_ping"]),
        (Self::Ns, &["ns", "nsna_ping"]),
        (Self::Traffic, &["traffic"]),
        (Self::Errors, &["errors"]),
    ];

    /// Its own name.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).and_then(|(_, names)| names.first()).copied().unwrap_or("")
    }

    /// Whether it asks neighbours.
    #[must_use]
    pub const fn asks(self) -> bool {
        matches!(self, Self::Arp | Self::Ns)
    }

    /// Whether it can ask this address: a unicast one of its family.
    #[must_use]
    pub fn can_ask(self, target: IpAddr) -> bool {
        let fits = match target {
            IpAddr::V4(address) => self == Self::Arp && !address.is_broadcast(),
            IpAddr::V6(_) => self == Self::Ns,
        };
        fits && !target.is_multicast() && !target.is_unspecified() && !target.is_loopback()
    }

    /// The names of its settings in the table of options.
    #[must_use]
    pub const fn settings(self) -> &'static [&'static str] {
        match self {
            Self::Link => &[],
            Self::Arp => &["target", "need", "interval", "missed-max", "init-wait", "source", "vlan", "validate"],
            Self::Ns => &["target", "need", "interval", "missed-max", "init-wait", "vlan", "validate"],
            Self::Traffic => &["idle"],
            Self::Errors => &["limit", "within", "calm"],
        }
    }
}

/// One watch. A setting that its kind does not have is as it is by default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchConfig {
    /// What it looks at.
    pub kind: WatchKind,
    /// Who is asked. At least one where neighbours are asked.
    pub targets: Vec<IpAddr>,
    /// How many targets must answer.
    pub need: WatchPolicy,
    /// Between two questions, milliseconds.
    pub interval_ms: u32,
    /// How many questions in a row may go without answer: with this many the target counts as out of reach.
    pub missed_max: u8,
    /// From the moment that the link is up to the first question, milliseconds.
    pub init_wait_ms: u32,
    /// Whom an ARP request says that it is from; `None`: nobody (0.0.0.0).
    pub source: Option<IpAddr>,
    /// The VLAN in which is asked, by the tag that frames have on the aggregate; `None`: no tag there.
    pub vlan: Option<VlanId>,
    /// What counts as an answer.
    pub validate: Validate,
    /// For how long nothing may be received while other ports receive, milliseconds.
    pub idle_ms: u32,
    /// How many errors there may be in [`WatchConfig::within_ms`].
    pub limit: u32,
    /// The time in which errors are counted, milliseconds.
    pub within_ms: u32,
    /// For how long errors must stay within the limit before the port is trusted again, milliseconds.
    pub calm_ms: u32,
}

impl Default for WatchConfig {
    fn default() -> Self {
        Self {
            kind: WatchKind::Link,
            targets: Vec::new(),
            need: WatchPolicy::Any,
            interval_ms: 200,
            missed_max: 3,
            init_wait_ms: 0,
            source: None,
            vlan: None,
            validate: Validate::All,
            idle_ms: 3_000,
            limit: 100,
            within_ms: 1_000,
            calm_ms: 10_000,
        }
    }
}

impl WatchConfig {
    /// A watch with default settings.
    #[must_use]
    pub fn new(kind: WatchKind) -> Self {
        Self { kind, ..Self::default() }
    }
}

/// What counts as an answer, on ports that carry traffic and on those that wait. bonding: `arp_validate`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Validate {
    /// On all ports only an answer of the target to this very port.
    #[default]
    All,
    /// So on ports that carry traffic; on the others whatever is received.
    Active,
    /// So on ports that wait; on the others whatever is received.
    Standby,
    /// On all ports whatever is received.
    None,
    /// On all ports any ARP frame (neighbour discovery with `ns`), of whomever.
    Filter,
    /// As `active`, and on the others any ARP frame.
    FilterActive,
    /// As `standby`, and on the others any ARP frame.
    FilterStandby,
}

/// What counts as an answer on one port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counts {
    /// An answer of the target to this port.
    Answers,
    /// Any frame of the protocol.
    Protocol,
    /// Any frame.
    Anything,
}

impl Validate {
    /// What counts on a port that carries traffic, or waits.
    #[must_use]
    pub const fn on(self, carries: bool) -> Counts {
        match (self, carries) {
            (Self::All, _) => Counts::Answers,
            (Self::Active | Self::FilterActive, true) | (Self::Standby | Self::FilterStandby, false) => Counts::Answers,
            (Self::Active, false) | (Self::Standby, true) | (Self::None, _) => Counts::Anything,
            (Self::Filter, _) | (Self::FilterActive, false) | (Self::FilterStandby, true) => Counts::Protocol,
        }
    }
}
