//! Early drop, changed while frames pass.

use std::collections::BTreeMap;

use aggctl_common::PortId;
use aggctl_engine::{
    config::{AggregateConfig, XdpMode},
    plan,
};
use aggctl_kernel::early::XdpDrivers;

use super::Controller;
use crate::failure::Failure;

/// In which mode each port drops early, if it does.
pub(super) type EarlyModes = BTreeMap<PortId, Option<XdpMode>>;

impl Controller {
    /// In which mode each port drops early now.
    pub(super) fn present_modes(&self) -> EarlyModes {
        self.record.ports.iter().map(|port| (port.id, port.xdp)).collect()
    }

    /// In which mode each port will, by `config`, and what the owner should know of that.
    ///
    /// # Errors
    ///
    /// If one cannot; nothing was changed.
    pub(super) fn modes_of(&mut self, config: &AggregateConfig) -> Result<(EarlyModes, Vec<String>), Failure> {
        if config.xdp == self.record.config.xdp {
            return Ok((self.present_modes(), Vec::new()));
        }
        let drivers = XdpDrivers::ask()?;
        let (mut modes, mut warnings) = (EarlyModes::new(), Vec::new());
        for port in &self.record.ports {
            // One that is missing will be what it was.
            let link = match port.index.map(|index| self.executor.netlink.link(index)).transpose()?.flatten() {
                Some(mut link) => {
                    link.xdp = drivers.look(&link)?;
                    link
                }
                None => port.before.clone(),
            };
            let mode = plan::early_mode(config.xdp, &link, port.xdp.is_some())?;
            warnings.extend(plan::early_warning(mode, &link).map(|warning| warning.to_string()));
            modes.insert(port.id, mode);
        }
        Ok((modes, warnings))
    }

    /// Makes each port drop early as `modes` has it: all or nothing.
    pub(super) fn drop_early(&mut self, modes: &EarlyModes) -> Result<(), Failure> {
        let former = self.present_modes();
        self.try_drop_early(modes).map_err(|failure| match self.try_drop_early(&former) {
            Ok(()) => failure,
            Err(again) => Failure::Refused(format!("{failure}; what was changed could not be taken back: {again}")),
        })
    }

    fn try_drop_early(&mut self, modes: &EarlyModes) -> Result<(), Failure> {
        for port in &mut self.record.ports {
            let Some(mode) = modes.get(&port.id).filter(|mode| **mode != port.xdp) else { continue };
            port.xdp = *mode;
            if let Some(step) = plan::early(port) {
                self.executor.apply(&step)?;
            }
        }
        Ok(())
    }
}
