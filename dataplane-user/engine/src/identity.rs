//! Who a port is, apart from the index that its interface has at the moment.
//!
//! The kernel gives an interface index to the next interface as soon as its former owner is gone, so an index alone
//! proves nothing. What is compared besides:
//!
//! - **The permanent MAC and the kind.** They must be the same, whatever the name. An interface of the port's name with
//!   another permanent MAC, or of another kind, is not the port: when drivers are loaded again kernel names may be
//!   dealt out in another order, and a container's interface may have any name. A card that was replaced by another one
//!   is added by its owner.
//! - **The name**, where the driver tells no permanent MAC (veth, tap): an interface of the same name and kind is the
//!   port again, whatever its MAC is.
//! - **The MAC**, where the index did not change and there is no permanent MAC: a port that was renamed while nobody
//!   watched has its former MAC, or the aggregate's.

use aggctl_common::Mac;
use serde::{Deserialize, Serialize};

use crate::host::Link;

/// What a port is known by besides its name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// The MAC that the driver gave it, where it tells.
    pub permanent_mac: Option<Mac>,
    /// The MAC that it had before it became a port.
    pub mac: Mac,
    /// Its kind: `veth`, `tun`, …; empty for most hardware.
    pub kind: String,
}

impl Identity {
    /// What `link`, which is no port yet, is known by.
    #[must_use]
    pub fn of(link: &Link) -> Self {
        Self { permanent_mac: link.permanent_mac, mac: link.mac, kind: link.kind.clone() }
    }

    /// Whether `link`, which has the index that the port had, is still the port that was called `name`. `aggregate` is
    /// the MAC that a port has while it is one.
    #[must_use]
    pub fn is_still(&self, link: &Link, name: &str, aggregate: Mac) -> bool {
        self.returns_as(link, name) || self.is_alike(link) && (link.mac == self.mac || link.mac == aggregate)
    }

    /// Whether `link`, whatever its index, is the port that was called `name`, come back.
    #[must_use]
    pub fn returns_as(&self, link: &Link, name: &str) -> bool {
        self.is_alike(link) && (self.permanent_mac.is_some() || link.name == name)
    }

    /// Whether nothing that cannot be changed differs.
    fn is_alike(&self, link: &Link) -> bool {
        (link.permanent_mac, &link.kind) == (self.permanent_mac, &self.kind)
    }
}
