//! Doing what commands ask for.

use std::time::Instant;

use aggctl_engine::{
    Event,
    options::ActivePort,
    plan::{self, LiveChange, Warning},
    record::Record,
};

use super::{
    Controller, LoopControl,
    disk::RecordBehind,
    ports::{self, Leaving},
};
use crate::{
    api::{Answer, PendingRequest, Request, reply},
    failure::Failure,
};

impl Controller {
    pub(super) fn on_request(&mut self, asked: PendingRequest) -> LoopControl {
        let mut flow = LoopControl::Go;
        let answer = match asked.request {
            Request::Status => Ok(self.status()),
            Request::Set { change, active_port } => {
                self.set(&change, active_port.as_ref()).map(|warnings| self.warned(warnings))
            }
            Request::AddPort { port } => {
                self.change_ports(ports::PortChange::Add(port, asked.answer));
                return flow;
            }
            Request::RemovePort { port } => {
                match self.hand_over(&port) {
                    Some(at) => self.leaving.push(Leaving { port, at, answer: asked.answer }),
                    None => self.change_ports(ports::PortChange::Remove(port, asked.answer)),
                }
                return flow;
            }
            Request::Confirm => {
                self.change_record(|record| record.confirm_by = None);
                Ok(self.done())
            }
            Request::Leave => {
                flow = self.leave();
                Ok(self.done())
            }
            // The server keeps these to itself.
            Request::Monitor => Ok(self.done()),
        };
        reply(asked.answer, answer);
        flow
    }

    /// Removes the ports that handed over their traffic and waited long enough.
    pub(super) fn remove_leaving(&mut self) {
        let now = Instant::now();
        for leaving in self.leaving.extract_if(.., |leaving| leaving.at <= now).collect::<Vec<_>>() {
            self.change_ports(ports::PortChange::Remove(leaving.port, leaving.answer));
        }
    }

    /// What the controller knows. The record without its journal, which nobody asks for.
    fn status(&self) -> Answer {
        let record = Record { journal: Vec::new(), ..self.record.clone() };
        Answer::Status {
            status: self.present_status(),
            record: Some(Box::new(record)),
            behind: self.disk.behind().cloned(),
        }
    }

    /// Changes options and then the active port; nothing if one of them is refused. Returns what the owner should know.
    fn set(&mut self, change: &LiveChange, active_port: Option<&ActivePort>) -> Result<Vec<String>, Failure> {
        let config = plan::set(&self.record, change)?;
        let former = self.record.config.clone();
        let order = active_port.map(|active| match active {
            ActivePort::Named(name) => Ok(Event::Activate { port: self.port_named(name)? }),
            ActivePort::ByRule => Ok::<_, Failure>(Event::ChooseAgain),
        });
        let order = order.transpose()?;
        if order.is_some() && config.mode.shares() {
            // Before the programs are changed, and changed back.
            return Err(aggctl_engine::aggregate::EventRefusal::NoActivePort.into());
        }
        let (modes, mut warnings) = self.modes_of(&config)?;
        if config.primary != former.primary {
            warnings.extend(Warning::of_primary(&config).map(|warning| warning.to_string()));
        }
        let former_modes = self.present_modes();
        self.try_macs(&config)?;
        self.change(&config)?;
        if let Err(failure) = self.drop_early(&modes) {
            self.change_back(&config, &former)?;
            return Err(failure);
        }
        if let Some(order) = order
            && let Err(refusal) = self.try_feed(order)
        {
            self.drop_early(&former_modes)?;
            self.change_back(&config, &former)?;
            return Err(refusal.into());
        }
        if config.mac_policy != former.mac_policy {
            self.record.mac_fallback = None;
        }
        self.reconfigure(config);
        Ok(warnings)
    }

    /// The answer to a request that was carried out. That it could not be written down is no reason not to.
    fn done(&self) -> Answer {
        self.warned(Vec::new())
    }

    /// As [`Controller::done`], with what the owner should know besides.
    pub(super) fn warned(&self, mut warnings: Vec<String>) -> Answer {
        let unwritten = |behind: &RecordBehind| {
            let name = self.store.name();
            format!("{name} is changed, but the record on disk is not, until there is room: {}", behind.why)
        };
        warnings.extend(self.disk.behind().map(unwritten));
        Answer::Done { warnings }
    }
}
