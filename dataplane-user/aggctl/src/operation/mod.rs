//! What the engine's plans, the kernel's executor and the state directory do together: whole operations on an
//! aggregate.
//!
//! Every function expects that its caller holds the aggregate's lock where it says so.

mod access;
mod adopt;
mod attach;
mod detach;

use aggctl_engine::{host::Host, names, plan::OtherAggregates, record::Record, settings::Settings};
use aggctl_kernel::{dataplane::Dataplane, execute::Executor, netlink::Netlink, state::Store};
use tracing::warn;

use crate::{failure::Failure, remains};

pub use access::{PORTS_PATIENCE, SHORT_PATIENCE, boot_time, busy, lock, make_place, not_there, store};
pub use adopt::{adopt, damage, drop_early, memory};
pub use attach::{AttachWish, PortChecks, attach, check_conflicts, complete};
pub use detach::{finish_detach, recover, roll_back, take_off, tear_down};

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
        speaker: None,
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
