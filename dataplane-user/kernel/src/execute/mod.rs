//! Carries out the steps of plans.

mod hearing;
mod programs;

use aggctl_common::IfIndex;
use aggctl_engine::{
    config::{Device, Wiring},
    host::Link,
    plan::{Step, Subject},
    vlan::VlanConfig,
};
use rustix::io::Errno;

use crate::{
    announce,
    dataplane::Dataplane,
    error::KernelError,
    ethtool, managers,
    netlink::{Netlink, link::Pair, listener::Listener},
    netns::{self, Namespace},
    packet::PacketSender,
    sysctl,
};

/// Carries out steps on behalf of one aggregate.
#[derive(Debug)]
pub struct Executor {
    /// Where the network configuration is changed, but for the hidden end's.
    pub netlink: Netlink,
    /// How the aggregate is wired.
    pub wiring: Wiring,
    /// The aggregate's own namespace, where the hidden end is if the wiring has one.
    pub namespace: Namespace,
    /// The aggregate's programs and maps.
    pub dataplane: Dataplane,
    /// Name of the aggregate's interface.
    pub aggregate: String,
    /// Name of its hidden end.
    pub hidden: String,
    /// Hears what others do meanwhile, once [`Executor::listen`] was called.
    pub listener: Option<Listener>,
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
    pub fn apply(&mut self, step: &Step) -> Result<(), KernelError> {
        self.announce_removal(step);
        let more = step.takes_more_along();
        if more {
            self.hear(false);
        }
        let done = self.carry_out(step);
        if more {
            self.hear(true);
        }
        done
    }

    fn carry_out(&mut self, step: &Step) -> Result<(), KernelError> {
        match step {
            Step::Unmanage { link } => {
                managers::unmanage(&self.managers_name(link)?, self.name_of(link));
                Ok(())
            }
            Step::Manage { link } => managers::manage(&self.managers_name(link)?),
            Step::CreateNamespace => self.namespace.create(),
            Step::DeleteNamespace => self.namespace.delete(),
            Step::CreatePair { device, name, hidden, mac, mtu, gso_max_size, gso_max_segs } => {
                let namespace = self.apart().cloned();
                self.netlink.create_pair(&Pair {
                    device: *device,
                    name,
                    hidden,
                    namespace: namespace.as_ref(),
                    mac: *mac,
                    mtu: *mtu,
                    gso_max_size: *gso_max_size,
                    gso_max_segs: *gso_max_segs,
                })
            }
            Step::DeletePair { device, hidden, .. } => self.delete_pair(hidden, *device),
            Step::SetAdmin { link, .. }
            | Step::SetMac { link, .. }
            | Step::SetMtu { link, .. }
            | Step::SetPromisc { link, .. }
            | Step::SetAllmulti { link, .. }
            | Step::SetAddrGenMode { link, .. }
            | Step::SetSysctl { link, .. }
            | Step::SetSysctls { link, .. }
            | Step::SetToken { link, .. }
            | Step::SetFeature { link, .. } => {
                let target = self.find(link)?;
                match self.apart().filter(|_| *link == Subject::Hidden) {
                    None => set(&mut self.netlink, &target, step),
                    Some(namespace) => namespace
                        .run(|| set(&mut Netlink::open()?, &target, step))
                        .unwrap_or_else(|error| Err(namespace.not_entered(error))),
                }
            }
            Step::AddAddress { link, .. }
            | Step::DeleteAddress { link, .. }
            | Step::AddNeighbour { link, .. }
            | Step::DeleteNeighbour { link, .. }
            | Step::AddRoute { to: link, .. }
            | Step::DeleteRoute { to: link, .. }
            | Step::MoveNexthop { to: link, .. } => {
                let link = self.find(link)?;
                self.change_layer3(&link, step)
            }
            Step::CreateMaps
            | Step::DeleteMaps
            | Step::Select { .. }
            | Step::AttachTx { .. }
            | Step::DetachTx { .. }
            | Step::AttachRelay { .. }
            | Step::DetachRelay { .. }
            | Step::AttachRx { .. }
            | Step::DetachRx { .. } => self.change_programs(step),
            Step::Announce { link } => {
                let link = self.find(link)?;
                // Through the interface itself: where a rule applies, the sending program does.
                announce::send(&mut self.netlink, &PacketSender::open()?, link.index, link.index, &VlanConfig::Off)
            }
        }
    }

    /// Undoes a step. One that never took effect is undone already; so is one about an interface that vanished, or
    /// about an entry that did.
    ///
    /// # Errors
    ///
    /// What the kernel refuses.
    pub fn undo(&mut self, step: &Step) -> Result<(), KernelError> {
        if matches!(step, Step::Announce { .. } | Step::Select { .. }) {
            return Ok(());
        }
        match self.apply(&step.inverse()) {
            Err(KernelError::Gone(_)) => Ok(()),
            // It vanished between the look and the call.
            Err(error @ KernelError::Refused { .. })
                if matches!(error.errno(), Some(Errno::NODEV | Errno::NXIO))
                    && step.subject().is_some_and(|link| self.find(link).is_err()) =>
            {
                Ok(())
            }
            other => other,
        }
    }

    /// Numbers of the aggregate's interface and of its hidden end.
    ///
    /// # Errors
    ///
    /// [`KernelError::Gone`] if one is not there.
    pub fn pair(&mut self) -> Result<(IfIndex, IfIndex), KernelError> {
        Ok((self.find(&Subject::Aggregate)?.index, self.find(&Subject::Hidden)?.index))
    }

