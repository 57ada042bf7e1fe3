//! What the kernel reports about interfaces, on its way to the engine.

use std::{collections::BTreeMap, time::Instant};

use aggctl_common::{IfIndex, PortId};
use aggctl_engine::Event;
use aggctl_kernel::{
    ethtool::{self, LinkSettings},
    netlink::link::LinkReport,
    watch::EventBatch,
};
use tracing::{info, warn};

use super::{Controller, LoopControl, poll::Survey};
use crate::failure::Failure;

/// What is remembered between reports.
#[derive(Debug, Default)]
pub(super) struct Links {
    seen: BTreeMap<PortId, KnownLink>,
    /// The looks that events ask for.
    pub(super) survey: Survey,
    /// The ports that went away, by the index that they had, until an event tells where they went.
    pub(super) left: BTreeMap<IfIndex, PortId>,
    /// The new name of the aggregate that its state could not be moved to, once that was said.
    pub(super) unmoved: Option<String>,
    /// The aggregate's MTU, as last seen.
    mtu: Option<u32>,
    /// Users of promiscuous mode of the aggregate, as last seen.
    promiscuity: Option<u32>,
}

#[derive(Clone, Copy, Debug)]
struct KnownLink {
    carrier: bool,
    settings: LinkSettings,
}

impl Links {
    pub(super) fn forget(&mut self, port: PortId) {
        self.seen.remove(&port);
    }

    /// When [`Controller::survey`] is to be called again, if it is.
    pub(super) fn due(&self) -> Option<Instant> {
        self.survey.due()
    }

    /// The aggregate's MTU, as last seen.
    pub(super) fn aggregate_mtu(&self) -> Option<u32> {
        self.mtu
    }

    /// The carrier of a port, as last seen.
    pub(super) fn carrier(&self, port: PortId) -> Option<bool> {
        self.seen.get(&port).map(|seen| seen.carrier)
    }

    /// Speed and duplex of a port: asked for when the link comes up, for some drivers are slow to answer.
    fn settings(&mut self, port: PortId, report: &LinkReport) -> LinkSettings {
        if let Some(seen) = self.seen.get(&port).filter(|seen| seen.carrier == report.link.carrier) {
            return seen.settings;
        }
        // A driver that cannot tell leaves them unknown.
        let settings = ethtool::settings(&report.link.name).ok().flatten();
        let seen = KnownLink { carrier: report.link.carrier, settings: settings.unwrap_or_default() };
        self.seen.insert(port, seen);
        seen.settings
    }
}

impl Controller {
    /// What happened since the last turn. Others cause most of it: what is neither ours nor might be a port come back
    /// costs no question.
    pub(super) fn on_link_events(&mut self, batch: &EventBatch) -> Result<LoopControl, Failure> {
        if batch.deleted.contains_key(&self.record.index) {
            info!("the interface was deleted, or moved to another network namespace: detaching");
            self.detach()?;
            return Ok(LoopControl::End);
        }
        self.suspect_foreign(batch);
        self.suspect_members();
        for (index, elsewhere) in &batch.deleted {
            self.on_deleted(*index, *elsewhere);
        }
        for index in &batch.changed {
            self.on_changed(*index)?;
        }
        if self.links.survey.is_asked_for() {
            self.survey();
        }
        if batch.routes || batch.addresses.contains(&self.record.index) {
            self.mirror.touch();
        }
        if batch.routes || !batch.addresses.is_empty() {
            self.take_late();
        }
        if batch.overrun {
            self.returning.look_everywhere();
        }
        Ok(LoopControl::Go)
    }

    fn on_changed(&mut self, index: IfIndex) -> Result<(), Failure> {
        if index == self.record.index {
            self.ask_aggregate()?;
        } else if index == self.record.peer_index {
            self.verify_early();
        } else if let Some(port) = self.port_at(index) {
            self.links.survey.ask_for(port);
        } else if self.misses_a_port() {
            self.returning.look_at(index);
        }
        Ok(())
    }

    /// Looks at everything, because events were lost.
    pub(super) fn look_again(&mut self) -> Result<LoopControl, Failure> {
        warn!("events were lost: looking at everything again");
        self.mirror.touch();
        self.query_all();
        for port in std::mem::take(&mut self.links.left).into_values() {
            self.let_go(port, None);
        }
        self.take_back_any();
        if self.executor.netlink.report(self.record.index)?.is_none() {
            self.detach()?;
            return Ok(LoopControl::End);
        }
        Ok(LoopControl::Go)
    }

    /// Asks for the aggregate and all ports, and tells the engine.
    pub(super) fn query_all(&mut self) {
        self.query_ports();
        if let Err(error) = self.ask_aggregate() {
            warn!(%error, "cannot ask for the aggregate");
        }
    }

    fn query_ports(&mut self) {
        let ports: Vec<_> = self.record.ports.iter().map(|port| (port.id, port.index)).collect();
        for (port, index) in ports {
            match index {
                Some(index) => self.query(port, index),
                None => self.tell_gone(port),
            }
        }
    }

    fn ask_aggregate(&mut self) -> Result<(), Failure> {
        // Its end is reported by an event.
        let Some(report) = self.executor.netlink.report(self.record.index)? else { return Ok(()) };
        if self.links.promiscuity.replace(report.promiscuity) != Some(report.promiscuity) {
            // Before the ports' flags are set: what their owner has set stays the owner's.
            self.query_ports();
        }
        self.tell_aggregate(&report);
        if report.link.admin_up && self.engine.carrier().is_some_and(|wanted| wanted != report.link.carrier) {
            self.verify_early();
        }
        self.follow_rename(&report.link.name)
    }

    pub(super) fn tell_port(&mut self, port: PortId, report: &LinkReport) {
        let settings = self.links.settings(port, report);
        let Some(known) = self.record.ports.iter().find(|record| record.id == port) else { return };
        let filter = known.before.features.get("rx-vlan-filter");
        let fixed = filter.is_some_and(|filter| filter.on && filter.fixed);
        if known.config.name != report.link.name
            && let Err(error) = self.follow_port_rename(port, &report.link.name)
        {
            warn!(%error, "cannot follow the new name of a port");
        }
        self.feed(Event::Link { port, link: report.link_state(settings, fixed) });
    }

    fn tell_aggregate(&mut self, report: &LinkReport) {
        if report.link.mac != self.record.mac {
            self.change_record(|record| record.mac = report.link.mac);
        }
        self.tell_driver(&report.link);
        let mtu = self.links.mtu.replace(report.link.mtu);
        if self.record.config.wiring.has_pair() && mtu != Some(report.link.mtu) {
            // Both ends of a pair must let the same frames through.
            if let Err(error) = self.executor.set_peer_mtu(self.record.peer_index, report.link.mtu) {
                warn!(%error, "the peer cannot follow the aggregate's MTU");
            }
        }
        self.feed(Event::Aggregate(report.aggregate_state()));
    }
}
