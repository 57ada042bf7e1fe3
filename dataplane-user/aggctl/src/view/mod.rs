//! What `show` shows: one picture, for people and for programs.

mod driver;
mod early;
mod held;
mod lost;
mod model;
pub mod notice;
mod spread;
pub mod text;
mod time;
mod truth;
mod watches;

use std::collections::{BTreeMap, BTreeSet};

use aggctl_common::{PortId, Ports};
use aggctl_engine::{
    host::Link,
    record::{Phase, PortRecord, Record},
    settings::Settings,
    status::{AggregateStatus, PortState, PortStatus},
};
use aggctl_kernel::{
    dataplane::{Dataplane, DropCount},
    ethtool, foreign,
    netlink::Netlink,
    state::Store,
};
pub use early::EarlyView;
pub use lost::LostView;
pub use model::{AggregateView, ControllerView, PortView, SCHEMA};
pub use spread::{Bucket, PublishedSpread};

use crate::{
    api::{Answer, Client, Request, Unanswered},
    controller::RecordBehind,
    failure::Failure,
};

/// Looks at an aggregate: asks its controller, or without one the pinned maps. `with_buckets` also looks at every
/// bucket. `None` if there is none.
///
/// # Errors
/// If the system cannot be asked.
pub fn look(store: &Store, netlink: &mut Netlink, with_buckets: bool) -> Result<Option<AggregateView>, Failure> {
    let asked = ask(store)?;
    let controller = ControllerView::of(store, &asked);
    let (silent, running) = (matches!(asked, ControllerReply::Silent), matches!(asked, ControllerReply::Told(_)));
    let (status, told, behind) = match asked {
        ControllerReply::Told(live) => (Some(live.status), live.record, live.behind),
        ControllerReply::Nobody | ControllerReply::Silent => (None, None, None),
    };
    let (record, damage) = match told {
        Some(record) => (*record, None),
        None => match store.find()? {
            Some(found) => (found.record, found.damage),
            None => return Ok(None),
        },
    };
    // An index alone proves nothing.
    let is_ours = |link: &Link| link.name == record.config.name || link.mac == record.mac;
    let interface = netlink.link(record.index)?.filter(is_ours);
    let mut links = BTreeMap::new();
    for port in &record.ports {
        // An index alone proves nothing.
        let link = port.index.map(|index| netlink.link(index)).transpose()?.flatten();
        if let Some(link) = link.filter(|link| record.is_still(link, port)) {
            links.insert(port.id, link);
        }
    }
    let dataplane = Dataplane::at(store.pins(), Settings::of(&record.config));
    let drops = dataplane.drops().unwrap_or_default();
    let spread = PublishedSpread::of(&dataplane).unwrap_or_default();
    let mut status = match status {
        Some(status) => status,
        None => {
            let table = dataplane.table().map(|table| table.load()).unwrap_or_default();
            let table = if dataplane.asks_kernel() { as_programs_see(table, &links) } else { table };
            let why = unasked(store.name(), record.phase, silent);
            orphaned(store, &record, &links, &table, &why)
        }
    };
    let defects = truth::defects(store, &record, &status, interface.as_ref(), &links, running)?;
    truth::correct(&mut status, &record, interface.as_ref(), &links, running);
    let mut ports = Vec::new();
    for port in &record.ports {
        let told = status.ports.iter().find(|status| status.id == port.id);
        let share = spread.as_ref().map(|spread| spread.share(port.id));
        let link = links.get(&port.id);
        // Until all has moved, what it has is its own.
        let foreign = match link.filter(|_| record.phase == Phase::Attached && record.config.wiring.has_pair()) {
            Some(link) => foreign::look(netlink, link)?,
            None => BTreeSet::new(),
        };
        let early = link.and_then(|link| EarlyView::of(&dataplane, &record.config, port, link));
        ports.push(PortView { share, foreign, early, ..look_at_port(netlink, port, told, link, &drops)? });
    }
    let name = |id| ports.iter().zip(&record.ports).find(|(_, port)| port.id == id).map(|(view, _)| view.name.clone());
    let bucket_ports = spread.filter(|_| with_buckets).and_then(|spread| spread.names(name));
    let table = dataplane.table().map(|table| table.load()).unwrap_or_default();
    let driver = driver::DriverView::of(&record, interface.as_ref(), &dataplane, &table);
    let view = AggregateView::new(store.name(), &record, interface.as_ref(), &status, controller, ports, &drops);
    let failover_path = if dataplane.asks_kernel() { Some("kernel") } else { view.failover_path };
    let (record_behind, record_damage) = (behind, damage);
    Ok(Some(AggregateView { driver, bucket_ports, defects, failover_path, record_behind, record_damage, ..view }))
}

