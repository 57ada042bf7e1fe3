//! What the checks look at.

use std::collections::{BTreeMap, BTreeSet};

use aggctl_common::IfIndex;

use crate::{
    config::{AggregateConfig, Hook, PortConfig},
    conflict::Conflict,
    foreign::Foreign,
    host::{Host, Link, XdpProgram},
    record::Phase,
    status::PortState,
};

/// The picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// The kernel.
    pub kernel: KernelFacts,
    /// Interfaces, addresses and routes of the network namespace.
    pub host: Host,
    /// The aggregates that are looked at.
    pub aggregates: Vec<AggregateFacts>,
}

impl Facts {
    /// The name of an interface, or what stands for it.
    pub(super) fn name_of(&self, index: IfIndex) -> String {
        self.host.links.get(&index).map_or_else(|| format!("interface {index}"), |link| link.name.clone())
    }
}

/// What the kernel can do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelFacts {
    /// Its release, as `uname -r` has it.
    pub release: String,
    /// Why programs cannot ask it for the link of a port; `None`: they can.
    pub links_unread: Option<String>,
    /// How many packets `rp_filter` dropped in this network namespace since that was made (`IPReversePathFilter`);
    /// `None`: the kernel does not say.
    pub reverse_path_drops: Option<u64>,
}

/// An aggregate.
#[derive(Clone, Debug, PartialEq)]
pub struct AggregateFacts {
    /// Its name.
    pub name: String,
    /// Why its record cannot be read, and what to do; then nothing else is known of it.
    pub unreadable: Option<String>,
    /// Its options, with what is in use for what was left to us.
    pub config: AggregateConfig,
    /// Where in its life it is.
    pub phase: Phase,
    /// Its interface; `None`: gone.
    pub link: Option<Link>,
    /// Seconds until its attach is undone unless confirmed.
    pub confirm_within: Option<u64>,
    /// Why the record on disk is behind what the controller knows.
    pub record_behind: Option<String>,
    /// Why the record was read from another copy than the first.
    pub record_damage: Option<String>,
    /// Its controller.
    pub controller: ControllerFacts,
    /// The guardian of that.
    pub guardian: Guardian,
    /// In wiring `over`: why the driver chooses the port, if it does.
    pub driver_decides: Option<String>,
    /// Whether the programs ask the kernel for the link of a port before they take it.
    pub asks_kernel: bool,
    /// What verification finds wrong.
    pub wrong: Vec<WrongPart>,
    /// The stricter of its own `rp_filter` and that of `all`: 0 off, 1 strict, 2 loose; `None`: no IPv4.
    pub rp_filter: Option<u8>,
    /// The hook that its programs are attached to.
    pub hook: Hook,
    /// Who else works on its ports.
    pub conflicts: Vec<Conflict>,
    /// Frames of the host that programs dropped since attach, by reason ([`aggctl_common::DropReason::name`]).
    pub tx_drops: BTreeMap<&'static str, u64>,
    /// How many of them for their VLAN, while it was looked ([`SAMPLE`](super::SAMPLE)).
    pub vlan_drops_now: u64,
    /// Its ports, in the order in which they joined.
    pub ports: Vec<PortFacts>,
}

impl AggregateFacts {
    /// Whether there is something to look at in detail.
    pub(super) fn is_in_place(&self) -> bool {
        self.unreadable.is_none() && self.phase == Phase::Attached && self.link.is_some()
    }

    /// The ports whose interfaces are there, with these.
    pub(super) fn present(&self) -> impl Iterator<Item = (&PortFacts, &Link)> {
        self.ports.iter().filter_map(|port| Some((port, port.link.as_ref()?)))
    }
}

/// A controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControllerFacts {
    /// None runs.
    None,
    /// This process, which does not answer.
    Silent(u32),
    /// This process, which answers.
    Answers(u32),
}

/// Who starts another controller if the present one dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guardian {
    /// A guardian.
    Lives,
    /// Nobody.
    None,
    /// The controller runs in the foreground: a service manager does.
    NotNeeded,
}

/// What verification finds wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongPart {
    /// A word for programs, as `defects` of `show --json` has it.
    pub kind: String,
    /// What is wrong, in words.
    pub what: String,
    /// What was or will be done about it, in words.
    pub done: String,
}

/// A port.
#[derive(Clone, Debug, PartialEq)]
pub struct PortFacts {
    /// Its name.
    pub name: String,
    /// Its settings.
    pub config: PortConfig,
    /// Its interface, with [its features](super::features) and what is attached to it; `None`: gone.
    pub link: Option<Link>,
    /// Whether it may carry traffic.
    pub usable: bool,
    /// Its part in the aggregate.
    pub state: PortState,
    /// Why it is, or is not, in use.
    pub why: String,
    /// Megabits per second, if its driver says.
    pub speed_mbps: Option<u32>,
    /// Whether it is full duplex, if its driver says.
    pub full_duplex: Option<bool>,
    /// How often its link went down since attach.
    pub link_failures: u64,
    /// The part of the traffic that the table gives it, 0 to 1, where several carry traffic.
    pub share: Option<f64>,
    /// What passed it since its interface was made.
    pub counters: Option<FrameCounts>,
    /// Frames received on it that programs dropped since it joined, by reason.
    pub rx_drops: BTreeMap<&'static str, u64>,
    /// What passed it while it was looked; `None`: that is not known.
    pub sample: Option<Sample>,
    /// The XDP program of others that it runs.
    pub foreign_xdp: Option<XdpProgram>,
    /// What others put on it.
    pub foreign: BTreeSet<Foreign>,
}

/// What passed an interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FrameCounts {
    /// Frames sent.
    pub sent: u64,
    /// Frames received.
    pub received: u64,
}

/// What passed a port while it was looked, for [`SAMPLE`](super::SAMPLE).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Frames sent.
    pub sent: u64,
    /// Frames received.
    pub received: u64,
    /// Of these, the ones that programs dropped for their VLAN.
    pub vlan_drops: u64,
    /// The frames of interest ([`frames_of_interest`](super::frames_of_interest)) that came in, as far as there was
    /// room to count them; 0 if none are of interest.
    pub frames: u64,
}
