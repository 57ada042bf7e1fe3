//! What is shown of an aggregate whose record cannot be read: what pins and maps tell.

use aggctl_common::IfIndex;
use aggctl_engine::config::Wiring;
use aggctl_kernel::{error::KernelError, netlink::Netlink, state::Store};
use serde::Serialize;

use super::{SCHEMA, model::ControllerView};
use crate::remains;

/// An aggregate whose record cannot be read.
#[derive(Debug, Serialize)]
pub struct LostView {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Its name.
    pub name: String,
    /// Why its record cannot be read, and what to do.
    pub problem: String,
    /// Number of its interface; null if that is gone.
    pub ifindex: Option<u32>,
    /// Not known.
    pub mode: Option<()>,
    /// How device, ports and programs are connected.
    pub wiring: Wiring,
    /// Its controller.
    pub controller: ControllerView,
    /// The interfaces in its table of ports.
    pub ports: Vec<LostPort>,
}

/// A port of it.
#[derive(Debug, Serialize)]
pub struct LostPort {
    /// Its name; null if it is gone.
    pub name: Option<String>,
    /// Number of its interface.
    pub ifindex: u32,
}

impl LostView {
    /// Looks at what is left.
    ///
    /// # Errors
    /// If the system cannot be asked.
    pub fn of(store: &Store, netlink: &mut Netlink, problem: String) -> Result<Self, KernelError> {
        let remains = remains::of(store);
        let mut name_of = |index: IfIndex| Ok::<_, KernelError>(netlink.link(index)?.map(|link| link.name));
        let ports = remains.ports.iter().map(|(_, index)| Ok(LostPort { name: name_of(*index)?, ifindex: index.0 }));
        let ports = ports.collect::<Result<_, KernelError>>()?;
        let pid = store.holder();
        Ok(Self {
            schema: SCHEMA,
            name: remains.name,
            problem,
            ifindex: netlink.link_named(store.name())?.map(|link| link.index.0),
            mode: None,
            wiring: remains.wiring,
            controller: ControllerView { running: pid.is_some(), answers: pid.map(|_| false), pid },
            ports,
        })
    }

    /// The same for people.
    pub fn render(&self) -> String {
        let ports: Vec<_> =
            self.ports.iter().map(|port| port.name.as_deref().unwrap_or("a port that is gone")).collect();
        format!("{}: NOT KNOWN, ports {}\n  {}\n", self.name, ports.join(", "), self.problem)
    }
}
