//! The commands that ask a live controller for something.

use aggctl_engine::plan::{Change, PortChange};
use aggctl_kernel::state::Store;

use crate::{
    api::Request,
    background::controller,
    cli::{PortArgument, settings::Settings},
    failure::Failure,
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

/// `port add`.
///
/// # Errors
/// A refusal: nothing was changed.
pub fn add_port(store: &Store, port: &PortArgument) -> Result<(), Failure> {
    ask(store, &Request::AddPort { port: port.config() })
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
