//! What the watches beyond the link say of the ports.

use aggctl_common::{Mac, PortId};

use super::{Aggregate, port::Port};
use crate::{
    action::{Action, Notice},
    prober::{PortFindings, ProbeWish, ProbedPort},
    status::WatchStatus,
    watches::WatchKind,
};

impl Aggregate {
    /// Whether its watches beyond the link let a port be used, by the policy.
    pub(super) fn is_well(&self, port: &Port) -> bool {
        let watches = self.config.watches_of(&port.config).all().iter();
        // Without a link nothing else is asked for.
        self.config.watch_policy.of(watches.map(|watch| watch.kind == WatchKind::Link || port.finds_well(watch)))
    }

    /// Takes in what watches say; nothing if that is about a link that was lost since.
    pub(super) fn watched(&mut self, reported: PortFindings, actions: &mut Vec<Action>) {
        let Some(port) = self.port_mut(reported.port).filter(|port| port.epoch == reported.epoch) else { return };
        for finding in &reported.findings {
            if port.finds_well(&finding.watch) != finding.up {
                let (name, watch) = (port.config.name.clone(), finding.watch.to_string());
                let (up, why) = (finding.up, finding.why.clone());
                actions.push(Action::Notice(Notice::Watch { port: name, watch, up, why }));
            }
        }
        port.findings = reported.findings;
    }

    /// Why its watches beyond the link do not let a port be used, if they do not.
    pub(super) fn why_unwell(&self, port: &Port) -> Option<String> {
        if self.is_well(port) {
            return None;
        }
        let unwell = self.config.watches_of(&port.config).beyond_link().filter(|watch| !port.finds_well(watch));
        let words = unwell.map(|watch| {
            let finding = port.findings.iter().find(|finding| finding.watch == *watch);
            let why = finding.map_or("has not found it well since its link came up", |finding| &finding.why);
            format!("watch {}: {why}", watch.kind.name())
        });
        Some(words.collect::<Vec<_>>().join("; "))
    }

    /// What each watch of a port says, without what it saw of its targets.
    pub(super) fn watch_statuses(&self, port: &Port) -> Vec<WatchStatus> {
        let says = |up: bool, watch: String, why: String| WatchStatus { watch, up, why, targets: Vec::new() };
        let watches = self.config.watches_of(&port.config).all().iter();
        let status = watches.map(|watch| match watch.kind {
            WatchKind::Link => says(port.watch.is_up(), watch.to_string(), self.link_health(port)),
            _ => {
                let finding = port.findings.iter().find(|finding| finding.watch == *watch);
                let why = finding.map_or_else(|| String::from("nothing is known yet"), |finding| finding.why.clone());
                says(port.finds_well(watch), watch.to_string(), why)
            }
        });
        status.collect()
    }

    /// What is to be watched beyond the links of the ports. `mac`: from which MAC a port asks.
    #[must_use]
    pub fn probe_wish(&self, mac: impl Fn(PortId) -> Mac) -> ProbeWish {
        let port = |port: &Port| {
            let watches: Vec<_> = self.config.watches_of(&port.config).beyond_link().cloned().collect();
            ProbedPort {
                id: port.id,
                ifindex: port.ifindex,
                mac: mac(port.id),
                up: port.raw_up(),
                carries: self.settled && (self.config.mode.shares() || self.active == Some(port.id)),
                epoch: port.epoch,
                trusted: port.trusted,
                watches,
            }
        };
        let ports: Vec<_> = self.ports.iter().map(port).collect();
        if ports.iter().all(|port| port.watches.is_empty()) {
            return ProbeWish::default();
        }
        ProbeWish { vlan: self.config.vlan.clone(), mac: self.mac, ports }
    }
}
