//! Giving the aggregate's MAC to all ports, if they take it.

use aggctl_engine::config::{AggregateConfig, MacPolicy};
use tracing::warn;

use super::Controller;
use crate::failure::Failure;

impl Controller {
    /// If by `config` all ports have the aggregate's MAC from now on, gives it to them: all or nothing.
    ///
    /// # Errors
    ///
    /// If one keeps its own; nothing was changed.
    pub(super) fn try_macs(&mut self, config: &AggregateConfig) -> Result<(), Failure> {
        if config.mac_policy != MacPolicy::SameAll || self.record.config.mac_policy == MacPolicy::SameAll {
            return Ok(());
        }
        let Some(aggregate) = self.executor.netlink.link(self.record.index)? else { return Ok(()) };
        let mut former = Vec::new();
        for index in self.record.ports.iter().filter_map(|port| port.index) {
            let Some(link) = self.executor.netlink.link(index)? else { continue };
            let Err(error) = self.executor.netlink.set_mac(index, aggregate.mac) else {
                former.push(link);
                continue;
            };
            for link in former {
                if let Err(error) = self.executor.netlink.set_mac(link.index, link.mac) {
                    warn!(%error, "a port keeps the aggregate's MAC");
                }
            }
            return Err(Failure::Refused(format!(
                "{error}: with mac-policy same-all every port needs the MAC of {name}; leave it as it is, or remove \
                 that port first; nothing was changed",
                name = self.store.name()
            )));
        }
        Ok(())
    }
}
