//! `doctor`: known faults, found in a picture of the aggregates and the host.
//!
//! Each check is a function from [`Facts`] to findings: it asks nobody, changes nothing, and knows no clock. [`KINDS`]
//! is the table of all that can be found; the page about it is written from it.

mod alike;
mod control;
mod facts;
mod kernel;
mod kinds;
mod life;
mod others;
mod partner;
mod ports;
mod reverse_path;
mod traffic;

#[cfg(test)]
mod samples;

use std::{fmt, time::Duration};

use serde::Serialize;

pub use self::{
    alike::features,
    facts::{AggregateFacts, ControllerFacts, Facts, FrameCounts, Guardian, KernelFacts, PortFacts, Sample, WrongPart},
    kinds::{FindingKind, KINDS},
    partner::{FramesOfInterest, frames_of_interest},
};

/// How long a [`Sample`] takes.
pub const SAMPLE: Duration = Duration::from_secs(1);

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Traffic is lost, or is at the next failure.
    Error,
    /// Something does not work as its owner most likely thinks.
    Warning,
    /// Good to know; it may well be meant so.
    Hint,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Hint => "hint",
        })
    }
}

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which of [`KINDS`]: a word for programs, which stays the same.
    pub id: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// The aggregate; `None`: it is about the kernel.
    pub aggregate: Option<String>,
    /// The ports that it is about; empty: the whole aggregate.
    pub ports: Vec<String>,
    /// What was seen, with the figures that were looked at: one line.
    pub seen: String,
    /// What to do about it: one line.
    pub remedy: String,
}

impl Finding {
    /// About a whole aggregate, as bad as its kind usually is.
    fn new(kind: &FindingKind, aggregate: &AggregateFacts, seen: String, remedy: String) -> Self {
        Self {
            id: kind.id,
            severity: kind.usual(),
            aggregate: Some(aggregate.name.clone()),
            ports: Vec::new(),
            seen,
            remedy,
        }
    }

    /// The same about these ports.
    fn on<'a>(self, ports: impl IntoIterator<Item = &'a str>) -> Self {
        Self { ports: ports.into_iter().map(str::to_owned).collect(), ..self }
    }

    /// The same as bad as this, which its kind must allow.
    fn with(self, severity: Severity) -> Self {
        debug_assert!(kinds::find(self.id).is_some_and(|kind| kind.severities.contains(&severity)), "{}", self.id);
        Self { severity, ..self }
    }
}

/// A check of one aggregate that is in place.
type Check = fn(&Facts, &AggregateFacts) -> Vec<Finding>;

/// The checks, in the order in which their findings are told.
const CHECKS: &[Check] = &[
    control::look,
    control::driver,
    ports::enough,
    ports::each,
    ports::primary,
    reverse_path::look,
    partner::look,
    partner::vlans,
    traffic::one_way,
    traffic::spread,
    others::programs,
    others::put_on_ports,
    others::conflicts,
    alike::mtu,
    alike::offloads,
    alike::links,
    kernel::failover,
];

/// Everything that is found, the worst of each aggregate first; what is about the kernel comes before.
#[must_use]
pub fn examine(facts: &Facts) -> Vec<Finding> {
    let mut findings = kernel::look(&facts.kernel);
    for aggregate in &facts.aggregates {
        let mut found = life::look(aggregate);
        if aggregate.is_in_place() {
            found.extend(CHECKS.iter().flat_map(|check| check(facts, aggregate)));
        }
        // Those of one severity keep their order.
        found.sort_by_key(|finding| finding.severity);
        findings.extend(found);
    }
    findings
}

/// Whether anything is worse than a hint.
#[must_use]
pub fn is_serious(findings: &[Finding]) -> bool {
    findings.iter().any(|finding| finding.severity != Severity::Hint)
}

#[cfg(test)]
mod tests {
    use super::{
        samples::{facts, healthy},
        *,
    };

    #[test]
    fn nothing_is_found_where_all_is_well() {
        assert_eq!(examine(&facts(healthy())), []);
        assert_eq!(examine(&Facts::default()), [], "no aggregate at all");
    }

    #[test]
    fn the_worst_comes_first() {
        let mut aggregate = healthy();
        aggregate.ports.truncate(1);
        aggregate.controller = ControllerFacts::None;
        let found = examine(&facts(aggregate));
        let ids: Vec<_> = found.iter().map(|finding| finding.id).collect();
        assert_eq!(ids, ["controller-absent", "port-alone"]);
        assert!(is_serious(&found) && !is_serious(&found[1..]) && !is_serious(&[]));
    }
}
