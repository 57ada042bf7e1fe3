//! New names of the aggregate and of its ports.

use aggctl_common::PortId;
use aggctl_engine::Event;
use tracing::{info, warn};

use super::Controller;
use crate::{failure::Failure, operation};

impl Controller {
    /// A port has another name now.
    pub(super) fn follow_port_rename(&mut self, port: PortId, name: &str) -> Result<(), Failure> {
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

    /// The aggregate may have another name now.
    pub(super) fn follow_rename(&mut self, name: &str) -> Result<(), Failure> {
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
