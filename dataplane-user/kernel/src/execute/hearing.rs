//! Hearing what others do while steps are carried out.

use aggctl_common::IfIndex;
use aggctl_engine::{
    arrivals::{Arrivals, Subject},
    host::{Address, Host, Neighbour, Route},
    plan::Step,
    record::{Layer3, PortRecord, Record},
};

use super::Executor;
use crate::{error::KernelError, netlink::listener::Listener, snapshot::glance};

impl Executor {
    /// Begins to hear what others do to addresses, routes and neighbours; what was heard before is forgotten.
    ///
    /// # Errors
    ///
    /// If the kernel gives no socket.
    pub fn listen(&mut self) -> Result<(), KernelError> {
        self.listener = Some(Listener::open(None)?);
        Ok(())
    }

    /// The host as it is now, with what came meanwhile and was flushed since where it was; and all that came.
    ///
    /// # Errors
    ///
    /// If the kernel cannot be asked.
    pub fn look(&mut self) -> Result<(Host, Arrivals), KernelError> {
        self.hear(false);
        let arrivals = self.arrivals();
        let mut host = glance(&mut self.netlink)?;
        arrivals.complete(&mut host);
        Ok((host, arrivals))
    }

    /// What came so far, as far as it was heard.
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
    pub fn hear(&mut self, flushing: bool) {
        let us = self.netlink.port();
        if let Some(listener) = &mut self.listener {
            listener.hear(us, flushing);
        }
    }

    /// Has what a step is about to remove taken for moved, and not for something that others want where it was.
    pub(super) fn announce_removal(&mut self, step: &Step) {
        if self.listener.is_none() {
            return;
        }
        let Some(link) = step.subject().and_then(|link| self.find(link).ok()).map(|target| target.index) else {
            return;
        };
        let what = match step {
            Step::DeleteAddress { address, .. } => Subject::Address(Address { link, ..address.clone() }),
            Step::DeleteNeighbour { neighbour, .. } => Subject::Neighbour(Neighbour { link, ..neighbour.clone() }),
            Step::DeleteRoute { route, from, .. } => {
                let links = route.links.iter().map(|other| if other == from { link } else { *other }).collect();
                Subject::Route(Route { links, ..route.clone() })
            }
            _ => return,
        };
        if let Some(listener) = &mut self.listener {
            listener.will_move(&what);
        }
    }
}
