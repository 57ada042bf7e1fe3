//! Taking over a dataplane that is there.

use aggctl_common::Ports;
use aggctl_engine::{
    aggregate::Memory,
    host::{Host, Link},
    plan,
    record::{PortRecord, Record},
};
use aggctl_kernel::{dataplane::Expected, execute::Executor, snapshot::snapshot, state::Store, transaction};
use tracing::warn;

use super::{
    access::not_there,
    detach::{recover, tear_down},
    executor,
};
use crate::failure::Failure;

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
        pair: executor.wired_pair(record.device, record.index, record.peer_index),
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
        let enabled = record.ports.iter().filter(|port| port.config.enabled);
        enabled.filter_map(move |port| Some((port.id, link_of(port)?.index)))
    };
    let Some((id, index)) = linked().find(|(id, _)| Some(*id) == memory.active).or_else(|| linked().next()) else {
        return table;
    };
    table.ifindex[id.index()] = index;
    table.order[0] = id.0;
    Ports { usable: id.bit(), active: id.0.into(), count: 1, ..table }
}
