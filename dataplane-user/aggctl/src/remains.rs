//! Aggregates whose record is lost: what kernel, pins and maps tell of them.

use std::time::{Duration, Instant};

use aggctl_common::{IfIndex, MAX_PORTS, PortId};
use aggctl_engine::{
    config::{Hook, Wiring},
    record::Remains,
    settings::Settings,
};
use aggctl_kernel::{
    dataplane::Dataplane,
    state::{StateError, Store},
};

use crate::failure::Failure;

/// How long a controller that runs may take to write a record again that others spoilt.
const REWRITE: Duration = Duration::from_secs(2);

/// Whether the record is lost: not while a controller runs, which writes it again.
///
/// # Errors
/// If the record cannot be read for another reason.
pub fn is_lost(store: &Store) -> Result<bool, Failure> {
    let until = Instant::now() + REWRITE;
    loop {
        match store.find() {
            Ok(_) => return Ok(false),
            Err(StateError::Lost { .. }) if store.holder().is_some() && Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(StateError::Lost { .. }) => return Ok(true),
            Err(error) => return Err(error.into()),
        }
    }
}

/// What is left of an aggregate.
pub fn of(store: &Store) -> Remains {
    let dataplane = Dataplane::at(store.pins(), Settings::default());
    let table = dataplane.table().map(|table| table.load()).unwrap_or_default();
    let slots = (0..=u8::MAX).take(MAX_PORTS).map(PortId).zip(table.ifindex);
    Remains {
        name: store.name().to_owned(),
        wiring: if store.namespace().path().exists() { Wiring::Direct } else { Wiring::Shared },
        hook: if dataplane.has_links() { Hook::Tcx } else { Hook::Clsact },
        ports: slots.filter(|(_, index)| *index != IfIndex::NONE).collect(),
    }
}