    /// Sets the hidden end administratively up or down, which is the only handle on the aggregate's carrier.
    ///
    /// # Errors
    ///
    /// What the kernel refuses.
    pub fn set_carrier(&mut self, hidden: IfIndex, on: bool) -> Result<(), KernelError> {
        self.on_hidden(|netlink| netlink.set_admin(hidden, on))
    }

    /// Sets the MTU of the hidden end, octets.
    ///
    /// # Errors
    ///
    /// What the kernel refuses.
    pub fn set_hidden_mtu(&mut self, hidden: IfIndex, mtu: u32) -> Result<(), KernelError> {
        self.on_hidden(|netlink| netlink.set_mtu(hidden, mtu))
    }

    /// What an interface is called in the names of files for network managers, the same when it has another name.
    fn managers_name(&self, link: &Subject) -> Result<String, KernelError> {
        let place = match link {
            Subject::Aggregate => "aggregate".to_owned(),
            Subject::Hidden => "peer".to_owned(),
            Subject::Port { id, .. } => format!("port{}", id.0),
        };
        Ok(format!("{}-{}-{place}", netns::cookie()?, self.aggregate))
    }

    /// The name of an interface when the step was planned.
    fn name_of<'s>(&'s self, link: &'s Subject) -> &'s str {
        match link {
            Subject::Aggregate => &self.aggregate,
            Subject::Hidden => &self.hidden,
            Subject::Port { name, .. } => name,
        }
    }

    /// The namespace of the hidden end, if it is not where the ports are.
    fn apart(&self) -> Option<&Namespace> {
        self.wiring.has_namespace().then_some(&self.namespace)
    }

    /// Does something by a netlink socket in the namespace of the hidden end.
    pub(crate) fn on_hidden<T>(
        &mut self,
        act: impl FnOnce(&mut Netlink) -> Result<T, KernelError>,
    ) -> Result<T, KernelError> {
        let mut apart = self.apart().map(Namespace::netlink).transpose()?;
        act(apart.as_mut().unwrap_or(&mut self.netlink))
    }

    /// Removes the pair; with the namespace of its hidden end it is gone already.
    fn delete_pair(&mut self, hidden: &str, device: Device) -> Result<(), KernelError> {
        match self.on_hidden(|netlink| netlink.delete_pair(hidden, device)) {
            Err(KernelError::Gone(_)) => Ok(()),
            other => other,
        }
    }

    /// An address, a neighbour, a route or a nexthop object.
    fn change_layer3(&mut self, link: &Target, step: &Step) -> Result<(), KernelError> {
        match step {
            Step::AddAddress { address, .. } => self.netlink.add_address(link.index, address),
            Step::DeleteAddress { address, .. } => self.netlink.delete_address(link.index, address),
            Step::AddNeighbour { neighbour, .. } => self.netlink.add_neighbour(link.index, neighbour),
            Step::DeleteNeighbour { neighbour, .. } => self.netlink.delete_neighbour(link.index, neighbour),
            Step::AddRoute { route, from, first, .. } => self.netlink.add_route(route, *from, link.index, *first),
            Step::DeleteRoute { route, from, .. } => self.netlink.delete_route(route, *from, link.index),
            Step::MoveNexthop { nexthop, .. } => self.netlink.move_nexthop(nexthop, link.index),
            _ => Ok(()),
        }
    }

    /// The interface that a step is about: ours by name, since their indexes are not known when the plan is made; a
    /// port by index, since its name may have changed since, if it is no other interface that got the index.
    fn find(&mut self, subject: &Subject) -> Result<Target, KernelError> {
        let (link, what) = match subject {
            Subject::Aggregate => (self.netlink.link_named(&self.aggregate)?, self.aggregate.clone()),
            Subject::Hidden => {
                let name = self.hidden.clone();
                (self.on_hidden(|netlink| netlink.link_named(&name))?, name)
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

/// Carries out a step about the settings of an interface with a socket of its network namespace, on a thread that is there.
///
/// # Errors
///
/// What the kernel refuses.
pub fn set_elsewhere(netlink: &mut Netlink, link: &Link, step: &Step) -> Result<(), KernelError> {
    set(netlink, &Target { index: link.index, name: link.name.clone() }, step)
}

/// A setting of an interface of the present namespace.
fn set(netlink: &mut Netlink, link: &Target, step: &Step) -> Result<(), KernelError> {
    match step {
        Step::SetAdmin { up, .. } => netlink.set_admin(link.index, *up),
        Step::SetMac { mac, .. } => netlink.set_mac(link.index, *mac),
        Step::SetMtu { mtu, .. } => netlink.set_mtu(link.index, *mtu),
        Step::SetPromisc { on, .. } => netlink.set_promisc(link.index, *on),
        Step::SetAllmulti { on, .. } => netlink.set_allmulti(link.index, *on),
        Step::SetAddrGenMode { mode, .. } => netlink.set_addr_gen_mode(link.index, *mode),
        Step::SetSysctl { key, value, .. } => sysctl::set(&link.name, key, value),
        Step::SetSysctls { values, .. } => {
            values.iter().try_for_each(|(key, value)| sysctl::set(&link.name, key, value))
        }
        Step::SetToken { token, .. } => netlink.set_token(link.index, *token),
        Step::SetFeature { feature, on, .. } => ethtool::set_feature(&link.name, feature, *on),
        _ => Ok(()),
    }
}
