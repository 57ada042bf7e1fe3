//! The steps about programs and maps.

use aggctl_common::{IfIndex, PortId};
use aggctl_engine::{
    config::Device,
    plan::{ProgramStep, Subject},
};

use super::{ExecuteError, Executor};
use crate::{dataplane::WiredPair, early, error::KernelError};

impl Executor {
    /// Carries out a step about programs or maps. What is taken off need not be there, nor need its interface.
    pub(super) fn change_program(&mut self, step: &ProgramStep) -> Result<(), ExecuteError> {
        match step {
            ProgramStep::Maps { present } if present.to => self.dataplane.create()?,
            ProgramStep::Maps { .. } => self.dataplane.remove()?,
            ProgramStep::Tx { device, hook, attached } if attached.to => {
                let pair = self.present_pair(*device)?;
                self.dataplane.attach_tx(&pair, *hook)?;
            }
            ProgramStep::Tx { device, hook, .. } => {
                let pair = self.pair_or_none(*device)?;
                self.dataplane.detach_tx(&pair, *hook)?;
            }
            ProgramStep::Relay { hook, attached } if attached.to => {
                let pair = self.present_pair(Device::Auto)?;
                self.dataplane.attach_relay(&pair, *hook)?;
            }
            ProgramStep::Relay { hook, .. } => {
                let pair = self.pair_or_none(Device::Auto)?;
                self.dataplane.detach_relay(&pair, *hook)?;
            }
            ProgramStep::Rx { link, hook, attached } if attached.to => {
                let pair = self.present_pair(Device::Auto)?;
                let index = self.find(link)?.index;
                self.dataplane.attach_rx(slot(link)?, index, &pair, *hook)?;
            }
            ProgramStep::Rx { link, hook, .. } => {
                let index = self.index_or_none(link)?;
                self.dataplane.detach_rx(slot(link)?, index, *hook)?;
            }
            ProgramStep::Xdp { link, mode, attached } if attached.to => {
                let index = self.find(link)?.index;
                if let Some(port) = self.netlink.link(index)? {
                    self.dataplane.attach_early(slot(link)?, &early::port(&port, *mode)?)?;
                }
            }
            ProgramStep::Xdp { link, .. } => self.dataplane.detach_early(slot(link)?)?,
        }
        Ok(())
    }

    /// The pair, which must be there.
    fn present_pair(&mut self, device: Device) -> Result<WiredPair, KernelError> {
        let (aggregate, peer) = self.pair()?;
        Ok(self.wired_pair(device, aggregate, peer))
    }

    /// The pair with these numbers, as the data path wants it. The device matters to the sending program alone.
    #[must_use]
    pub fn wired_pair(&self, device: Device, aggregate: IfIndex, peer: IfIndex) -> WiredPair {
        WiredPair { wiring: self.wiring, device, aggregate, peer, namespace: self.apart().cloned() }
    }

    /// The pair, as far as it is there.
    fn pair_or_none(&mut self, device: Device) -> Result<WiredPair, KernelError> {
        let aggregate = self.index_or_none(&Subject::Aggregate)?;
        let peer = if self.wiring.has_pair() { self.index_or_none(&Subject::Peer)? } else { IfIndex::NONE };
        Ok(self.wired_pair(device, aggregate, peer))
    }

    /// The index of an interface, or the one that stands for none: its pins must go all the same.
    fn index_or_none(&mut self, subject: &Subject) -> Result<IfIndex, KernelError> {
        match self.find(subject) {
            Ok(target) => Ok(target.index),
            Err(KernelError::Gone(_)) => Ok(IfIndex::NONE),
            Err(error) => Err(error),
        }
    }
}

/// The slot of a port.
pub(super) fn slot(subject: &Subject) -> Result<PortId, KernelError> {
    match subject {
        Subject::Port { id, .. } => Ok(*id),
        Subject::Aggregate | Subject::Peer => {
            Err(KernelError::Malformed { subject: "receiving program".into(), what: "step (it is for ports only)" })
        }
    }
}
