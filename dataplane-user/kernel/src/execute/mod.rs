//! Carries out the steps of plans: a file for each layer.

mod error;
mod events;
mod layer3;
mod link;
mod one_way;
mod program;
mod wait;

use aggctl_common::IfIndex;
use aggctl_engine::{
    config::Wiring,
    plan::{Step, Subject},
};
use rustix::io::Errno;

pub use self::{error::ExecuteError, link::set_elsewhere};
use crate::{
    dataplane::Dataplane,
    error::KernelError,
    lacp::PortSpeaker,
    netlink::{Netlink, listener::ChangeListener},
    netns::PrivateNamespace,
};

/// Carries out steps on behalf of one aggregate.
#[derive(Debug)]
pub struct Executor {
    /// Where the network configuration is changed, but for the peer's.
    pub netlink: Netlink,
    /// How the aggregate is wired.
    pub wiring: Wiring,
    /// The aggregate's own namespace, where the peer is if the wiring has one.
    pub namespace: PrivateNamespace,
    /// The aggregate's programs and maps.
    pub dataplane: Dataplane,
    /// Name of the aggregate's interface.
    pub aggregate: String,
    /// Name of its peer.
    pub peer: String,
    /// Receives events of what others do meanwhile, once [`Executor::listen`] was called.
    pub listener: Option<ChangeListener>,
    /// The port that speaks LACP while it is moved, if one does.
    pub speaker: Option<PortSpeaker>,
}

/// An interface that a step is about, as it is now.
struct Target {
    index: IfIndex,
    name: String,
}

impl Executor {
    /// Carries out a step. One that is in effect already succeeds.
    ///
    /// # Errors
    ///
    /// [`KernelError::Gone`] if the interface is not there, else what the kernel refuses.
    pub fn apply(&mut self, step: &Step) -> Result<(), ExecuteError> {
        self.announce_removal(step);
        let more = step.takes_more_along();
        if more {
            self.receive_events(false);
        }
        let done = self.carry_out(step);
        if more {
            self.receive_events(true);
        }
        done
    }

    fn carry_out(&mut self, step: &Step) -> Result<(), ExecuteError> {
        match step {
            Step::Link(step) => Ok(self.change_link(step)?),
            Step::Layer3(step) => Ok(self.change_layer3(step)?),
            Step::Program(step) => self.change_program(step),
            Step::OneWay(step) => self.act(step),
        }
    }

    /// Undoes a step. One that never took effect is undone already; so is one about an interface that vanished, or
    /// about an entry that did.
    ///
    /// # Errors
    ///
    /// What the kernel refuses.
    pub fn undo(&mut self, step: &Step) -> Result<(), ExecuteError> {
        let Some(inverse) = step.inverse() else { return Ok(()) };
        match self.apply(&inverse) {
            Err(ExecuteError::Kernel(KernelError::Gone(_))) => Ok(()),
            // It vanished between the look and the call.
            Err(ExecuteError::Kernel(error @ KernelError::Refused { .. }))
                if matches!(error.errno(), Some(Errno::NODEV | Errno::NXIO))
                    && step.subject().is_some_and(|link| self.find(link).is_err()) =>
            {
                Ok(())
            }
            other => other,
        }
    }

    /// Numbers of the aggregate's interface and of its peer, if the wiring has one.
    ///
    /// # Errors
    ///
    /// [`KernelError::Gone`] if one is not there.
    pub fn pair(&mut self) -> Result<(IfIndex, IfIndex), KernelError> {
        let aggregate = self.find(&Subject::Aggregate)?.index;
        let peer = if self.wiring.has_pair() { self.find(&Subject::Peer)?.index } else { IfIndex::NONE };
        Ok((aggregate, peer))
    }

    /// Sets the peer administratively up or down, which is the only handle on the aggregate's carrier.
    ///
    /// # Errors
    ///
    /// What the kernel refuses.
    pub fn set_carrier(&mut self, peer: IfIndex, on: bool) -> Result<(), KernelError> {
        self.on_peer(|netlink| netlink.set_admin(peer, on))
    }

    /// Sets the MTU of the peer, octets.
    ///
    /// # Errors
    ///
    /// What the kernel refuses.
    pub fn set_peer_mtu(&mut self, peer: IfIndex, mtu: u32) -> Result<(), KernelError> {
        self.on_peer(|netlink| netlink.set_mtu(peer, mtu))
    }

    /// The namespace of the peer, if it is not where the ports are.
    fn apart(&self) -> Option<&PrivateNamespace> {
        self.wiring.has_namespace().then_some(&self.namespace)
    }

    /// Does something by a netlink socket in the namespace of the peer.
    pub(crate) fn on_peer<T>(
        &mut self,
        act: impl FnOnce(&mut Netlink) -> Result<T, KernelError>,
    ) -> Result<T, KernelError> {
        let mut apart = self.apart().map(PrivateNamespace::netlink).transpose()?;
        act(apart.as_mut().unwrap_or(&mut self.netlink))
    }

    /// Does something about an interface by a netlink socket, on a thread, in the network namespace that it is in.
    fn where_it_is(
        &mut self,
        link: &Subject,
        act: impl FnOnce(&mut Netlink, &Target) -> Result<(), KernelError> + Send,
    ) -> Result<(), KernelError> {
        let target = self.find(link)?;
        match self.apart().filter(|_| *link == Subject::Peer) {
            None => act(&mut self.netlink, &target),
            Some(namespace) => namespace
                .run(|| act(&mut Netlink::open()?, &target))
                .unwrap_or_else(|error| Err(namespace.not_entered(error))),
        }
    }

    /// The interface that a step is about: ours by name, since their indexes are not known when the plan is made; a
    /// port by index, since its name may have changed since, if it is no other interface that got the index.
    fn find(&mut self, subject: &Subject) -> Result<Target, KernelError> {
        let (link, what) = match subject {
            Subject::Aggregate => (self.netlink.link_named(&self.aggregate)?, self.aggregate.clone()),
            Subject::Peer => {
                let name = self.peer.clone();
                (self.on_peer(|netlink| netlink.link_named(&name))?, name)
            }
            Subject::Port { index, name, identity, .. } => {
                let link = self.netlink.link(*index)?;
                // Asked only where the name does not tell.
                let others = link.as_ref().is_some_and(|link| link.name != *name);
                let aggregate = if others { self.netlink.link_named(&self.aggregate)? } else { None };
                let mac = aggregate.map_or(identity.mac, |aggregate| aggregate.mac);
                (link.filter(|link| identity.is_still(link, name, mac)), format!("port {name}"))
            }
        };
        match link {
            Some(link) => Ok(Target { index: link.index, name: link.name }),
            None => Err(KernelError::Gone(what)),
        }
    }
}
