//! Watches beyond the links of the ports: what they are told, and what they say.

use aggctl_engine::{
    Event,
    probe::own_mac,
    prober::{PortFindings, ProbeWish},
    record::PortRecord,
    status::AggregateStatus,
};
use aggctl_kernel::probing::Probing;
use tracing::warn;

use super::Controller;

/// The watches; none run until there is something to watch.
#[derive(Debug, Default)]
pub(super) struct PortWatches {
    probing: Option<Probing>,
    /// Whether they could not begin when it was last tried.
    failed: bool,
}

impl PortWatches {
    /// What they say, as soon as one says something else. May be given up and called again.
    pub async fn findings(&mut self) -> PortFindings {
        match &mut self.probing {
            Some(probing) => probing.findings().await,
            None => std::future::pending().await,
        }
    }

    /// Tells them what to watch.
    fn tell(&mut self, wish: ProbeWish) {
        if self.probing.is_none() && wish != ProbeWish::default() {
            match Probing::begin() {
                Ok(probing) => (self.probing, self.failed) = (Some(probing), false),
                Err(error) if !self.failed => {
                    self.failed = true;
                    warn!(%error, "nothing but the links can be watched; trying again");
                }
                Err(_) => {}
            }
        }
        if let Some(probing) = &mut self.probing {
            probing.watch(wish);
        }
    }

    /// Adds what they have seen.
    pub fn complete(&self, status: &mut AggregateStatus) {
        let Some(probing) = &self.probing else { return };
        let mut report = probing.report();
        for port in &mut status.ports {
            let all = report.remove(&port.id).unwrap_or_default();
            for seen in all {
                let text = seen.watch.to_string();
                if let Some(watch) = port.watches.iter_mut().find(|watch| watch.watch == text) {
                    (watch.why, watch.targets) = (seen.why, seen.targets);
                }
            }
        }
    }
}

impl Controller {
    /// Tells the watches how the ports are now.
    pub(super) fn tell_watches(&mut self) {
        let own = |port: &PortRecord| port.before.permanent_mac.unwrap_or(port.before.mac);
        let ports = &self.record.ports;
        let mac = |id| ports.iter().find(|port| port.id == id).map_or(self.record.mac, own);
        let wish = self.engine.probe_wish(|id| own_mac(mac(id), id));
        self.watching.tell(wish);
    }

    /// Tells the engine what watches say.
    pub(super) fn on_findings(&mut self, findings: PortFindings) {
        self.feed(Event::Watched(findings));
    }
}
