//! What the engine's plans, the kernel's executor and the state directory do together: whole operations on an
//! aggregate.
//!
//! Every function expects that its caller holds the aggregate's lock where it says so.

use std::{
    thread,
    time::{Duration, Instant},
};

use aggctl_common::{IfIndex, Ports};
use aggctl_engine::{
    aggregate::Memory,
    config::AggregateConfig,
    host::{Host, Link},
    names,
    plan::{self, OtherAggregates},
    record::{Layer3, Phase, PortRecord, Record},
    settings::Settings,
};
use aggctl_kernel::{
    conflicts::{self, Conflict},
    dataplane::{Dataplane, Expected},
    execute::Executor,
    gather,
    netlink::{Netlink, listener::ChangeListener},
    netns, process,
    snapshot::{complete_settings, snapshot},
    state::{Lock, StateError, Store},
    transaction, undo,
};
use tracing::{info, warn};

use crate::{
    controller::AttachWish,
    elsewhere::{self, Moved},
    failure::Failure,
    remains,
};

/// How long a lock may be held by one that is about to leave.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long a controller may take to make a directory again that somebody removed: it looks every second.
const REMAKING: Duration = Duration::from_secs(2);

/// How long an attach waits for others that attach, or add or remove ports.
pub const PORTS_PATIENCE: Duration = Duration::from_secs(10);
/// How long a controller, which has its ports to watch, waits for others.
pub const SHORT_PATIENCE: Duration = Duration::from_millis(500);

/// The failure of a command on an aggregate that does not exist.
pub fn not_there(name: &str) -> Failure {
    Failure::Refused(format!("there is no aggregate {name} in this network namespace; see `aggctl show`"))
}

/// What can be carried out on an aggregate's behalf.
///
/// # Errors
/// If no netlink socket can be had.
pub fn executor(store: &Store, record: &Record) -> Result<Executor, Failure> {
    let mut netlink = Netlink::open()?;
    // It may have been renamed while nobody watched.
    let interface = netlink.link(record.index)?.filter(|link| record.is_aggregate(link));
    Ok(Executor {
        netlink,
        wiring: record.config.wiring,
        namespace: store.namespace(),
        dataplane: Dataplane::at(store.pins(), Settings::of(&record.config)),
        aggregate: interface.map_or_else(|| store.name().to_owned(), |link| link.name),
        peer: record.peer.clone(),
        listener: None,
    })
}

/// Whether the interface of an aggregate is there.
///
/// # Errors
/// If the kernel cannot be asked.
pub fn is_there(record: &Record) -> Result<bool, Failure> {
    Ok(Netlink::open()?.link(record.index)?.is_some_and(|link| record.is_aggregate(&link)))
}

/// What belongs to the other aggregates of this namespace.
///
/// # Errors
/// If the state directory cannot be read.
pub fn taken(store: &Store, host: &Host) -> Result<OtherAggregates, Failure> {
    let mut taken = OtherAggregates::default();
    for name in Store::names(store.cookie())?.into_iter().filter(|name| name != store.name()) {
        let other = Store::new(store.cookie(), &name);
        match other.record() {
            Ok(None) => {}
            Ok(Some(record)) => {
                let ports = record.ports.iter().filter_map(|port| record.interface_of(host, port));
                taken.ports.extend(ports.map(|link| (link.index, name.clone())));
                taken.names.insert(record.peer);
            }
            Err(error) => {
                warn!(%error, name, "what another aggregate has is taken from its maps");
                taken.ports.extend(remains::of(&other).ports.into_iter().map(|(_, index)| (index, name.clone())));
                taken.names.insert(names::peer_name(&name));
            }
        }
        taken.names.insert(name);
    }
    Ok(taken)
}

