//! The JSON of `show`: stable, versioned; what is not known is null.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use aggctl_common::{Mac, PortId};
use aggctl_engine::{
    config::{AggregateConfig, PortConfig},
    foreign::Foreign,
    host::Link,
    options,
    record::{Phase, PortRecord, Record},
    status::{AggregateStatus, PortState, PortStatus, RepairStatus},
};
use aggctl_kernel::{dataplane::DropCount, ethtool::LinkSettings, netlink::link::LinkCounters, state::Store};
use serde::{Serialize, Serializer, ser::SerializeMap as _};
use serde_json::{Map, Value};

use super::{ControllerReply, EarlyView, driver::DriverView, held::HeldView, time::rfc3339, watches::WatchView};
use crate::{controller::RecordBehind, operation::boot_time};

/// Version of the layout. It changes when a field changes its meaning or goes; new fields may come without.
pub const SCHEMA: u32 = 1;

/// An aggregate.
#[derive(Debug, Serialize)]
pub struct AggregateView {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Its name.
    pub name: String,
    /// Where in its life it is.
    #[serde(skip)]
    pub phase: Phase,
    /// Number of its interface; null if that is gone.
    pub ifindex: Option<u32>,
    /// Whether its interface is there.
    pub present: bool,
    /// Whether its interface is administratively up; null if it is gone.
    pub admin_up: Option<bool>,
    /// Its options, as the table of options has them.
    #[serde(flatten)]
    pub options: Map<String, Value>,
    /// The same, with what is in use for what was left to us.
    #[serde(skip)]
    pub config: AggregateConfig,
    /// Its MAC.
    pub mac: Mac,
    /// Why its MAC policy is another one than was asked for, if it is.
    pub mac_policy_why: Option<String>,
    /// Its MTU, octets.
    pub mtu: Option<u32>,
    /// Whether at least `min_ports` ports are usable, and the interface is up and has carrier.
    pub carrier: bool,
    /// When carrier or the active port changed last, as RFC 3339 has it.
    pub last_change: Option<String>,
    /// The same in milliseconds since the Unix epoch.
    pub last_change_ms: Option<u64>,
    /// Name of the port that carries the traffic; null where all do.
    pub active_port: Option<String>,
    /// Whether the primary is a port at present; null if none was chosen.
    pub primary_is_port: Option<bool>,
    /// Name of the port on which broadcast and multicast are accepted, where several receive the same.
    pub designated_port: Option<String>,
    /// How a failing link is seen: `poll` (besides kernel events); null if nobody looks.
    pub failover_path: Option<&'static str>,
    /// In wiring `over`: the driver, and who chooses the port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub driver: Option<DriverView>,
    /// Seconds until the attach is undone unless confirmed.
    pub confirm_within: Option<u64>,
    /// Its controller.
    pub controller: ControllerView,
    /// That the record on disk is behind what the controller knows: since when (milliseconds since the Unix epoch) and
    /// why.
    pub record_behind: Option<RecordBehind>,
    /// Why the record was read from its second copy, if it was.
    pub record_damage: Option<String>,
    /// Frames of the host that were dropped, by reason.
    pub tx_drops: BTreeMap<&'static str, u64>,
    /// What is wrong now.
    pub defects: Vec<DefectView>,
    /// What was wrong lately and was repaired, the latest last.
    pub repairs: Vec<RepairView>,
    /// Its ports, in the order in which they joined.
    pub ports: Vec<PortView>,
    /// Name of each bucket's port, where that was asked for and there are buckets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bucket_ports: Option<Vec<Option<String>>>,
}

/// A controller.
#[derive(Debug, Serialize)]
pub struct ControllerView {
    /// Whether one runs.
    pub running: bool,
    /// Whether it answers; null if none runs.
    pub answers: Option<bool>,
    /// Its process.
    pub pid: Option<u32>,
}

impl ControllerView {
    /// What there is to say of a controller that was asked.
    pub(super) fn of(store: &Store, asked: &ControllerReply) -> Self {
        let answers = match asked {
            ControllerReply::Told(_) => Some(true),
            ControllerReply::Silent => Some(false),
            ControllerReply::Nobody => None,
        };
        let pid = answers.and_then(|_| store.holder());
        Self { running: answers.is_some() && pid.is_some(), answers: answers.filter(|_| pid.is_some()), pid }
    }
}

