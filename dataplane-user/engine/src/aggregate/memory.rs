//! What one controller leaves for the next.

use std::collections::{BTreeMap, BTreeSet};

use aggctl_common::PortId;
use serde::{Deserialize, Serialize};

use super::Aggregate;
use crate::{changes::LastChanges, hold_down::Hold};

/// How a controller left the flags of a port; `None`: it did not look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftFlags {
    /// `IFF_PROMISC`.
    pub promisc: Option<bool>,
    /// `IFF_ALLMULTI`.
    pub allmulti: Option<bool>,
}

/// What a former controller knew and the kernel does not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// The active port.
    pub active: Option<PortId>,
    /// How many times each port's link went down since attach.
    pub link_failures: BTreeMap<PortId, u64>,
    /// Whether the active port was chosen by hand.
    #[serde(default)]
    pub by_hand: bool,
    /// The MTU that the aggregate and all its ports had last, octets.
    #[serde(default)]
    pub mtu: Option<u32>,
    /// How it left each port's flags: what is otherwise now was changed by others meanwhile.
    #[serde(default)]
    pub flags: BTreeMap<PortId, LeftFlags>,
    /// The ports whose watches beyond the link did not find them well.
    #[serde(default)]
    pub unwell: BTreeSet<PortId>,
    /// The ports that are held down. Their times are those of [`Aggregate::on_event`], whose clock must go on from one
    /// controller to the next.
    #[serde(default)]
    pub held: BTreeMap<PortId, Hold>,
    /// When things changed last. The controller keeps it: there is no clock here.
    #[serde(default)]
    pub changes: LastChanges,
}

impl Aggregate {
    /// What the next controller should know.
    #[must_use]
    pub fn memory(&self) -> Memory {
        Memory {
            active: self.active,
            link_failures: self.ports.iter().map(|port| (port.id, port.link_failures)).collect(),
            by_hand: self.by_hand,
            mtu: self.mtu.agreed(),
            flags: self.ports.iter().map(|port| (port.id, port.left_flags())).collect(),
            unwell: self.ports.iter().filter(|port| !self.is_well(port)).map(|port| port.id).collect(),
            held: self.ports.iter().filter_map(|port| Some((port.id, port.damper.hold()?))).collect(),
            changes: LastChanges::default(),
        }
    }
}