/// What a live controller tells.
struct ControllerState {
    status: AggregateStatus,
    record: Option<Box<Record>>,
    behind: Option<RecordBehind>,
}

/// What came of asking a controller.
enum ControllerReply {
    /// What it knows.
    Told(Box<ControllerState>),
    /// There is none.
    Nobody,
    /// There is one, and it does not answer.
    Silent,
}

/// Asks the controller, if one runs.
fn ask(store: &Store) -> Result<ControllerReply, Failure> {
    match Client::ask(&store.socket(), &Request::Status) {
        Ok((_, Answer::Status { status, record, behind })) => {
            Ok(ControllerReply::Told(Box::new(ControllerState { status, record, behind })))
        }
        Ok(_) | Err(Unanswered::Nobody) => Ok(ControllerReply::Nobody),
        Err(Unanswered::Silent | Unanswered::Gone) => Ok(ControllerReply::Silent),
        Err(Unanswered::Failed(failure)) => Err(failure),
    }
}

fn look_at_port(
    netlink: &mut Netlink,
    port: &PortRecord,
    told: Option<&PortStatus>,
    link: Option<&Link>,
    drops: &[DropCount],
) -> Result<PortView, Failure> {
    let counters = link.map(|link| netlink.counters(link.index)).transpose()?.flatten();
    // A driver that cannot tell leaves the speed unknown.
    let speed = link.and_then(|link| ethtool::settings(&link.name).ok().flatten());
    Ok(PortView::new(port, told, link, counters.as_ref(), speed.as_ref(), drops))
}

/// The table as programs go by it that look for the links of the ports themselves.
fn as_programs_see(table: Ports, links: &BTreeMap<PortId, Link>) -> Ports {
    let up = links.iter().filter(|(_, link)| link.admin_up && link.carrier).fold(0, |mask, (id, _)| mask | id.bit());
    let usable = table.usable & up;
    if usable == 0 { table } else { Ports { usable, ..table } }
}

/// What can be told of an aggregate whose controller cannot be asked.
fn orphaned(
    store: &Store,
    record: &Record,
    links: &BTreeMap<PortId, Link>,
    table: &Ports,
    why: &str,
) -> AggregateStatus {
    let active = table.choose();
    let memory: aggctl_engine::aggregate::Memory = store.memory().ok().flatten().unwrap_or_default();
    let ports: Vec<_> = record
        .ports
        .iter()
        .map(|port| {
            let link = links.get(&port.id);
            let usable = table.usable & port.id.bit() != 0;
            PortStatus {
                id: port.id,
                name: port.config.name.clone(),
                link: link.is_some_and(|link| link.admin_up && link.carrier),
                usable,
                state: match (active == Some(port.id), usable) {
                    (_, true) if record.config.mode.shares() => PortState::Sharing,
                    (true, _) => PortState::Active,
                    (false, true) => PortState::Standby,
                    (false, false) if !port.config.enabled => PortState::Disabled,
                    (false, false) if link.is_some_and(|link| !link.admin_up) => PortState::Disabled,
                    (false, false) => PortState::Down,
                },
                link_failures: memory.link_failures.get(&port.id).copied().unwrap_or_default(),
                why: why.to_owned(),
                held: None,
                changed_ms: None,
                watches: Vec::new(),
            }
        })
        .collect();
    let enough = ports.iter().filter(|port| port.usable).count() >= usize::from(record.config.min_ports);
    let active = active.filter(|_| !record.config.mode.shares());
    let mut status = AggregateStatus { carrier: enough, active, ports, ..AggregateStatus::default() };
    memory.changes.date(&mut status);
    status
}

/// Why nobody says more about a port than the maps.
fn unasked(name: &str, phase: Phase, silent: bool) -> String {
    match phase {
        Phase::Attached if silent => "as the maps say; the controller does not answer, and may not watch".to_owned(),
        Phase::Attached => format!("as the last controller left it; nobody watches its link: `aggctl adopt {name}`"),
        Phase::Attaching => "being attached".to_owned(),
        Phase::Detaching => format!("being detached; `aggctl detach {name}` finishes it"),
        Phase::Undoing => format!("not everything could be undone; `aggctl detach {name} --force` tries it again"),
    }
}
