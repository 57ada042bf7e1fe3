//! The controller: the loop that passes what the kernel reports to the engine, and what the engine decides to the
//! kernel.
//!
//! It decides nothing itself. It runs on one thread: every action is a short system call, and events that arrive
//! meanwhile wait in the socket. Reads that may take long are made on another thread: see [`aside`].

mod act;
mod aside;
mod bound;
mod clock;
mod disk;
mod downstream;
mod early;
mod foreign;
mod gone;
mod heartbeat;
mod late;
mod links;
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

use std::{
    future::ready,
    rc::Rc,
    time::{Duration, Instant},
};

use aggctl_engine::{
    Action, Event,
    aggregate::{Aggregate, Memory},
    changes::LastChanges,
    config::AggregateConfig,
    prober::News,
    record::Record,
    status::AggregateStatus,
    supervise::BEAT,
};
use aggctl_kernel::{
    dataplane::PortsTable,
    ethtool::Carriers,
    execute::Executor,
    packet::PacketSender,
    state::{Lock, Store},
    watch::{EventBatch, Watcher},
};
use tokio::time::{Interval, MissedTickBehavior};
use tracing::{info, warn};

use self::{
    bound::Listening,
    disk::Disk,
    downstream::Downstream,
    foreign::OnPorts,
    heartbeat::Heartbeat,
    links::Links,
    mirror::{Layer3Look, Mirror},
    outgoing::Outgoing,
    over::{Over, StampTimer},
    place::OwnNamespace,
    ports::{Leaving, PortChangeInput},
    returning::Returning,
    signals::Signals,
    verify::Verifier,
    watching::Watching,
};
pub use self::{
    disk::Behind,
    start::{Start, Supervisor},
};
use crate::{
    api::{Alive, PendingRequest, Server},
    failure::Failure,
    operation, timekeeper,
};

/// Runs the controller of `store`'s aggregate until it is asked to leave, or the aggregate is gone.
///
/// # Errors
/// If it cannot begin. An attach was undone then.
pub fn run(store: Store, start: Start, supervisor: Rc<dyn Supervisor>) -> Result<(), Failure> {
    run_when(ready(Ok(start)), store, supervisor)
}

/// As [`run`], once it is known what for. If it is asked to leave before that, nothing was done.
///
/// # Errors
/// Those of [`run`], and why there is nothing to start for.
pub fn run_when(
    start: impl Future<Output = Result<Start, Failure>>,
    store: Store,
    supervisor: Rc<dyn Supervisor>,
) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        // Whoever asks it to leave while it attaches finds all in place, and not the half of it.
        let mut signals = Signals::listen()?;
        let start = tokio::select! {
            () = signals.next() => return Ok(()),
            start = start => start?,
        };
        let lock = lock(&store, &start)?;
        // What can fail without a trace comes first.
        let watcher = Watcher::open()?;
        let alive = Alive::new();
        let server = Server::listen(&store.socket(), alive.clone())?;
        let heartbeat = Heartbeat::new(supervisor.clone(), alive);
        let attaches = matches!(start, Start::Attach(_));
        let mut controller = match start {
            Start::Attach(wish) => {
                if store.record()?.is_some() {
                    return Err(Failure::Refused(format!("{} was attached by somebody else meanwhile", store.name())));
                }
                let (record, listener) = operation::attach(&store, &wish, &mut |warning| supervisor.warn(warning))?;
                let timed = timekeeper::start(&store, &record);
                let mut controller = timed
                    .and_then(|()| {
                        Controller::new(store.clone(), lock, record.clone(), watcher, server, heartbeat, signals)
                    })
                    .map_err(|failure| undone(&store, record, &failure))?;
                controller.executor.listener = listener;
                controller
            }
            Start::Adopt => {
                let record = operation::adopt(&store, &mut |warning| supervisor.warn(warning))?;
                Controller::new(store, lock, record, watcher, server, heartbeat, signals)?
            }
        };
        controller.query_all();
        controller.keep_disk();
        // Whatever is deleted by others from here on can be given back.
        if controller.record.has_own_device() {
            controller.mirror.refresh(&mut controller.executor.netlink, &mut controller.record);
        }
        if attaches && controller.record.has_own_device() {
            controller.await_late();
        }
        supervisor.ready();
        info!(aggregate = controller.store.name(), "in control");
        controller.run().await
    })
}

/// Takes the lock. To attach, the directory is made again if another one that failed to attach has just removed it.
fn lock(store: &Store, start: &Start) -> Result<Lock, Failure> {
    match operation::lock(store) {
        Err(_) if matches!(start, Start::Attach(_)) && !store.dir().exists() => {
            store.create()?;
            operation::lock(store)
        }
        locked => locked,
    }
}

