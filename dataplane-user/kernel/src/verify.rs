//! Looking whether an aggregate that is in place is as it should be: its pins, each program on its hook, its peer, its
//! ports.
//!
//! A look is made of parts, each of which asks for one thing by a few system calls, so that a controller can do other
//! work between two of them.

mod defect;

use std::net::IpAddr;

use aggctl_common::{IfIndex, PortId};
use aggctl_engine::{
    config::XdpMode,
    host::Link,
    record::{PortRecord, Record},
};

use crate::{
    dataplane::{self, Expected, ProgramRole},
    early,
    error::KernelError,
    ethtool,
    execute::{ExecuteError, Executor},
};

pub use defect::Defect;

/// A part of a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckPart {
    /// The pins.
    Pins,
    /// The maps.
    Maps,
    /// A program on its hook.
    Program(ProgramRole),
    /// The program that drops early on a port.
    Early(PortId, XdpMode),
    /// The peer.
    Peer,
    /// What of a port's settings its link does not say.
    Features(PortId),
}

/// An aggregate that is looked at.
#[derive(Debug)]
pub struct Look<'a> {
    /// What is kept about it.
    pub record: &'a Record,
    /// The names and numbers of its ports that are there.
    pub ports: Vec<(PortId, IfIndex, String)>,
    /// Whether it should have carrier; `None`: not known yet.
    pub carrier: Option<bool>,
    /// Its MTU, octets; `None`: not known.
    pub mtu: Option<u32>,
    /// The names of the pins that others took away, where that is known.
    pub lost: Vec<String>,
}

