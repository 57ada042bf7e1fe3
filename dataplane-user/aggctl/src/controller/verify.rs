//! Checking every second whether all is as it should be, and repairing what may be repaired.
//!
//! A check has parts, one for each turn of the loop, so that a failing port never waits for it.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use aggctl_engine::{
    aggregate::Aggregate,
    ledger::Ledger,
    plan,
    record::Record,
    status::{DefectStatus, RepairStatus},
};
use aggctl_kernel::{
    dataplane::{OpenPins, ProgramRole},
    ethtool,
    execute::Executor,
    verify::{CheckPart, Defect, Look},
};
use tracing::warn;

use super::{Controller, clock::past_ms, links::Links};
use crate::failure::Failure;

/// Looks that events ask for come no closer together than this.
const EARLY: Duration = Duration::from_millis(100);

/// What is known of defects.
#[derive(Debug, Default)]
pub(super) struct Verifier {
    /// All pins, held open: programs and maps do not depend on the bpffs while this controller lives.
    held: OpenPins,
    ledger: Ledger<Defect>,
    /// What is still to be looked at.
    parts: VecDeque<CheckPart>,
    /// What was found so far.
    found: Vec<Defect>,
    began: Option<Instant>,
}

impl Verifier {
    /// Holds the pins open.
    pub fn of(executor: &Executor) -> Result<Self, Failure> {
        Ok(Self { held: executor.dataplane.hold()?, ..Self::default() })
    }

    /// Whether a look has not come to its end.
    pub fn is_looking(&self) -> bool {
        !self.parts.is_empty()
    }

    /// What is wrong, for `show`. `started` is when the ledger's clock began.
    pub fn defects(&self, started: Instant) -> Vec<DefectStatus> {
        let standing = self.ledger.standing().map(|standing| DefectStatus {
            kind: standing.defect.kind().to_owned(),
            what: standing.defect.to_string(),
            since_ms: Some(past_ms(started + standing.since)),
            done: match (standing.why, standing.next) {
                (Some(why), _) => format!("could not be repaired: {why}"),
                (None, Some(next)) => {
                    let left = next.saturating_sub(started.elapsed()).as_secs();
                    format!("was repaired again and again; the next repair is in {left} s")
                }
                (None, None) => "reported only".to_owned(),
            },
        });
        standing.collect()
    }

    /// What was repaired, for `show`.
    pub fn repairs(&self, started: Instant) -> Vec<RepairStatus> {
        let repairs = self.ledger.repairs().map(|repair| RepairStatus {
            what: repair.what.clone(),
            at_ms: past_ms(started + repair.at),
            times: repair.times,
        });
        repairs.collect()
    }
}

impl Controller {
    /// Holds all pins open, and begins to look at everything, unless a look is under way.
    pub(super) fn begin_to_verify(&mut self) {
        if !self.verifier.is_looking() && self.engine.carrier().is_some() {
            self.verifier.began = Some(Instant::now());
            self.verifier.found.clear();
            let look = look(&self.record, &self.links, &self.engine, Vec::new());
            self.verifier.parts = look.parts(&self.executor).into();
        }
    }

    /// As [`Controller::begin_to_verify`], for an event that may mean that something is wrong.
    pub(super) fn verify_early(&mut self) {
        if self.verifier.began.is_none_or(|began| began.elapsed() >= EARLY) {
            self.begin_to_verify();
        }
    }

    /// Looks at the next part; after the last one, repairs.
    pub(super) fn verify_next(&mut self) {
        let Some(part) = self.verifier.parts.pop_front() else { return };
        let lost = match part {
            CheckPart::Pins => self.executor.dataplane.keep(&mut self.verifier.held),
            CheckPart::Maps
            | CheckPart::Program(_)
            | CheckPart::Early(..)
            | CheckPart::Peer
            | CheckPart::Features(_) => Ok(Vec::new()),
        };
        let mut found = match lost {
            Ok(lost) => look(&self.record, &self.links, &self.engine, lost).part(part, &mut self.executor),
            Err(error) => vec![Defect::Unknown(format!("the pins cannot be looked at: {error}"))],
        };
        if part == CheckPart::Maps && !found.contains(&Defect::Table) && self.table.load() != self.engine.table() {
            found.push(Defect::Table);
        }
        // Without pins nothing else can be judged.
        if part == CheckPart::Pins && !found.is_empty() {
            self.verifier.parts.clear();
        }
        self.verifier.found.extend(found);
        if !self.verifier.is_looking() {
            self.conclude();
        }
    }

    /// Repairs what may be repaired, and tells the rest.
    fn conclude(&mut self) {
        let mut found = std::mem::take(&mut self.verifier.found);
        found.extend(self.engine.unfulfilled().into_iter().map(Defect::Setting));
        let due = self.verifier.ledger.look(
            self.clock.elapsed(),
            found.into_iter().map(|defect| {
                let repairable = defect.is_repairable();
                (defect, repairable)
            }),
        );
        for notice in due.notices {
            self.notify(notice);
        }
        for defect in due.repair {
            warn!(%defect, "repairing");
            let outcome = self.repair(&defect).map_err(|failure| failure.to_string());
            let were_pins = matches!(defect, Defect::Pins { .. }) && outcome.is_ok();
            if let Some(notice) = self.verifier.ledger.outcome(self.clock.elapsed(), &defect, outcome) {
                self.notify(notice);
            }
            if were_pins {
                // What could not be judged without them.
                self.begin_to_verify();
            }
        }
    }

    fn repair(&mut self, defect: &Defect) -> Result<(), Failure> {
        match defect {
            Defect::Pins { .. } => {
                self.store.create()?;
                self.executor.dataplane.pin_again(&mut self.verifier.held)?;
                // Among them is a copy of the record.
                self.keep_disk();
            }
            Defect::Table => self.table.publish(&self.engine.table()),
            Defect::NotAttached { role, .. } | Defect::OtherProgram { role, .. } => self.attach_again(*role)?,
            Defect::PeerAdmin { up, .. } => self.executor.set_carrier(self.record.peer_index, !up)?,
            Defect::PeerMtu { wanted, .. } => self.executor.set_peer_mtu(self.record.peer_index, *wanted)?,
            Defect::Feature { name, feature, .. } => ethtool::set_feature(name, feature, false)?,
            Defect::Map(_)
            | Defect::Before { .. }
            | Defect::PeerGone(_)
            | Defect::PeerAddress { .. }
            | Defect::PeerMaster { .. }
            | Defect::Setting(_)
            | Defect::Unknown(_) => {}
        }
        Ok(())
    }

    fn attach_again(&mut self, role: ProgramRole) -> Result<(), Failure> {
        let steps = match role {
            ProgramRole::Tx => vec![plan::sender(&self.record)],
            ProgramRole::Relay => vec![plan::relay(&self.record)],
            ProgramRole::Rx(id) => {
                let port = self.record.ports.iter().filter(|port| port.id == id);
                port.filter_map(|port| plan::receiver(&self.record, port)).collect()
            }
            ProgramRole::Xdp(id) => {
                self.record.ports.iter().filter(|port| port.id == id).filter_map(plan::early).collect()
            }
        };
        for step in &steps {
            self.executor.apply(step)?;
        }
        Ok(())
    }
}

/// The aggregate as it should be now.
fn look<'a>(record: &'a Record, links: &Links, engine: &Aggregate, lost: Vec<String>) -> Look<'a> {
    let ports = record.ports.iter();
    let ports = ports.filter_map(|port| Some((port.id, port.index?, port.config.name.clone()))).collect();
    Look { record, ports, carrier: engine.carrier(), mtu: links.aggregate_mtu(), lost }
}
