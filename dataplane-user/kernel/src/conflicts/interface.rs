//! What rules may know an interface by.

use aggctl_common::IfIndex;

use crate::{error::KernelError, netlink::Netlink};

/// A number that no interface has, for an aggregate that is not there yet.
const NOT_YET: IfIndex = IfIndex(u32::MAX);

/// An interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Interface {
    pub index: IfIndex,
    pub name: String,
    /// IFLA_GROUP.
    pub group: u32,
    /// IFLA_INFO_KIND.
    pub kind: String,
}

/// The ports, and the aggregate whose traffic theirs becomes.
#[derive(Clone, Debug)]
pub(super) struct Interfaces {
    pub ports: Vec<Interface>,
    pub aggregate: Interface,
}

impl Interfaces {
    /// Asks the kernel for what it knows about them.
    pub fn look(netlink: &mut Netlink, ports: &[(IfIndex, String)], aggregate: &str) -> Result<Self, KernelError> {
        let links = netlink.groups()?;
        let known = |index: IfIndex, name: &str| {
            let found = links.iter().find(|(link, _)| link.index == index);
            Interface {
                index,
                name: name.to_owned(),
                group: found.map_or(0, |(_, group)| *group),
                kind: found.map(|(link, _)| link.kind.clone()).unwrap_or_default(),
            }
        };
        let index = links.iter().find(|(link, _)| link.name == aggregate).map_or(NOT_YET, |(link, _)| link.index);
        Ok(Self {
            ports: ports.iter().map(|(index, name)| known(*index, name)).collect(),
            aggregate: known(index, aggregate),
        })
    }

    /// The port of this number.
    pub fn port(&self, index: IfIndex) -> Option<&Interface> {
        self.ports.iter().find(|port| port.index == index)
    }
}