/// Completes what was asked for by what is there: see [`plan::complete`].
///
/// # Errors
/// If the kernel cannot be asked, or what is there does not go with it.
pub fn complete(config: &mut AggregateConfig, mode_is_chosen: bool) -> Result<(), Failure> {
    let links = Netlink::open()?.links()?.into_iter().map(|link| (link.index, link)).collect();
    Ok(plan::complete(&Host { links, ..Host::default() }, config, mode_is_chosen)?)
}

/// Attaches: all or nothing. The caller holds the lock. `warn` is told what the owner should know. With the record
/// comes what others did since before the attach, for what they do last.
///
/// # Errors
/// Why not; everything was undone then, or the line says what was not.
pub fn attach(
    store: &Store,
    wish: &AttachWish,
    warn: &mut dyn FnMut(String),
) -> Result<(Record, Option<ChangeListener>), Failure> {
    let mut netlink = Netlink::open()?;
    // It takes its time, so before others have to wait for us.
    let has_pair = wish.config.wiring.has_pair();
    let ports = if has_pair { named(&netlink.links()?, &wish.config) } else { Vec::new() };
    let conflicts = if has_pair { conflicts::find(&ports, store.name())? } else { Vec::new() };
    // Until the record is there that says whose ports these are.
    let ports = store.lock_ports(PORTS_PATIENCE)?;
    // Before the picture is taken: what is not in it must be received.
    let listener = ChangeListener::open(None)?;
    let mut host = snapshot(&mut netlink)?;
    if has_pair {
        complete_settings(&mut host, wish.config.ports.iter().map(|port| port.name.as_str()))?;
    }
    let (mut record, warnings) = plan::attach(&host, &wish.config, &taken(store, &host)?)?;
    if has_pair && !wish.insistence.force {
        let mut ports = wish.config.ports.iter().filter_map(|port| host.link(&port.name));
        ports.try_for_each(plan::check_kind)?;
    }
    for warning in warnings {
        warn(warning.to_string());
    }
    for conflict in &conflicts {
        warn(conflict.to_string());
    }
    check_conflicts(&conflicts, wish.insistence.strict)?;
    record.confirm_by = wish.confirm.map(|seconds| boot_time() + u64::from(seconds) * 1_000_000_000);
    let mut executor = executor(store, &record)?;
    executor.listener = Some(listener);
    if let Err(error) = store.prepare(&mut record) {
        store.remove()?;
        return Err(Failure::Refused(format!("{error}; nothing was changed")));
    }
    drop(ports);
    if let Err(error) = carry_out(store, &mut record, &mut executor, warn) {
        return Err(match undo::roll_back(store, &mut record, &mut executor) {
            Ok(steps) => Failure::Refused(format!("{error}; {}", undone(steps))),
            Err(errors) => Failure::Refused(format!("{error}; could not be undone: {}", left(store, &errors))),
        });
    }
    for warning in without_link(&mut executor.netlink, &record) {
        warn(warning.to_string());
    }
    // As long as it is known what was our own doing.
    executor.receive_events(false);
    Ok((record, executor.listener))
}

/// Carries out the plan of an attach, to the end: when all of it is in place, with what came to the ports meanwhile,
/// and written down as such.
fn carry_out(
    store: &Store,
    record: &mut Record,
    executor: &mut Executor,
    warn_owner: &mut dyn FnMut(String),
) -> Result<(), Failure> {
    transaction::run(store, record, executor)?;
    // What comes even later is the controller's business.
    gather::to_aggregate(store, record, executor, gather::ROUNDS)?.left.into_iter().for_each(warn_owner);
    locate(record, executor)?;
    // The engine goes on with the port that the plan chose. Without that it chooses one itself.
    let memory = Memory { active: executor.dataplane.table()?.load().choose(), ..Memory::default() };
    if let Err(error) = store.save_memory(&memory) {
        warn!(%error, "cannot leave a memory for the next controller");
    }
    let mut attached = Record { phase: Phase::Attached, ..record.clone() };
    store.save(&mut attached)?;
    *record = attached;
    Ok(())
}