/// Something that is not as it should be.
#[derive(Debug, Serialize)]
pub struct DefectView {
    /// A word for programs.
    pub defect: String,
    /// What is wrong, in words.
    pub what: String,
    /// Since when, as RFC 3339 has it, if the controller found it.
    pub since: Option<String>,
    /// What was done about it, or will be, in words.
    pub done: String,
}

/// Something that was repaired.
#[derive(Debug, Serialize)]
pub struct RepairView {
    /// What was wrong, in words.
    pub what: String,
    /// When it was repaired last, as RFC 3339 has it.
    pub at: String,
    /// How many times.
    pub times: u32,
}

/// A port.
#[derive(Debug, Serialize)]
pub struct PortView {
    /// Its name.
    pub name: String,
    /// Number of its interface; null if that is gone.
    pub ifindex: Option<u32>,
    /// Whether its interface is there.
    pub present: bool,
    /// Whether its interface is administratively up; null if it is gone.
    pub admin_up: Option<bool>,
    /// `up` or `down`, before any delay.
    pub link: &'static str,
    /// Whether it may carry traffic.
    pub usable: bool,
    /// Its part in the aggregate.
    pub state: PortState,
    /// Its settings, as the table of options has them.
    #[serde(flatten)]
    pub options: Map<String, Value>,
    /// The same.
    #[serde(skip)]
    pub config: PortConfig,
    /// The part of the traffic that it gets, 0 to 1; null where one port carries all.
    pub share: Option<f64>,
    /// Its speed, megabits per second.
    pub speed_mbps: Option<u32>,
    /// `full` or `half`.
    pub duplex: Option<&'static str>,
    /// Its present MAC.
    pub mac: Option<Mac>,
    /// Its own MAC: the permanent one, else the one before it became a port.
    pub permanent_mac: Mac,
    /// Whether its promiscuous flag is set.
    pub promisc: Option<bool>,
    /// How many times its link went down since attach.
    pub link_failures: u64,
    /// Why it is, or is not, in use.
    pub why: String,
    /// That it is held down, if it is.
    pub held_down: Option<HeldView>,
    /// What each of its watches says; empty if no controller tells.
    pub watches: Vec<WatchView>,
    /// When its link or its state changed last, as RFC 3339 has it.
    pub last_change: Option<String>,
    /// The same in milliseconds since the Unix epoch.
    pub last_change_ms: Option<u64>,
    /// Frames sent, by the interface's own count.
    pub tx_packets: Option<u64>,
    /// Octets sent.
    pub tx_bytes: Option<u64>,
    /// Frames received.
    pub rx_packets: Option<u64>,
    /// Octets received.
    pub rx_bytes: Option<u64>,
    /// Frames received and dropped, by the interface or by our program.
    pub rx_dropped: Option<u64>,
    /// Of these, the ones that our program dropped, by reason.
    pub rx_drops: BTreeMap<&'static str, u64>,
    /// What it drops early by, as `xdp` and `xdp_why`; null where the kernel does not say.
    #[serde(flatten, serialize_with = "early")]
    pub early: Option<EarlyView>,
    /// What others put on it: addresses, routes, a master.
    pub foreign: BTreeSet<Foreign>,
}

impl AggregateView {
    pub(super) fn new(
        name: &str,
        record: &Record,
        interface: Option<&Link>,
        status: &AggregateStatus,
        controller: ControllerView,
        ports: Vec<PortView>,
        drops: &[DropCount],
    ) -> Self {
        let config = record.in_use();
        let name_of =
            |id: Option<PortId>| status.ports.iter().find(|port| Some(port.id) == id).map(|port| port.name.clone());
        let left = |at: u64| Duration::from_nanos(at.saturating_sub(boot_time())).as_secs();
        Self {
            schema: SCHEMA,
            name: name.to_owned(),
            phase: record.phase,
            ifindex: interface.map(|link| link.index.0),
            present: interface.is_some(),
            admin_up: interface.map(|link| link.admin_up),
            options: options::json(&config),
            mac: interface.map_or(record.mac, |link| link.mac),
            mac_policy_why: record.mac_fallback.clone(),
            mtu: interface.map(|link| link.mtu),
            carrier: status.carrier && interface.is_some_and(|link| link.admin_up && link.carrier),
            last_change: status.changed_ms.map(rfc3339),
            last_change_ms: status.changed_ms,
            active_port: name_of(status.active),
            primary_is_port: config.primary.as_ref().map(|_| config.absent_primary().is_none()),
            designated_port: name_of(status.designated),
            failover_path: (controller.answers == Some(true)).then_some("poll"),
            driver: None,
            confirm_within: record.confirm_by.map(left),
            controller,
            record_behind: None,
            record_damage: None,
            tx_drops: reasons(drops, None),
            defects: Vec::new(),
            repairs: status.repairs.iter().map(RepairView::of).collect(),
            ports,
            bucket_ports: None,
            config,
        }
    }
}

