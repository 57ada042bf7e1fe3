//! The steps about interfaces.

use aggctl_engine::{
    host::Link,
    plan::{LinkStep, PairSettings, Setting, Subject},
};

use super::{Executor, Target};
use crate::{
    error::KernelError,
    ethtool, managers,
    netlink::{Netlink, link::PairSpec},
    netns, sysctl,
};

impl Executor {
    /// Carries out a step about an interface.
    pub(super) fn change_link(&mut self, step: &LinkStep) -> Result<(), KernelError> {
        match step {
            LinkStep::Managed { link, managed } if managed.to => managers::manage(&self.managers_name(link)?),
            LinkStep::Managed { link, .. } => {
                managers::unmanage(&self.managers_name(link)?, self.name_of(link));
                Ok(())
            }
            LinkStep::Namespace { present } if present.to => self.namespace.create(),
            LinkStep::Namespace { .. } => self.namespace.delete(),
            LinkStep::Pair { pair, present } if present.to => self.create_pair(pair),
            LinkStep::Pair { pair, .. } => self.delete_pair(pair),
            LinkStep::Bond { bond, present } if present.to => self.netlink.create_bond(bond),
            LinkStep::Bond { .. } => match self.find(&Subject::Aggregate) {
                Err(KernelError::Gone(_)) => Ok(()),
                device => self.netlink.delete_bond(device?.index),
            },
            LinkStep::Member { link, member } => self.set_member(link, member.to),
            LinkStep::Set { link, setting } => self.where_it_is(link, |netlink, target| set(netlink, target, setting)),
        }
    }

    fn create_pair(&mut self, pair: &PairSettings) -> Result<(), KernelError> {
        let namespace = self.apart().cloned();
        self.netlink.create_pair(&PairSpec {
            device: pair.device,
            name: &pair.name,
            peer: &pair.peer,
            namespace: namespace.as_ref(),
            mac: pair.mac,
            mtu: pair.mtu,
            gso_max_size: pair.gso_max_size,
            gso_max_segs: pair.gso_max_segs,
        })
    }

    /// Removes the pair; with the namespace of its peer it is gone already.
    fn delete_pair(&mut self, pair: &PairSettings) -> Result<(), KernelError> {
        match self.on_peer(|netlink| netlink.delete_pair(&pair.peer, pair.device)) {
            Err(KernelError::Gone(_)) => Ok(()),
            other => other,
        }
    }

    /// Makes a port a member of the driver's device, or of none; of a device that is gone none is a member.
    fn set_member(&mut self, link: &Subject, member: bool) -> Result<(), KernelError> {
        let port = self.find(link)?.index;
        match self.find(&Subject::Aggregate) {
            Err(KernelError::Gone(_)) if !member => Ok(()),
            device => self.netlink.set_member(port, device?.index, member),
        }
    }

    /// What an interface is called in the names of files for network managers, the same when it has another name.
    fn managers_name(&self, link: &Subject) -> Result<String, KernelError> {
        let place = match link {
            Subject::Aggregate => "aggregate".to_owned(),
            Subject::Peer => "peer".to_owned(),
            Subject::Port { id, .. } => format!("port{}", id.0),
        };
        Ok(format!("{}-{}-{place}", netns::cookie()?, self.aggregate))
    }

    /// The name of an interface when the step was planned.
    fn name_of<'s>(&'s self, link: &'s Subject) -> &'s str {
        match link {
            Subject::Aggregate => &self.aggregate,
            Subject::Peer => &self.peer,
            Subject::Port { name, .. } => name,
        }
    }
}

/// Changes a setting of an interface with a socket of its network namespace, on a thread that is there.
///
/// # Errors
///
/// What the kernel refuses.
pub fn set_elsewhere(netlink: &mut Netlink, link: &Link, setting: &Setting) -> Result<(), KernelError> {
    set(netlink, &Target { index: link.index, name: link.name.clone() }, setting)
}

/// A setting of an interface of the present namespace.
fn set(netlink: &mut Netlink, link: &Target, setting: &Setting) -> Result<(), KernelError> {
    match setting {
        Setting::Admin(up) => netlink.set_admin(link.index, up.to),
        Setting::Mac(mac) => netlink.set_mac(link.index, mac.to),
        Setting::Mtu(mtu) => netlink.set_mtu(link.index, mtu.to),
        Setting::Promisc(on) => netlink.set_promisc(link.index, on.to),
        Setting::Allmulti(on) => netlink.set_allmulti(link.index, on.to),
        Setting::AddrGenMode(mode) => netlink.set_addr_gen_mode(link.index, mode.to),
        Setting::Sysctl { key, value } => sysctl::set(&link.name, key, &value.to),
        Setting::Token(token) => netlink.set_token(link.index, token.to),
        Setting::Feature { name, on } => ethtool::set_feature(&link.name, name, on.to),
    }
}