/// What a report says of steps that were undone.
fn undone(steps: usize) -> &'static str {
    if steps == 0 { "nothing had been changed" } else { "everything was undone" }
}

/// What a report says of what could not be done.
fn left(store: &Store, errors: &[String]) -> String {
    format!(
        "{}; mend that, then `aggctl detach {} --force` tries it again ({} keeps what is left)",
        errors.join("; "),
        store.name(),
        store.dir().display()
    )
}

/// Refuses what `--strict` refuses. The conflicts have been told as warnings by then.
///
/// # Errors
/// If there is one.
pub fn check_conflicts(conflicts: &[Conflict], strict: bool) -> Result<(), Failure> {
    match conflicts.len() {
        count @ 1.. if strict => Err(Failure::Refused(format!(
            "refused because of --strict: see the {count} warning(s) above; nothing was changed"
        ))),
        _ => Ok(()),
    }
}

/// What to say of ports that have no link now.
fn without_link(netlink: &mut Netlink, record: &Record) -> Vec<plan::Warning> {
    let ports: Vec<_> = record.ports.iter().map(|port| port.config.name.as_str()).collect();
    // Everything is in place: that this cannot be told is no reason to undo it.
    netlink.links().map(|links| plan::without_link(&record.config.name, &ports, &links)).unwrap_or_default()
}

/// Numbers and names of the interfaces that are wished for as ports, as far as they are there.
fn named(links: &[Link], config: &AggregateConfig) -> Vec<(IfIndex, String)> {
    let is_port = |link: &&Link| config.ports.iter().any(|port| port.name == link.name);
    links.iter().filter(is_port).map(|link| (link.index, link.name.clone())).collect()
}

/// Writes down the numbers of the interfaces that were made, and what the aggregate has.
fn locate(record: &mut Record, executor: &mut Executor) -> Result<(), Failure> {
    (record.index, record.peer_index) = executor.pair()?;
    // Should the interface be deleted before the controller has looked for the first time.
    record.last_seen = Layer3::of(&snapshot(&mut executor.netlink)?, record.index);
    Ok(())
}

/// Takes over a dataplane that is there: compares it with its record and repairs the difference. The caller holds the
/// lock. `warn` is told what the owner should know.
///
/// # Errors
/// If there is none, or it cannot be repaired.
pub fn adopt(store: &Store, warn_owner: &mut dyn FnMut(String)) -> Result<Record, Failure> {
    let name = store.name();
    damage(store)?.into_iter().for_each(warn_owner);
    let mut record = recover(store)?.ok_or_else(|| not_there(name))?;
    let mut executor = executor(store, &record)?;
    let host = snapshot(&mut executor.netlink)?;
    if !host.links.get(&record.index).is_some_and(|link| record.is_aggregate(link)) {
        // Deleted while nobody watched: that is a detach.
        tear_down(store, record, true)?;
        return Err(Failure::Refused(format!(
            "the interface {name} was deleted meanwhile; its ports have their addresses back"
        )));
    }
    // The bpffs may have been unmounted, which took away what nobody held open.
    store.create()?;
    // What a dying controller began is finished: adding a port.
    transaction::resume(store, &mut record, &mut executor)?;
    // A port that was plugged out and in has another index, and another interface may have the one that it had.
    let found: Vec<_> = record.ports.iter().map(|port| record.interface_of(&host, port)).collect();
    for (port, link) in record.ports.iter_mut().zip(found) {
        port.index = link.map(|link| link.index);
    }
    let expected = Expected {
        ends: executor.ends(record.device, record.index, record.peer_index),
        ports: record.ports.iter().filter_map(|port| Some((port.id, port.index?))).collect(),
        hook: record.hook,
    };
    for defect in executor.dataplane.defects(&expected)? {
        warn!(%defect, "repairing");
    }
    executor.dataplane.create()?;
    let table = executor.dataplane.table()?;
    if table.load() == Ports::EMPTY {
        // The maps were made anew: programs that use them must find a port in them.
        table.publish(&stopgap(&record, &host, memory(store)));
    }
    // Also brings the programs of this version in, without a gap.
    for step in plan::repair(&host, &record) {
        executor.apply(&step)?;
    }
    drop_early(&mut executor, &host, &record);
    Ok(record)
}

