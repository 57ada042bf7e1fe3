//! Attaching: all or nothing.

use aggctl_common::IfIndex;
use aggctl_engine::{
    aggregate::Memory,
    config::AggregateConfig,
    conflict::Conflict,
    host::{Host, Link},
    plan,
    record::{Layer3, Phase, Record},
    settings::Settings,
};
use aggctl_kernel::{
    conflicts,
    execute::Executor,
    gather,
    netlink::{Netlink, listener::ChangeListener},
    snapshot::{complete_settings, snapshot},
    state::Store,
    transaction, undo,
};
use serde::{Deserialize, Serialize};
use tracing::warn;

use super::{
    access::{PORTS_PATIENCE, boot_time},
    detach::{left, undone},
    executor, taken,
};
use crate::failure::Failure;

/// What the owner wishes, as the command passes it on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AttachWish {
    /// The aggregate.
    pub config: AggregateConfig,
    /// Seconds until it is undone unless confirmed.
    pub confirm: Option<u32>,
    /// What is said about the ports.
    #[serde(default)]
    pub checks: PortChecks,
}

/// How much is made of ports that look wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortChecks {
    /// Interfaces of any kind are taken.
    pub force: bool,
    /// Whoever else works on a port is a reason to refuse, not to warn.
    pub strict: bool,
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
    let makes_ports = wish.config.wiring.has_pair() || netlink.link_named(store.name())?.is_none();
    let ports = if makes_ports { named(&netlink.links()?, &wish.config) } else { Vec::new() };
    let conflicts = if makes_ports { conflicts::find(&ports, store.name())? } else { Vec::new() };
    // Until the record is there that says whose ports these are.
    let ports = store.lock_ports(PORTS_PATIENCE)?;
    // Before the picture is taken: what is not in it must be received.
    let listener = ChangeListener::open(None)?;
    let mut host = snapshot(&mut netlink)?;
    if makes_ports {
        complete_settings(&mut host, wish.config.ports.iter().map(|port| port.name.as_str()))?;
    }
    host.capabilities.bonding = makes_ports && !wish.config.wiring.has_pair() && netlink.has_bonding()?;
    let (mut record, warnings) = plan::attach(&host, &wish.config, &taken(store, &host)?)?;
    if makes_ports && !wish.checks.force {
        let mut ports = wish.config.ports.iter().filter_map(|port| host.link(&port.name));
        ports.try_for_each(plan::check_kind)?;
    }
    for warning in warnings {
        warn(warning.to_string());
    }
    for conflict in &conflicts {
        warn(conflict.to_string());
    }
    check_conflicts(&conflicts, wish.checks.strict)?;
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
    run(store, record, executor, warn_owner)?;
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

/// Carries out the steps. If a port keeps its MAC, and the aggregate can do without, it does.
fn run(
    store: &Store,
    record: &mut Record,
    executor: &mut Executor,
    warn_owner: &mut dyn FnMut(String),
) -> Result<(), Failure> {
    let Err(error) = transaction::run(store, record, executor) else { return Ok(()) };
    if !error.refuses_mac() {
        return Err(error.into());
    }
    let name = &record.config.name;
    if !plan::can_do_without_macs(record) {
        return Err(Failure::Refused(format!(
            "{error}: in this mode every port needs the MAC of {name}; leave that port out, or use mode active-backup"
        )));
    }
    warn_owner(format!(
        "{error}: mac-policy by-active is used instead of same-all, so the MAC of {name} is that of its active port \
         and changes with it"
    ));
    let again = plan::do_without_macs(record, error.to_string());
    store.save(record)?;
    executor.dataplane.set_settings(Settings::of(&record.config));
    again.iter().try_for_each(|step| executor.apply(step))?;
    Ok(transaction::run(store, record, executor)?)
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
