//! The commands that ask a live controller for something.

use std::fmt::Display;

use aggctl_engine::{
    config::PortConfig,
    options::{GivenOptions, GivenPort, HasOptions},
    plan::{self, LiveChange},
};
use aggctl_kernel::{conflicts, netlink::Netlink, state::Store};

use super::attach;
use crate::{
    api::{Request, UNKNOWN_REQUEST},
    background,
    failure::Failure,
    operation,
    operation::PortChecks,
    output,
};

/// `set`.
///
/// # Errors
/// A refusal: nothing was changed.
pub fn set(store: &Store, said: GivenOptions) -> Result<(), Failure> {
    let change = LiveChange { options: said.options, ..LiveChange::default() };
    ask(store, &Request::Set { change, active_port: said.orders.active_port })
}

/// `confirm`.
///
/// # Errors
/// If no controller runs.
pub fn confirm(store: &Store) -> Result<(), Failure> {
    ask(store, &Request::Confirm)
}

/// `port add`. Who else works on the port is looked for here, not in the controller, which has other things to do.
///
/// # Errors
/// A refusal: nothing was changed.
pub fn add_port(store: &Store, port: &GivenPort, checks: PortChecks) -> Result<(), Failure> {
    ask(store, &Request::Status)?;
    let mut netlink = Netlink::open()?;
    let mut conflicts = Vec::new();
    // The controller says what is wrong with an interface that is not there.
    if let Some(link) = netlink.link_named(&port.name)? {
        if !checks.force {
            plan::check_kind(&link)?;
        }
        conflicts = conflicts::find(&[(link.index, link.name)], store.name())?;
    }
    if checks.strict {
        warn(&conflicts);
        operation::check_conflicts(&conflicts, true)?;
    }
    ask(store, &Request::AddPort { port: port.config()? })?;
    warn(&conflicts);
    if !netlink.link_named(&port.name)?.is_some_and(|link| link.admin_up && link.carrier) {
        warn(&[plan::Warning::PortNoLink { port: port.name.clone() }]);
    }
    Ok(())
}

fn warn<T: Display>(warnings: &[T]) {
    warnings.iter().for_each(|warning| output::warn(warning));
}

/// `port remove`.
///
/// # Errors
/// A refusal, which changed nothing; or what could not be restored.
pub fn remove_port(store: &Store, port: String) -> Result<(), Failure> {
    ask(store, &Request::RemovePort { port })
}

/// `port set`.
///
/// # Errors
/// A refusal: nothing was changed.
pub fn set_port(store: &Store, port: &GivenPort) -> Result<(), Failure> {
    if port.options.is_empty() {
        let known: Vec<_> = PortConfig::rows().filter(|row| row.is_built()).map(|row| row.name).collect();
        return Err(Failure::Usage(format!("what shall change about {}? ({})", port.name, known.join(", "))));
    }
    let change = LiveChange { ports: [(port.name.clone(), port.options.clone())].into(), ..LiveChange::default() };
    ask(store, &Request::Set { change, active_port: None })
}

/// Asks the controller. One of an older version that does not know the request gives way to one of this version; the
/// dataplane stays meanwhile.
pub(super) fn ask(store: &Store, request: &Request) -> Result<(), Failure> {
    match background::ask(store, request) {
        Err(Failure::Refused(reason)) if reason.starts_with(UNKNOWN_REQUEST) => {
            attach::replace(store)?;
            background::ask(store, request).map(|_| ())
        }
        answer => answer.map(|_| ()),
    }
}