/// Makes all ports that are in this picture drop early, or not, as the record has it. A port for which that fails goes
/// on without: its receiving program drops the same.
pub fn drop_early(executor: &mut Executor, host: &Host, record: &Record) {
    for port in &record.ports {
        let index = record.interface_of(host, port).map(|link| link.index);
        let Some(step) = plan::early(&PortRecord { index, ..port.clone() }) else { continue };
        if let Err(error) = executor.apply(&step) {
            warn!(%error, "early drop");
        }
    }
}

/// What the owner should know of the copies of a record, if not all is well with them.
///
/// # Errors
/// If none can be read.
pub fn damage(store: &Store) -> Result<Option<String>, Failure> {
    let damage = store.find()?.and_then(|found| found.damage);
    Ok(damage.map(|damage| format!("the record of {} on disk: {damage}", store.name())))
}

/// What the former controller left, if it can be read.
pub fn memory(store: &Store) -> Memory {
    match store.memory() {
        Ok(memory) => memory.unwrap_or_default(),
        Err(error) => {
            warn!(%error, "what the former controller knew is lost: link failures are counted from 0 again");
            Memory::default()
        }
    }
}

/// A table that goes on with the port that was active, if it has a link, else with any that has one.
fn stopgap(record: &Record, host: &Host, memory: Memory) -> Ports {
    let mut table = Ports::EMPTY;
    let has_link = |link: &&Link| link.admin_up && link.carrier;
    let linked = || {
        let link_of = |port: &PortRecord| record.interface_of(host, port).filter(has_link);
        record.ports.iter().filter_map(move |port| Some((port.id, link_of(port)?.index)))
    };
    let Some((id, index)) = linked().find(|(id, _)| Some(*id) == memory.active).or_else(|| linked().next()) else {
        return table;
    };
    table.ifindex[id.index()] = index;
    table.order[0] = id.0;
    Ports { usable: id.bit(), active: id.0.into(), count: 1, ..table }
}

/// Brings an aggregate that was left in the middle of something to one of its ends: an unfinished attach is undone, an
/// unfinished detach is finished. Returns the record if the aggregate is in place. The caller holds the lock, or knows
/// that nobody is left who could.
///
/// # Errors
/// What could not be done.
pub fn recover(store: &Store) -> Result<Option<Record>, Failure> {
    let Some(record) = store.record()? else { return Ok(None) };
    match record.phase {
        Phase::Attached => Ok(Some(record)),
        Phase::Attaching | Phase::Undoing => {
            info!("undoing an attach that did not get to its end, or what could not be undone before");
            roll_back(store, record).map(|_| None)
        }
        Phase::Detaching => {
            info!("finishing a detach");
            finish_detach(store, record).map(|()| None)
        }
    }
}

/// Undoes an attach that did not get to its end, or what could not be undone before. Returns what a report says of it.
///
/// # Errors
/// What could not be undone.
pub fn roll_back(store: &Store, mut record: Record) -> Result<&'static str, Failure> {
    let mut executor = executor(store, &record)?;
    executor.listen()?;
    undo::roll_back(store, &mut record, &mut executor)
        .map(undone)
        .map_err(|errors| Failure::Refused(format!("could not be undone: {}", left(store, &errors))))
}

/// Finishes a detach that did not get to its end.
///
/// # Errors
/// What could not be done.
pub fn finish_detach(store: &Store, record: Record) -> Result<(), Failure> {
    tear_down(store, record, true)
}

