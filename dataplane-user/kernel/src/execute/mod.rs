//! Carries out the steps of plans.

mod programs;

use aggctl_common::IfIndex;
use aggctl_engine::plan::{Step, Subject};
use rustix::io::Errno;

use crate::{
    announce,
    dataplane::Dataplane,
    error::KernelError,
    ethtool,
    netlink::{Netlink, link::Pair},
    packet::PacketSender,
    sysctl,
};

/// Carries out steps on behalf of one aggregate.
#[derive(Debug)]
pub struct Executor {
    /// Where the network configuration is changed.
    pub netlink: Netlink,
    /// The aggregate's programs and maps.
    pub dataplane: Dataplane,
    /// Name of the aggregate's interface.
    pub aggregate: String,
    /// Name of its hidden end.
    pub hidden: String,
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
        match step {
            Step::CreatePair { device, name, hidden, mac, mtu, gso_max_size, gso_max_segs } => {
                self.netlink.create_pair(&Pair {
                    device: *device,
                    name,
                    hidden,
                    mac: *mac,
                    mtu: *mtu,
                    gso_max_size: *gso_max_size,
                    gso_max_segs: *gso_max_segs,
                })
            }
            Step::DeletePair { device, hidden, .. } => self.netlink.delete_pair(hidden, *device),
            Step::SetAdmin { link, .. }
            | Step::SetMac { link, .. }
            | Step::SetMtu { link, .. }
            | Step::SetPromisc { link, .. }
            | Step::SetAllmulti { link, .. }
            | Step::SetAddrGenMode { link, .. }
            | Step::SetSysctl { link, .. }
            | Step::SetFeature { link, .. } => {
                let link = self.find(link)?;
                self.set(&link, step)
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
            | Step::AttachRx { .. }
            | Step::DetachRx { .. } => self.change_programs(step),
            Step::Announce { link } => {
                let link = self.find(link)?;
                announce::send(&mut self.netlink, &PacketSender::open()?, link.index, link.index)
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

    /// A setting of an interface.
    fn set(&mut self, link: &Target, step: &Step) -> Result<(), KernelError> {
        match step {
            Step::SetAdmin { up, .. } => self.netlink.set_admin(link.index, *up),
            Step::SetMac { mac, .. } => self.netlink.set_mac(link.index, *mac),
            Step::SetMtu { mtu, .. } => self.netlink.set_mtu(link.index, *mtu),
            Step::SetPromisc { on, .. } => self.netlink.set_promisc(link.index, *on),
            Step::SetAllmulti { on, .. } => self.netlink.set_allmulti(link.index, *on),
            Step::SetAddrGenMode { mode, .. } => self.netlink.set_addr_gen_mode(link.index, *mode),
            Step::SetSysctl { key, value, .. } => {
                // Some have side effects even when nothing changes.
                if sysctl::read(&link.name, key)?.as_deref() == Some(value) {
                    return Ok(());
                }
                sysctl::write(&link.name, key, value)
            }
            Step::SetFeature { feature, on, .. } => ethtool::set_feature(&link.name, feature, *on),
            _ => Ok(()),
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

    /// The interface that a step is about: ours by name, since their numbers are not known when the plan is made; a
    /// port by number, since its name may have changed since.
    fn find(&mut self, subject: &Subject) -> Result<Target, KernelError> {
        let (link, what) = match subject {
            Subject::Aggregate => (self.netlink.link_named(&self.aggregate)?, self.aggregate.clone()),
            Subject::Hidden => (self.netlink.link_named(&self.hidden)?, self.hidden.clone()),
            Subject::Port { index, name, .. } => (self.netlink.link(*index)?, format!("port {name}")),
        };
        match link {
            Some(link) => Ok(Target { index: link.index, name: link.name }),
            None => Err(KernelError::Gone(what)),
        }
    }
}