/// Undoes an attach whose controller could not begin.
fn undone(store: &Store, record: Record, failure: &Failure) -> Failure {
    match operation::finish_detach(store, record) {
        Ok(()) => Failure::Refused(format!("{failure}; everything was undone")),
        Err(error) => Failure::Refused(format!("{failure}; {error}")),
    }
}

/// The running controller.
struct Controller {
    store: Store,
    record: Record,
    engine: Aggregate,
    executor: Executor,
    table: PortsTable,
    listening: Listening,
    sender: PacketSender,
    outgoing: Outgoing,
    /// The frames that tell where all is that the aggregate carries.
    downstream: Downstream,
    watcher: Watcher,
    server: Server,
    links: Links,
    returning: Returning,
    carriers: Carriers,
    watching: Watching,
    leaving: Vec<Leaving>,
    port_changes: ports::PortChanges,
    mirror: Mirror,
    disk: Disk,
    verifier: Verifier,
    changes: LastChanges,
    foreign: OnPorts,
    /// In wiring `over`.
    over: Option<Over>,
    /// Until when what comes to the ports goes to the aggregate.
    late: Option<Instant>,
    place: OwnNamespace,
    heartbeat: Heartbeat,
    clock: Instant,
    signals: Signals,
    lock: Lock,
}