impl AggregateView {
    /// The word that was chosen for an option.
    pub(super) fn word(&self, option: &str) -> String {
        options::find::<AggregateConfig>(option).map_or_else(String::new, |row| row.kind.words(&self.config))
    }
}

impl RepairView {
    fn of(repair: &RepairStatus) -> Self {
        Self { what: repair.what.clone(), at: rfc3339(repair.at_ms), times: repair.times }
    }
}

impl PortView {
    pub(super) fn new(
        port: &PortRecord,
        told: Option<&PortStatus>,
        link: Option<&Link>,
        counters: Option<&LinkCounters>,
        settings: Option<&LinkSettings>,
        drops: &[DropCount],
    ) -> Self {
        let rx_drops = reasons(drops, Some(port.id));
        let ours: u64 = rx_drops.values().sum();
        let held_down = told.and_then(|told| told.held).map(HeldView::of);
        Self {
            name: link.map_or_else(|| port.config.name.clone(), |link| link.name.clone()),
            ifindex: link.map(|link| link.index.0),
            present: link.is_some(),
            admin_up: link.map(|link| link.admin_up),
            link: if link.is_some_and(|link| link.admin_up && link.carrier) { "up" } else { "down" },
            usable: told.is_some_and(|told| told.usable),
            state: told.map_or(PortState::Down, |told| told.state),
            options: options::json(&port.config),
            config: port.config.clone(),
            share: None,
            speed_mbps: settings.and_then(|settings| settings.speed_mbps),
            duplex: settings.and_then(|settings| settings.full_duplex).map(|full| if full { "full" } else { "half" }),
            mac: link.map(|link| link.mac),
            permanent_mac: port.before.permanent_mac.unwrap_or(port.before.mac),
            promisc: link.map(|link| link.promisc),
            link_failures: told.map_or(0, |told| told.link_failures),
            why: match (told, &held_down) {
                (None, _) => String::new(),
                (Some(told), None) => told.why.clone(),
                (Some(told), Some(held)) => format!("{}; {held}", told.why),
            },
            held_down,
            watches: told.map(|told| told.watches.iter().map(WatchView::of).collect()).unwrap_or_default(),
            last_change: told.and_then(|told| told.changed_ms).map(rfc3339),
            last_change_ms: told.and_then(|told| told.changed_ms),
            tx_packets: counters.map(|counters| counters.tx_packets),
            tx_bytes: counters.map(|counters| counters.tx_bytes),
            rx_packets: counters.map(|counters| counters.rx_packets),
            rx_bytes: counters.map(|counters| counters.rx_bytes),
            rx_dropped: counters.map(|counters| counters.rx_dropped + ours),
            rx_drops,
            early: None,
            foreign: BTreeSet::new(),
        }
    }
}

/// The fields of [`PortView::early`].
#[allow(clippy::ref_option, reason = "the form that serde wants")]
fn early<S: Serializer>(early: &Option<EarlyView>, serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(2))?;
    map.serialize_entry("xdp", &early.map(|early| early.mode))?;
    map.serialize_entry("xdp_why", &early.and_then(|early| early.why))?;
    map.end()
}

/// The drops of a port, or those of frames that the host sent, by reason.
fn reasons(drops: &[DropCount], port: Option<PortId>) -> BTreeMap<&'static str, u64> {
    drops.iter().filter(|drop| drop.port == port).map(|drop| (drop.reason.name(), drop.packets)).collect()
}