impl Look<'_> {
    /// All parts, in the order in which defects are best repaired.
    #[must_use]
    pub fn parts(&self, executor: &Executor) -> Vec<CheckPart> {
        let programs = self.expected(executor).roles().into_iter().map(CheckPart::Program);
        let always = [CheckPart::Pins, CheckPart::Maps].into_iter().chain(programs);
        if !self.record.config.wiring.has_pair() {
            return always.collect();
        }
        let early = self.record.ports.iter().filter_map(|port| Some(CheckPart::Early(port.id, port.xdp?)));
        let features = self.ports.iter().map(|(port, _, _)| CheckPart::Features(*port));
        always.chain(early).chain([CheckPart::Peer]).chain(features).collect()
    }

    /// Everything that is wrong.
    pub fn all(&self, executor: &mut Executor) -> Vec<Defect> {
        self.parts(executor).into_iter().flat_map(|part| self.part(part, executor)).collect()
    }

    /// What is wrong with a part.
    pub fn part(&self, part: CheckPart, executor: &mut Executor) -> Vec<Defect> {
        let found = match part {
            CheckPart::Pins => self.pins(executor),
            CheckPart::Maps => self.maps(executor),
            CheckPart::Program(role) => self.program(role, executor),
            CheckPart::Early(port, mode) => self.early(port, mode, executor),
            CheckPart::Peer => self.peer(executor),
            CheckPart::Features(port) => self.features(port),
        };
        found.unwrap_or_else(|error| vec![Defect::Unknown(format!("cannot be looked at: {error}"))])
    }

    fn expected(&self, executor: &Executor) -> Expected {
        let record = self.record;
        Expected {
            pair: executor.wired_pair(record.device, record.index, record.peer_index),
            ports: self.ports.iter().map(|(port, index, _)| (*port, *index)).collect(),
            hook: record.hook,
        }
    }

    /// Without its directory nothing more is to be said about pins.
    fn pins(&self, executor: &Executor) -> Result<Vec<Defect>, ExecuteError> {
        if !executor.dataplane.has_pins()? {
            return Ok(vec![Defect::Pins { lost: Vec::new() }]);
        }
        Ok(if self.lost.is_empty() { Vec::new() } else { vec![Defect::Pins { lost: self.lost.clone() }] })
    }

    fn maps(&self, executor: &Executor) -> Result<Vec<Defect>, ExecuteError> {
        let found = executor.dataplane.defects_of_maps(&self.expected(executor))?;
        Ok(found.into_iter().map(|defect| self.in_words(defect)).collect())
    }

    fn program(&self, role: ProgramRole, executor: &Executor) -> Result<Vec<Defect>, ExecuteError> {
        let expected = self.expected(executor);
        if let Some(defect) = executor.dataplane.defect_of_program(&expected, role)? {
            return Ok(vec![self.in_words(defect)]);
        }
        let on = self.place_of(role);
        let before = executor.dataplane.programs_before(&expected, role)?;
        Ok(before.into_iter().map(|program| Defect::Before { role, on: on.clone(), program }).collect())
    }

    /// Of a port that is there.
    fn early(&self, port: PortId, mode: XdpMode, executor: &mut Executor) -> Result<Vec<Defect>, ExecuteError> {
        let Some((_, index, _)) = self.ports.iter().find(|(id, _, _)| *id == port) else { return Ok(Vec::new()) };
        let Some(link) = executor.netlink.link(*index)? else { return Ok(Vec::new()) };
        let found = executor.dataplane.defect_of_early(port, &early::port(&link, mode)?)?;
        Ok(found.into_iter().map(|defect| self.in_words(defect)).collect())
    }

    fn peer(&self, executor: &mut Executor) -> Result<Vec<Defect>, ExecuteError> {
        let peer = self.record.peer.clone();
        let Some((link, addresses)) = executor.peer(self.record.peer_index)? else {
            return Ok(vec![Defect::PeerGone(peer)]);
        };
        let peer = link.name.clone();
        let mut defects = Vec::new();
        if self.carrier.is_some_and(|wanted| wanted != link.admin_up) {
            defects.push(Defect::PeerAdmin { peer: peer.clone(), up: link.admin_up });
        }
        if let Some(wanted) = self.mtu.filter(|wanted| *wanted != link.mtu) {
            defects.push(Defect::PeerMtu { peer: peer.clone(), found: link.mtu, wanted });
        }
        if link.master.is_some() {
            defects.push(Defect::PeerMaster { peer: peer.clone() });
        }
        defects.extend(addresses.into_iter().map(|address| Defect::PeerAddress { peer: peer.clone(), address }));
        Ok(defects)
    }

    /// Features that were switched off when the port joined. Others are not asked for.
    fn features(&self, port: PortId) -> Result<Vec<Defect>, ExecuteError> {
        let known = self.record.ports.iter().find(|known| known.id == port);
        let Some((known, (_, _, name))) = known.zip(self.ports.iter().find(|(id, _, _)| *id == port)) else {
            return Ok(Vec::new());
        };
        let wanted = switched_off(known);
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let found = ethtool::features(name, &wanted)?;
        let on = found.into_iter().filter(|(_, feature)| feature.on && !feature.fixed);
        Ok(on.map(|(feature, _)| Defect::Feature { port, name: name.clone(), feature }).collect())
    }

    fn in_words(&self, defect: dataplane::DataplaneDefect) -> Defect {
        match defect {
            dataplane::DataplaneDefect::NotAttached { role, .. } => {
                Defect::NotAttached { role, on: self.place_of(role) }
            }
            dataplane::DataplaneDefect::Stale { role, .. } => Defect::OtherProgram { role, on: self.place_of(role) },
            dataplane::DataplaneDefect::WrongInterface { .. } => Defect::Table,
            defect @ (dataplane::DataplaneDefect::MapMissing(_) | dataplane::DataplaneDefect::MapDifferent(_)) => {
                Defect::Map(defect.to_string())
            }
        }
    }

    /// Where a program is attached, in words.
    fn place_of(&self, role: ProgramRole) -> String {
        match role {
            ProgramRole::Tx => self.record.config.name.clone(),
            ProgramRole::Relay => self.record.peer.clone(),
            ProgramRole::Rx(port) | ProgramRole::Xdp(port) => {
                let known = self.ports.iter().find(|(id, _, _)| *id == port);
                known.map_or_else(|| format!("port {port}"), |(_, _, name)| name.clone())
            }
        }
    }
}

/// The features of a port that were on, and that its joining switched off.
fn switched_off(port: &PortRecord) -> Vec<&str> {
    let was_on = port.before.features.iter().filter(|(_, feature)| feature.on && !feature.fixed);
    was_on.map(|(name, _)| name.as_str()).collect()
}

impl Executor {
    /// The peer, and its addresses; `None` if it is not there.
    ///
    /// # Errors
    ///
    /// If the kernel cannot be asked.
    fn peer(&mut self, index: IfIndex) -> Result<Option<(Link, Vec<IpAddr>)>, KernelError> {
        let look = |netlink: &mut crate::netlink::Netlink| -> Result<_, KernelError> {
            let Some(link) = netlink.link(index)? else { return Ok(None) };
            let addresses = netlink.addresses_of(index)?.into_iter().map(|address| address.local).collect();
            Ok(Some((link, addresses)))
        };
        match self.on_peer(look) {
            Err(KernelError::Gone(_)) => Ok(None),
            other => other,
        }
    }
}
