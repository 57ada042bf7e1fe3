//! What must hold after each event: of the status, the choice of the port, and what the programs fall back to.

use aggctl_common::{Destination, IfIndex, PortId, Ports};
use aggctl_engine::{
    Event,
    config::{MacPolicy, PortConfig, Reselect},
    status::{AggregateStatus, PortState},
};

use super::Run;
use crate::world::{Nic, name};

impl Run {
    /// A port that takes settings has the MAC that the policy says, and the aggregate too.
    pub(super) fn check_mac(&self, nic: &Nic) {
        let (mac, own) = (self.world.interface.mac, nic.own_mac());
        let active = self.status.active.and_then(|active| self.world.nics.iter().find(|nic| nic.id == active));
        let expected = match (self.world.config.mac_policy, active) {
            (MacPolicy::SameAll, _) => mac,
            (MacPolicy::ByActive, _) => own,
            (MacPolicy::OnlyActive, None) => return,
            (MacPolicy::OnlyActive, Some(active)) if active.id == nic.id => mac,
            (MacPolicy::OnlyActive, Some(active)) if own == mac => active.own_mac(),
            (MacPolicy::OnlyActive, Some(_)) => own,
        };
        assert_eq!(nic.state.mac, expected, "MAC of {nic:?}");
        if let (MacPolicy::ByActive, Some(active)) = (self.world.config.mac_policy, active) {
            assert_eq!(mac, active.own_mac(), "the aggregate's MAC");
        }
        let table = self.engine.table();
        assert_eq!(table.mac, Destination::from(mac).word(), "the programs know another MAC");
        assert!(table.former_mac == 0 || self.world.config.mac_policy == MacPolicy::ByActive);
    }

    pub(super) fn check_refusal(&self, event: &Event, before: &AggregateStatus, refusal: &str) {
        assert!(!refusal.contains('\n') && refusal.len() > 10);
        let Event::Activate { port } = event else { panic!("{event:?} was refused: {refusal}") };
        let sound = before.ports.iter().find(|status| status.id == *port).is_some_and(|port| port.usable && port.link);
        assert!(!sound || !self.model.settled, "{event:?} was refused: {refusal}; {before:?}");
        assert_eq!(&self.engine.status().active, &before.active);
    }

    pub(super) fn check_status(&self, status: &AggregateStatus) {
        if !self.model.settled {
            assert_eq!(status.active, None);
            return;
        }
        let usable = status.ports.iter().filter(|port| port.usable).count();
        assert_eq!(status.carrier, usable >= usize::from(self.world.config.min_ports), "{status:?}");
        assert_eq!(status.active.is_some(), usable > 0, "one port is active while any is usable: {status:?}");
        let table = self.engine.table();
        assert_eq!(table.choose(), status.active, "the table says otherwise: {table:?} {status:?}");
        for port in &status.ports {
            let active = status.active == Some(port.id);
            assert_eq!(port.state == PortState::Active, active);
            assert!(!active || port.usable, "an unusable port is active: {status:?}");
            let accepts = table.accept & port.id.bit() != 0;
            let is_left_alone = port.held.is_some() || !self.settings(port.id).enabled;
            assert!(!accepts || port.usable || is_left_alone, "an unusable port accepts: {status:?}");
            assert_eq!(table.usable & port.id.bit() != 0, port.usable);
            assert!(!port.why.is_empty());
        }
    }

    fn settings(&self, id: PortId) -> &PortConfig {
        self.world.config.ports.iter().find(|port| port.name == name(id)).expect("settings of each port")
    }