/// What wakes the loop.
enum Input {
    Links(EventBatch),
    Request(PendingRequest),
    PortChange(Result<PortChangeInput, Failure>),
    Layer3(Result<Layer3Look, Failure>),
    Downstream(Result<Vec<Vec<u8>>, Failure>),
    Watched(News),
    Stamp,
    Poll,
    Listeners,
    Deadline,
    Outgoing,
    Housekeeping,
    Verify,
    Beat,
    LookForPorts,
    Leave,
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
            over: Over::begin(&executor, &record.config)?,
            listening: Listening::new(executor.dataplane.bound()?),
            executor,
            sender: PacketSender::open()?,
            outgoing: Outgoing::default(),
            downstream: Downstream::default(),
            watcher,
            server,
            links: Links::default(),
            returning: Returning::default(),
            carriers: Carriers::open()?,
            watching: Watching::default(),
            leaving: Vec::new(),
            port_changes: ports::PortChanges::default(),
            mirror: Mirror::default(),
            foreign: OnPorts::default(),
            late: None,
            place: OwnNamespace::here(heartbeat.has_guardian())?,
            heartbeat,
            clock: Instant::now(),
            signals,
            store,
            record,
            lock,
        })
    }

    async fn run(&mut self) -> Result<(), Failure> {
        let mut poll = poll_timer(&self.record.config);
        let mut stamps = StampTimer::of(&self.record.config);
        let mut listeners = bound::timer();
        let mut housekeeping = tokio::time::interval(Duration::from_secs(1));
        housekeeping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut beat = tokio::time::interval(BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let deadline = self.next_deadline();
            // What is due at a time goes first; its next time counts from its end, so that it cannot take every turn.
            // Of the rest one that is ready is picked at random, and each takes a short time.
            let input = tokio::select! {
                biased;
                () = stamps.tick() => Input::Stamp,
                _ = poll.tick() => Input::Poll,
                _ = listeners.tick() => Input::Listeners,
                () = sleep_until(deadline) => Input::Deadline,
                _ = housekeeping.tick() => Input::Housekeeping,
                _ = beat.tick() => Input::Beat,
                input = self.whatever_comes() => input?,
            };
            let flow = match input {
                Input::Links(batch) => self.on_link_events(&batch)?,
                Input::Request(asked) => {
                    // Drivers may be slow.
                    self.heartbeat.long();
                    let period = self.record.config.link_watch.poll_ms;
                    let flow = self.on_request(asked);
                    stamps = StampTimer::of(&self.record.config);
                    if self.record.config.link_watch.poll_ms != period {
                        poll = poll_timer(&self.record.config);
                    }
                    flow
                }
                Input::PortChange(picture) => {
                    self.on_picture(picture);
                    LoopControl::Go
                }
                Input::Layer3(seen) => {
                    if self.mirror.take_in(seen, &mut self.record) {
                        self.write_record();
                    }
                    LoopControl::Go
                }
                Input::Downstream(frames) => {
                    self.on_downstream(frames);
                    LoopControl::Go
                }
                Input::Watched(news) => {
                    self.on_news(news);
                    LoopControl::Go
                }
                Input::Stamp => {
                    self.stamp();
                    LoopControl::Go
                }
                Input::Poll => {
                    self.poll();
                    poll.reset();
                    LoopControl::Go
                }
                Input::Listeners => {
                    self.listening.look(&self.record);
                    listeners.reset();
                    LoopControl::Go
                }
                Input::Deadline => self.on_deadline()?,
                Input::Outgoing => {
                    self.send_outgoing();
                    LoopControl::Go
                }
                Input::LookForPorts => self.look_for_ports()?,
                Input::Verify => {
                    self.verify_next();
                    LoopControl::Go
                }
                Input::Housekeeping => {
                    // All processes of the host, it may be.
                    self.heartbeat.long();
                    let flow = self.keep_house()?;
                    housekeeping.reset();
                    flow
                }
                Input::Beat => {
                    self.heartbeat.turn();
                    LoopControl::Go
                }
                Input::Leave => self.leave(),
            };
            if flow == LoopControl::End {
                info!("leaving");
                return Ok(());
            }
        }
    }

    /// The next input that has no time of its own. May be given up and called again without losing one.
    async fn whatever_comes(&mut self) -> Result<Input, Failure> {
        let (outgoing, returning) = (self.outgoing.due(), self.returning.due());
        Ok(tokio::select! {
            batch = self.watcher.next() => Input::Links(batch?),
            Some(asked) = self.server.next() => Input::Request(asked),
            picture = self.port_changes.picture() => Input::PortChange(picture),
            seen = self.mirror.seen() => Input::Layer3(seen),
            frames = self.downstream.seen() => Input::Downstream(frames),
            news = self.watching.news() => Input::Watched(news),
            () = sleep_until(outgoing) => Input::Outgoing,
            () = sleep_until(returning) => Input::LookForPorts,
            () = ready(()), if self.verifier.is_looking() => Input::Verify,
            () = self.signals.next() => Input::Leave,
        })
    }

    /// The engine's deadline, the one for a confirmation, one for a port that is leaving, or for a question that waits.
    fn next_deadline(&self) -> Option<Instant> {
        let confirm = self
            .record
            .confirm_by
            .map(|at| Instant::now() + Duration::from_nanos(at.saturating_sub(operation::boot_time())));
        let engine = self.engine.deadline().map(|at| self.clock + at);
        let leaving = self.leaving.iter().map(|leaving| leaving.at);
        [confirm, engine, self.links.due(), self.members_due()].into_iter().flatten().chain(leaving).min()
    }

    fn on_deadline(&mut self) -> Result<LoopControl, Failure> {
        self.feed(Event::Tick);
        self.remove_leaving();
        if self.links.due().is_some_and(|at| at <= Instant::now()) {
            self.survey();
        }
        if self.members_due().is_some_and(|at| at <= Instant::now()) {
            self.follow_members();
        }
        match self.record.confirm_by {
            Some(at) if at <= operation::boot_time() => {
                warn!("nobody confirmed the attach: undoing it");
                self.detach()?;
                Ok(LoopControl::End)
            }
            _ => Ok(LoopControl::Go),
        }
    }

    fn keep_house(&mut self) -> Result<LoopControl, Failure> {
        if self.place.is_deserted(&self.store) {
            // Let it go, and the aggregate with it; interfaces that return to the host do so as they were.
            info!("nobody else has this network namespace any more");
            self.detach()?;
            return Ok(LoopControl::End);
        }
        if self.keep_dir() == LoopControl::End {
            return Ok(LoopControl::End);
        }
        self.query_all();
        self.table.find_devices();
        self.suspect_members();
        self.take_back_named();
        self.begin_to_verify();
        self.take_late();
        if self.record.config.wiring.has_pair() {
            self.look_for_foreign();
        }
        if self.record.has_own_device() {
            self.mirror.begin(&self.record);
        }
        self.keep_disk();
        Ok(LoopControl::Go)
    }

    /// Leaves the dataplane to whoever comes next.
    fn leave(&mut self) -> LoopControl {
        // What was changed just now is news to it.
        self.query_all();
        self.keep_disk();
        LoopControl::End
    }

    /// Undoes the aggregate from within.
    fn detach(&mut self) -> Result<(), Failure> {
        self.heartbeat.long();
        self.mirror.bring_up_to_date(&mut self.record);
        operation::tear_down(&self.store, self.record.clone(), true)
    }

    /// Tells the engine, and does what it answers. An event that it refuses changes nothing.
    fn feed(&mut self, event: Event) {
        if let Err(refusal) = self.try_feed(event) {
            warn!(%refusal, "the engine refused an event");
        }
    }

    fn try_feed(&mut self, event: Event) -> Result<(), aggctl_engine::aggregate::EventRefusal> {
        let actions = self.engine.on_event(self.clock.elapsed(), event)?;
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

    /// The state, for people.
    fn present_status(&self) -> AggregateStatus {
        let mut status = self.engine.status();
        self.changes.date(&mut status);
        self.watching.complete(&mut status);
        status.defects = self.verifier.defects(self.clock);
        status.repairs = self.verifier.repairs(self.clock);
        status
    }
}

/// Sleeps until then; for ever without a time.
pub async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

fn poll_timer(config: &AggregateConfig) -> Interval {
    let mut timer = tokio::time::interval(Duration::from_millis(u64::from(config.link_watch.poll_ms)));
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    timer
}
