//! The commands that ask a live controller for something.

use std::fmt::Display;

use aggctl_engine::plan::{self, Change, PortChange};
use aggctl_kernel::{conflicts, netlink::Netlink, state::Store};

use crate::{
    api::Request,
    background::controller,
    cli::{PortArgument, settings::Settings},
    controller::Insistence,
    failure::Failure,
    operation,
};

/// `set`.
///
/// # Errors
/// A refusal: nothing was changed.
pub fn set(store: &Store, settings: Settings) -> Result<(), Failure> {
    ask(store, &Request::Set { change: settings.change, active_port: settings.active_port })
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
pub fn add_port(store: &Store, port: &PortArgument, insistence: Insistence) -> Result<(), Failure> {
    let mut client = controller(store)?;
    let mut netlink = Netlink::open()?;
    let mut conflicts = Vec::new();
    // The controller says what is wrong with an interface that is not there.
    if let Some(link) = netlink.link_named(&port.name)? {
        if !insistence.force {
            plan::check_kind(&link)?;
        }
        conflicts = conflicts::find(&[(link.index, link.name)], store.name())?;
    }
    if insistence.strict {
        warn(&conflicts);
        operation::check_conflicts(&conflicts, true)?;
    }
    client.ask(&Request::AddPort { port: port.config() })?;
    warn(&conflicts);
    if !netlink.link_named(&port.name)?.is_some_and(|link| link.admin_up && link.carrier) {
        warn(&[plan::Warning::PortNoLink { port: port.name.clone() }]);
    }
    Ok(())
}

fn warn<T: Display>(warnings: &[T]) {
    for warning in warnings {
        eprintln!("aggctl: warning: {warning}");
    }
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
pub fn set_port(store: &Store, port: &PortArgument) -> Result<(), Failure> {
    if port.priority.is_none() && port.sticky.is_none() && port.weight.is_none() {
        let name = &port.name;
        return Err(Failure::Usage(format!(
            "what shall change about {name}? (priority=N, sticky, nosticky, weight=N)"
        )));
    }
    let port_change = PortChange { priority: port.priority, sticky: port.sticky, weight: port.weight };
    let change = Change { ports: [(port.name.clone(), port_change)].into(), ..Change::default() };
    ask(store, &Request::Set { change, active_port: None })
}

fn ask(store: &Store, request: &Request) -> Result<(), Failure> {
    controller(store)?.ask(request).map(|_| ())
}
