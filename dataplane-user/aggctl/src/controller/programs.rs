//! Changing what the programs do while frames pass.

use aggctl_engine::{Event, config::AggregateConfig, plan, settings::Settings};
use tracing::info;

use super::Controller;
use crate::failure::Failure;

impl Controller {
    /// Takes `config` into use: all or nothing. If its programs are others, they are swapped in the order that loses
    /// nothing.
    pub(super) fn change(&mut self, config: &AggregateConfig) -> Result<(), Failure> {
        let former = self.record.config.clone();
        if *config == former {
            return Ok(());
        }
        self.try_change(&former, config).map_err(|failure| match self.change_back(config, &former) {
            Ok(()) => failure,
            Err(again) => Failure::Refused(format!("{failure}; {again}")),
        })
    }

    /// Takes back a change that was begun.
    pub(super) fn change_back(&mut self, config: &AggregateConfig, former: &AggregateConfig) -> Result<(), Failure> {
        if config == former {
            return Ok(());
        }
        self.try_change(config, former)
            .map_err(|failure| Failure::Refused(format!("what was changed already could not be taken back: {failure}")))
    }

    /// The receiving programs first accept what either accepts; then the new tables are there before the sending
    /// program that reads them; only when nobody sends by the old rule any more is it refused.
    fn try_change(&mut self, from: &AggregateConfig, to: &AggregateConfig) -> Result<(), Failure> {
        let (old, new) = (Settings::of(from), Settings::of(to));
        if old == new {
            return Ok(self.try_feed(Event::Configure(to.clone()))?);
        }
        let between = old.permissive(&new);
        if !between.receives_like(&old) {
            self.receive_by(between.clone())?;
        }
        self.executor.dataplane.set_settings(new.clone());
        self.executor.dataplane.create()?;
        self.try_feed(Event::Configure(to.clone()))?;
        if new.table().is_some() && self.executor.dataplane.buckets()?.is_none() {
            return Err(Failure::Refused("the new table could not be published; see the log".to_owned()));
        }
        self.executor.apply(&plan::sender(&self.record))?;
        if !between.receives_like(&new) {
            self.receive_by(new.clone())?;
        }
        info!(settings = ?new, "the programs were changed");
        Ok(())
    }

    /// Swaps the programs of all ports that are there.
    fn receive_by(&mut self, settings: Settings) -> Result<(), Failure> {
        self.executor.dataplane.set_settings(settings);
        for port in &self.record.ports {
            let early = port.xdp.and_then(|_| plan::early(port));
            for step in plan::receiver(&self.record, port).into_iter().chain(early) {
                self.executor.apply(&step)?;
            }
        }
        Ok(())
    }
}