    /// A primary that joined takes over as soon as it is usable, once, unless the owner chose another just then.
    pub(super) fn check_joining(&mut self, event: &Event, after: &AggregateStatus) {
        let primary = self.world.config.primary.clone();
        let is_port = |name: &String| after.ports.iter().any(|port| port.name == *name);
        match event {
            Event::PortAdded(member) if primary.as_ref() == Some(&member.config.name) => {
                self.joining = Some(member.id);
            }
            Event::PortRemoved { port } => self.joining = self.joining.filter(|joining| joining != port),
            Event::Configure(_) if primary.as_ref().filter(|name| is_port(name)) != self.primary.as_ref() => {
                self.joining = None;
            }
            _ => {}
        }
        self.primary = primary.filter(is_port);
        self.joined = None;
        let Some(joining) = self.joining.filter(|_| self.model.settled) else { return };
        if after.ports.iter().any(|port| port.id == joining && port.usable && port.link) {
            let is_order = matches!(event, Event::Activate { .. } | Event::ChooseAgain);
            assert!(is_order || after.active == Some(joining), "{joining} joined: {event:?} {after:?}");
            self.joining = None;
            self.joined = Some(joining);
        }
    }

    /// A port that could have stayed active yields only to one that the owner chose, or that is preferred and may.
    pub(super) fn check_choice(
        &mut self,
        event: &Event,
        table: &Ports,
        before: &AggregateStatus,
        after: &AggregateStatus,
    ) {
        let usable = |id: PortId| after.ports.iter().any(|port| port.id == id && port.usable);
        match event {
            Event::Activate { .. } => {
                self.passed_over = after.ports.iter().filter(|port| port.usable).map(|port| port.id).collect();
            }
            Event::Configure(_) | Event::ChooseAgain => self.passed_over.clear(),
            _ => self.passed_over.retain(|id| usable(*id)),
        }
        let replugged = match event {
            Event::Link { port, link } => {
                Some(*port).filter(|_| ![IfIndex::NONE, link.ifindex].contains(&table.ifindex[port.index()]))
            }
            _ => None,
        };
        self.passed_over.retain(|id| Some(*id) != replugged);
        let (Some(from), Some(to)) = (before.active, after.active) else { return };
        if let Event::Activate { port } = event {
            self.trace.by_hand += 1;
            assert_eq!(to, *port, "the owner's choice");
        }
        if from == to {
            return;
        }
        let link = |id: PortId| after.ports.iter().any(|port| port.id == id && port.link);
        if !usable(from) || replugged == Some(from) {
            self.trace.failovers += 1;
            self.passed_over.clear();
            let better = after.ports.iter().any(|port| port.usable && port.link && port.id != from);
            assert!(link(to) || !better, "{to} is failing itself: {after:?}");
            return;
        }
        let config = &self.world.config;
        let primary = |id| config.primary == Some(name(id));
        match event {
            Event::Activate { .. } => {}
            Event::ChooseAgain => {
                self.trace.again += 1;
                let merit = |id| (link(id), primary(id), self.settings(id).priority);
                let usable = after.ports.iter().filter(|port| port.usable);
                assert!(usable.map(|port| merit(port.id)).all(|other| other <= merit(to)), "{to} is not the best");
            }
            Event::Configure(_) if primary(to) => {}
            _ if self.joined == Some(to) => {
                self.trace.joined += 1;
                self.passed_over.clear();
            }
            _ => {
                self.trace.preferred += 1;
                let (old, new) = (self.settings(from), self.settings(to));
                assert!(!old.sticky && config.reselect != Reselect::Failure, "{from} had to stay: {event:?}");
                let preferred = (primary(to), new.priority) > (primary(from), old.priority);
                assert!(link(to), "{to} is failing: {event:?} {after:?}");
                assert!(!self.passed_over.contains(&to), "{to} was passed over: {event:?}");
                self.passed_over.clear();
                assert!(preferred, "{to} is not preferred to {from}: {event:?}");
            }
        }
    }

    /// What the programs fall back to is what the engine chooses when the active port alone fails.
    pub(super) fn check_fallback(
        &self,
        event: &Event,
        table: &Ports,
        before: &AggregateStatus,
        after: &AggregateStatus,
    ) {
        let (Some(failed), Event::Link { port, .. } | Event::Gone { port } | Event::PortRemoved { port }) =
            (before.active, event)
        else {
            return;
        };
        let left = Ports { usable: table.usable & !failed.bit(), ..*table };
        if *port != failed || self.engine.table().usable != left.usable {
            return;
        }
        if let Some(fallback) = left.choose() {
            assert_eq!(after.active, Some(fallback), "the programs fell back to another port: {event:?} {table:?}");
        }
    }
}
