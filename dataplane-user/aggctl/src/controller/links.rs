//! What the kernel reports about interfaces, on its way to the engine.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use aggctl_common::{IfIndex, PortId};
use aggctl_engine::{
    Event,
    record::{PortRecord, Record},
};
use aggctl_kernel::{
    ethtool::{self, LinkSettings},
    netlink::link::LinkReport,
    watch::Batch,
};
use tracing::{info, warn};

use super::{Controller, Flow};
use crate::{
    failure::Failure,
    operation::{self, Moved},
};

/// Looks at all ports that events ask for come no closer together than this.
const SURVEY_PAUSE: Duration = Duration::from_millis(1);

/// What is remembered between reports.
#[derive(Debug, Default)]
pub(super) struct Links {
    seen: BTreeMap<PortId, Seen>,
    surveyed: Option<Instant>,
    /// When to look for an event that came too soon after the last look.
    due: Option<Instant>,
    /// The ports of which events told since then.
    told: BTreeSet<PortId>,
    /// The ports that went away, by the index that they had, until an event tells where they went.
    left: BTreeMap<IfIndex, PortId>,
    /// The new name of the aggregate that its state could not be moved to, once that was said.
    unmoved: Option<String>,
    /// The aggregate's MTU, as last seen.
    mtu: Option<u32>,
    /// Users of promiscuous mode of the aggregate, as last seen.
    promiscuity: Option<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    carrier: bool,
    settings: LinkSettings,
}

impl Links {
    pub(super) fn forget(&mut self, port: PortId) {
        self.seen.remove(&port);
    }

    /// When [`Controller::survey`] is to be called again, if it is.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// The aggregate's MTU, as last seen.
    pub(super) fn aggregate_mtu(&self) -> Option<u32> {
        self.mtu
    }

    /// The carrier of a port, as last seen.
    fn carrier(&self, port: PortId) -> Option<bool> {
        self.seen.get(&port).map(|seen| seen.carrier)
    }

    /// Speed and duplex of a port: asked for when the link comes up, for some drivers are slow to answer.
    fn settings(&mut self, port: PortId, report: &LinkReport) -> LinkSettings {
        if let Some(seen) = self.seen.get(&port).filter(|seen| seen.carrier == report.link.carrier) {
            return seen.settings;
        }
        // A driver that cannot tell leaves them unknown.
        let settings = ethtool::settings(&report.link.name).ok().flatten();
        let seen = Seen { carrier: report.link.carrier, settings: settings.unwrap_or_default() };
        self.seen.insert(port, seen);
        seen.settings
    }
}