/// Detaches. The caller holds the lock.
///
/// # Errors
/// A refusal, which changed nothing; or what could not be done.
pub fn tear_down(store: &Store, mut record: Record, force: bool) -> Result<(), Failure> {
    let mut executor = executor(store, &record)?;
    // Before the picture is taken: what is not in it must be received.
    executor.listen()?;
    let host = snapshot(&mut executor.netlink)?;
    let steps = plan::detach(&host, &record, force)?;
    executor.keep(&host, &record, &record.ports);
    // Each port that is not here any more: it may be elsewhere.
    let is_elsewhere =
        |port: &&PortRecord| record.config.wiring.has_pair() && record.interface_of(&host, port).is_none();
    for port in record.ports.iter().filter(is_elsewhere) {
        if let Moved::Restored(errors) = elsewhere::restore(&record, port, None) {
            info!(port = port.config.name, ?errors, "its settings were restored in another network namespace");
        }
    }
    undo::tear_down(store, &mut record, &steps, &mut executor).map_err(|errors| {
        Failure::Refused(format!("detached, but not everything could be restored: {}", left(store, &errors)))
    })
}

/// Takes the lock for somebody who is about to change the aggregate.
///
/// # Errors
/// If another process holds on to it: the line says what that does. If the aggregate is gone.
pub fn lock(store: &Store) -> Result<Lock, Failure> {
    store.lock(PATIENCE).map_err(|error| match error {
        StateError::Locked { pid, .. } => busy(store, pid),
        // The one who had it removed all.
        _ if !store.dir().exists() => not_there(store.name()),
        error => error.into(),
    })
}

/// Makes the directory of an aggregate again if somebody removed it, or the lock in it. A controller that lives does so
/// itself, and is waited for. Returns whether that was so.
///
/// # Errors
/// If the record cannot be read, or the directory not be made.
pub fn make_place(store: &Store) -> Result<bool, Failure> {
    if store.has_lock() || store.record()?.is_none() {
        return Ok(false);
    }
    let until = Instant::now() + REMAKING;
    while !store.has_lock() && Instant::now() < until {
        thread::sleep(Duration::from_millis(20));
    }
    store.create()?;
    Ok(true)
}

/// The failure of a command that came second: what process `pid` does with the aggregate.
pub fn busy(store: &Store, pid: u32) -> Failure {
    let name = store.name();
    let command = process::own_arguments(pid).and_then(|words| words.into_iter().next()).unwrap_or_default();
    let phase = store.record().map(|record| record.map(|record| record.phase));
    Failure::Refused(match (phase, &*command) {
        (Ok(Some(Phase::Detaching | Phase::Undoing)), _) | (_, "detach") => {
            format!("{name} is being detached by process {pid}; try again when that is done")
        }
        (Ok(None | Some(Phase::Attaching)), _) => {
            format!("{name} is being attached by process {pid}; see `aggctl show {name}` when that is done")
        }
        (Ok(Some(Phase::Attached)) | Err(_), _) => format!(
            "{name} is attached already and controlled by process {pid}; change it with `aggctl set {name}`, or \
             `aggctl detach {name}` first"
        ),
    })
}

/// Nanoseconds since boot, suspend included.
pub fn boot_time() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    u64::try_from(now.tv_sec).unwrap_or_default() * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or_default()
}

/// The state of the aggregate `name` of the present network namespace. That of one whose interface was renamed while
/// nobody watched is found by the present name, too.
///
/// # Errors
/// If the namespace cannot be told.
pub fn store(name: &str) -> Result<Store, Failure> {
    let store = Store::new(netns::cookie()?, name);
    let Some(link) = Netlink::open()?.link_named(name)? else { return Ok(store) };
    let keeps = |store: &Store| store.record().ok().flatten().is_some_and(|record| record.is_aggregate(&link));
    if keeps(&store) {
        return Ok(store);
    }
    let mut others = Store::names(store.cookie())?.into_iter().map(|name| Store::new(store.cookie(), name));
    Ok(others.find(keeps).unwrap_or(store))
}
