//! Receiving the kernel's events about what others do while steps are carried out.

use aggctl_common::IfIndex;
use aggctl_engine::{
    arrivals::{Arrivals, ChangedItem},
    host::{Address, Host, NeighbourEntry, Route},
    plan::{Change, Layer3Step, Step},
    record::{Layer3, PortRecord, Record},
};

use super::{Executor, Target};
use crate::{error::KernelError, netlink::listener::ChangeListener, snapshot::glance};

impl Executor {
    /// Begins to listen for what others do to addresses, routes and neighbours; what was received before is forgotten.
    ///
    /// # Errors
    ///
    /// If the kernel gives no socket.
    pub fn listen(&mut self) -> Result<(), KernelError> {
        self.listener = Some(ChangeListener::open(None)?);
        Ok(())
    }

    /// The host as it is now, with what came meanwhile and was flushed since where it was; and all that came.
    ///
    /// # Errors
    ///
    /// If the kernel cannot be asked.
    pub fn look(&mut self) -> Result<(Host, Arrivals), KernelError> {
        self.receive_events(false);
        let arrivals = self.arrivals();
        let mut host = glance(&mut self.netlink)?;
        arrivals.complete(&mut host);
        Ok((host, arrivals))
    }

    /// What came so far, as far as it was received.
    #[must_use]
    pub fn arrivals(&self) -> Arrivals {
        self.listener.as_ref().map(|listener| listener.arrivals().clone()).unwrap_or_default()
    }

    /// Has what ports have by themselves looked after: it shall stay there, whatever is done to them.
    pub fn keep(&mut self, host: &Host, record: &Record, ports: &[PortRecord]) {
        let links = ports.iter().filter_map(|port| record.interface_of(host, port));
        for there in links.map(|link| Layer3::of(host, link.index)) {
            if let Some(listener) = &mut self.listener {
                listener.keep(&there);
            }
        }
    }

    /// Forgets what was looked after on an interface.
    pub fn forget(&mut self, taken: &Arrivals, link: IfIndex) {
        if let Some(listener) = &mut self.listener {
            listener.forget(taken, link);
        }
    }

    /// Takes in what was told so far; for `flushing` see [`Arrivals::tell`].
    pub fn receive_events(&mut self, flushing: bool) {
        let us = self.netlink.port();
        if let Some(listener) = &mut self.listener {
            listener.receive(us, flushing);
        }
    }

    /// Has what a step is about to remove taken for moved, and not for something that others want where it was.
    pub(super) fn announce_removal(&mut self, step: &Step) {
        if self.listener.is_none() {
            return;
        }
        let Step::Layer3(step) = step else { return };
        let Ok(Target { index: link, .. }) = self.find(step.subject()) else { return };
        let what = match step {
            Layer3Step::Address { address, present: Change::OFF, .. } => {
                ChangedItem::Address(Address { link, ..address.clone() })
            }
            Layer3Step::Neighbour { neighbour, present: Change::OFF, .. } => {
                ChangedItem::Neighbour(NeighbourEntry { link, ..neighbour.clone() })
            }
            Layer3Step::Route { route, described_on, present: Change::OFF, .. } => {
                let links = route.links.iter().map(|other| if other == described_on { link } else { *other }).collect();
                ChangedItem::Route(Route { links, ..route.clone() })
            }
            Layer3Step::Address { .. }
            | Layer3Step::Neighbour { .. }
            | Layer3Step::Route { .. }
            | Layer3Step::Nexthop { .. } => return,
        };
        if let Some(listener) = &mut self.listener {
            listener.will_move(&what);
        }
    }
}
