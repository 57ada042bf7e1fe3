//! The controller: the loop that passes what the kernel reports to the engine, and what the engine decides to the
//! kernel.
//!
//! It decides nothing itself. It runs on one thread: every action is a short system call, and events that arrive
//! meanwhile wait in the socket. Reads that may take long are made on another thread: see [`host_read`].

mod act;
mod begin;
mod bound;
mod clock;
mod disk;
mod downstream;
mod early;
mod event_loop;
mod foreign;
mod gone;
mod heartbeat;
mod host_read;
mod late;
mod links;
mod macs;
mod mirror;
mod outgoing;
mod over;
mod place;
mod poll;
mod ports;
mod programs;
mod rename;
mod requests;
mod returning;
mod signals;
mod start;
mod verify;
mod watching;

use std::time::{Duration, Instant};

use aggctl_engine::{
    Action, Event,
    aggregate::{Aggregate, Memory},
    changes::LastChanges,
    record::Record,
    status::AggregateStatus,
};
use aggctl_kernel::{
    dataplane::PortsTable,
    ethtool::Carriers,
    execute::Executor,
    packet::PacketSender,
    state::{Lock, Store},
    watch::Watcher,
};
use tracing::warn;

pub use self::{
    begin::{run, run_when},
    clock::sleep_until,
    disk::RecordBehind,
    start::{Start, Supervisor},
};
use self::{
    bound::BoundSockets, disk::Disk, downstream::Downstream, foreign::OnPorts, heartbeat::Heartbeat, links::Links,
    mirror::Mirror, outgoing::Outgoing, over::DriverFollower, place::OwnNamespace, ports::Leaving,
    returning::Returning, signals::Signals, verify::Verifier, watching::PortWatches,
};
use crate::{api::Server, failure::Failure, operation};

/// The running controller.
struct Controller {
    store: Store,
    record: Record,
    engine: Aggregate,
    executor: Executor,
    table: PortsTable,
    listening: BoundSockets,
    sender: PacketSender,
    outgoing: Outgoing,
    /// The frames that tell where all is that the aggregate carries.
    downstream: Downstream,
    watcher: Watcher,
    server: Server,
    links: Links,
    returning: Returning,
    carriers: Carriers,
    watching: PortWatches,
    leaving: Vec<Leaving>,
    port_changes: ports::PortChanges,
    mirror: Mirror,
    disk: Disk,
    verifier: Verifier,
    changes: LastChanges,
    foreign: OnPorts,
    /// In wiring `over`.
    over: Option<DriverFollower>,
    /// Until when what comes to the ports goes to the aggregate.
    late: Option<Instant>,
    place: OwnNamespace,
    heartbeat: Heartbeat,
    clock: Instant,
    /// Since boot, when the clock began: the engine's time goes on from one controller to the next.
    began: Duration,
    signals: Signals,
    lock: Lock,
}

/// Whether the loop goes on.
#[derive(Debug, PartialEq, Eq)]
enum LoopControl {
    Go,
    End,
}

impl Controller {
    fn new(
        store: Store,
        lock: Lock,
        record: Record,
        mut watcher: Watcher,
        server: Server,
        heartbeat: Heartbeat,
        signals: Signals,
    ) -> Result<Self, Failure> {
        if !record.config.wiring.has_pair() {
            watcher.follow_teams()?;
        }
        let members = record.ports.iter().map(ports::member).collect();
        let remembered = operation::memory(&store);
        let mut executor = operation::executor(&store, &record)?;
        let table = executor.dataplane.table()?;
        // Ports may have gone and come back while nobody watched.
        table.find_devices();
        // What was written may be out of date, or lost: the programs go by the table, and a driver by itself.
        let active = over::active(&mut executor.netlink, &record)?.or_else(|| table.load().choose());
        let known = Memory { active: active.or(remembered.active), ..remembered.clone() };
        Ok(Self {
            engine: Aggregate::new(record.config.clone(), members, record.mac, &known),
            changes: remembered.changes.clone(),
            disk: Disk::new(remembered),
            table,
            verifier: Verifier::of(&executor)?,
            over: DriverFollower::begin(&executor, &record.config)?,
            listening: BoundSockets::new(executor.dataplane.bound()?),
            executor,
            sender: PacketSender::open()?,
            outgoing: Outgoing::default(),
            downstream: Downstream::default(),
            watcher,
            server,
            links: Links::default(),
            returning: Returning::default(),
            carriers: Carriers::open()?,
            watching: PortWatches::default(),
            leaving: Vec::new(),
            port_changes: ports::PortChanges::default(),
            mirror: Mirror::default(),
            foreign: OnPorts::default(),
            late: None,
            place: OwnNamespace::here(heartbeat.has_guardian())?,
            heartbeat,
            clock: Instant::now(),
            began: Duration::from_nanos(operation::boot_time()),
            signals,
            store,
            record,
            lock,
        })
    }

    /// Tells the engine, and does what it answers. An event that it refuses changes nothing.
    fn feed(&mut self, event: Event) {
        if let Err(refusal) = self.try_feed(event) {
            warn!(%refusal, "the engine refused an event");
        }
    }

    fn try_feed(&mut self, event: Event) -> Result<(), aggctl_engine::aggregate::EventRefusal> {
        let actions = self.engine.on_event(self.began + self.clock.elapsed(), event)?;
        let mut refused = None;
        for action in actions {
            // An MTU that one port does not take the others are not asked to take.
            if refused.is_none() || !matches!(action, Action::SetPortMtu { .. }) {
                refused = self.act(&action).or(refused);
            }
        }
        if self.engine.carrier().is_some() {
            self.changes.note(clock::now_ms(), &self.engine.status());
        }
        self.tell_watches();
        self.remember();
        refused.map_or(Ok(()), |event| self.try_feed(event))
    }

    /// Writes the time of day until which ports are held down.
    fn date_holds(&self, status: &mut AggregateStatus) {
        let (now, now_ms) = (self.began + self.clock.elapsed(), clock::now_ms());
        for held in status.ports.iter_mut().filter_map(|port| port.held.as_mut()) {
            let left = u64::try_from(held.until.saturating_sub(now).as_millis()).unwrap_or(u64::MAX);
            held.until_ms = Some(now_ms.saturating_add(left));
        }
    }

    /// The state, for people.
    fn present_status(&self) -> AggregateStatus {
        let mut status = self.engine.status();
        self.changes.date(&mut status);
        self.date_holds(&mut status);
        self.watching.complete(&mut status);
        status.defects = self.verifier.defects(self.clock);
        status.repairs = self.verifier.repairs(self.clock);
        status
    }
}