impl Controller {
    /// What happened since the last turn. Others cause most of it: what is neither ours nor might be a port come back
    /// costs no question.
    pub(super) fn on_link_events(&mut self, batch: &Batch) -> Result<Flow, Failure> {
        if batch.deleted.contains_key(&self.record.index) {
            info!("the interface was deleted, or moved to another network namespace: detaching");
            self.detach()?;
            return Ok(Flow::End);
        }
        self.suspect_foreign(batch);
        for (index, elsewhere) in &batch.deleted {
            self.on_deleted(*index, *elsewhere);
        }
        for index in &batch.changed {
            self.on_changed(*index)?;
        }
        if !self.links.told.is_empty() {
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
        Ok(Flow::Go)
    }

    fn on_changed(&mut self, index: IfIndex) -> Result<(), Failure> {
        if index == self.record.index {
            self.ask_aggregate()?;
        } else if index == self.record.hidden_index {
            self.verify_early();
        } else if let Some(port) = self.port_at(index) {
            self.links.told.insert(port);
        } else if self.misses_a_port() {
            self.returning.look_at(index);
        }
        Ok(())
    }

    fn on_deleted(&mut self, index: IfIndex, elsewhere: Option<IfIndex>) {
        self.returning.forget(index);
        if let Some(port) = self.port_at(index) {
            self.tell_gone(port);
        }
        // A question may have found out before.
        if let Some(port) = self.links.left.remove(&index)
            && elsewhere.is_some()
        {
            self.let_go(port, elsewhere);
        }
    }

    /// Looks at everything, because events were lost.
    pub(super) fn look_again(&mut self) -> Result<Flow, Failure> {
        warn!("events were lost: looking at everything again");
        self.mirror.touch();
        self.query_all();
        for port in std::mem::take(&mut self.links.left).into_values() {
            self.let_go(port, None);
        }
        self.take_back_any();
        if self.executor.netlink.report(self.record.index)?.is_none() {
            self.detach()?;
            return Ok(Flow::End);
        }
        Ok(Flow::Go)
    }

    /// Asks for the ports of which events told, and the others for their carrier: news of a lost one may be on its way
    /// for a second. A moment later if that was done just now.
    pub(super) fn survey(&mut self) {
        let now = Instant::now();
        match self.links.surveyed.map(|at| at + SURVEY_PAUSE).filter(|at| *at > now) {
            Some(soon) => self.links.due = Some(soon),
            None => {
                self.links.surveyed = Some(now);
                self.links.due = None;
                for port in std::mem::take(&mut self.links.told) {
                    if let Some(index) = self.index_of(port) {
                        self.query(port, index);
                    }
                }
                self.poll();
            }
        }
    }

    /// Asks all ports for their carrier, and for everything where that is another one than it was. Of all else an event
    /// tells in time.
    pub(super) fn poll(&mut self) {
        let same = |port: &&PortRecord| {
            let known = self.links.carrier(port.id);
            known.is_some() && known == self.carriers.ask(&port.config.name)
        };
        let changed = self.record.ports.iter().filter(|port| !same(port));
        for (port, index) in changed.filter_map(|port| Some((port.id, port.index?))).collect::<Vec<_>>() {
            self.query(port, index);
        }
    }

    /// Asks for the interface of a port by its index, which may be another interface's by now.
    fn query(&mut self, port: PortId, index: IfIndex) {
        match self.executor.netlink.report(index) {
            Ok(Some(report)) if self.record.port_of(&report.link).is_some() => self.tell_port(port, &report),
            Ok(_) => self.tell_gone(port),
            Err(error) => warn!(%error, "cannot ask for a port"),
        }
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

    /// The interface of a port is gone, and its index means nothing from now on.
    fn tell_gone(&mut self, port: PortId) {
        self.links.forget(port);
        self.feed(Event::Gone { port });
        let Some(index) = self.index_of(port) else { return };
        self.links.left.insert(index, port);
        // It may live on in another network namespace, where our program would send to whoever has our indexes there.
        if let Err(error) = self.executor.dataplane.detach_rx(port, IfIndex::NONE, self.record.hook) {
            warn!(%error, "cannot take the program off a port that is gone");
        }
        self.change_record(|record| set_index(record, port, None));
    }

    /// Takes the settings of a port off an interface that was moved to another network namespace. That is nothing to
    /// wait for: there may be many namespaces.
    fn let_go(&self, port: PortId, elsewhere: Option<IfIndex>) {
        let Some(port) = self.record.ports.iter().find(|record| record.id == port).cloned() else { return };
        let record = self.record.clone();
        std::thread::spawn(move || {
            let name = port.config.name.as_str();
            match operation::restore_elsewhere(&record, &port, elsewhere) {
                Moved::Restored(errors) => info!(name, ?errors, "a port was moved: it has its settings back there"),
                Moved::NotFound => warn!(name, "a port was moved to a network namespace that cannot be entered"),
            }
        });
    }

    fn tell_port(&mut self, port: PortId, report: &LinkReport) {
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
        if self.links.mtu.replace(report.link.mtu) != Some(report.link.mtu) {
            // Both ends of a pair must let the same frames through.
            if let Err(error) = self.executor.set_hidden_mtu(self.record.hidden_index, report.link.mtu) {
                warn!(%error, "the hidden end cannot follow the aggregate's MTU");
            }
        }
        self.feed(Event::Aggregate(report.aggregate_state()));
    }

    fn follow_port_rename(&mut self, port: PortId, name: &str) -> Result<(), Failure> {
        info!(%port, name, "a port was renamed");
        let mut config = self.record.config.clone();
        for record in &mut self.record.ports {
            if record.id == port {
                let former = std::mem::replace(&mut record.config.name, name.to_owned());
                if let Some(entry) = config.ports.iter_mut().find(|entry| entry.name == former) {
                    name.clone_into(&mut entry.name);
                }
                if config.primary.as_ref() == Some(&former) {
                    config.primary = Some(name.to_owned());
                }
            }
        }
        self.try_feed(Event::Configure(config.clone()))?;
        self.reconfigure(config);
        Ok(())
    }

    fn follow_rename(&mut self, name: &str) -> Result<(), Failure> {
        if name != self.record.config.name {
            info!(from = self.record.config.name, to = name, "the aggregate was renamed");
            name.clone_into(&mut self.executor.aggregate);
            let mut config = self.record.config.clone();
            name.clone_into(&mut config.name);
            self.try_feed(Event::Configure(config.clone()))?;
            self.reconfigure(config);
        }
        if name == self.store.name() {
            return Ok(());
        }
        // Its state stays under the former name if it must, and is tried again: nothing depends on where it is.
        match self.store.rename(name) {
            Ok(()) => self.executor = operation::executor(&self.store, &self.record)?,
            Err(error) if self.links.unmoved.as_deref() != Some(name) => {
                warn!(%error, "cannot move the state to the new name yet");
                self.links.unmoved = Some(name.to_owned());
            }
            Err(_) => {}
        }
        Ok(())
    }
}

/// Notes the interface that a port has now.
pub(super) fn set_index(record: &mut Record, id: PortId, index: Option<IfIndex>) {
    if let Some(port) = record.ports.iter_mut().find(|port| port.id == id) {
        port.index = index;
    }
}
