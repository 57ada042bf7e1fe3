//! Who is at work on an aggregate: controller, guardian, driver; and what verification finds wrong.

use super::{AggregateFacts, ControllerFacts, Facts, Finding, FindingKind, Guardian, Severity, WrongPart};

/// No controller.
pub(super) const ABSENT: FindingKind = FindingKind {
    id: "controller-absent",
    severities: &[Severity::Error],
    looks_at: "whether a controller runs",
    remedy: "`aggctl adopt NAME`",
};
/// One that does not answer.
pub(super) const SILENT: FindingKind = FindingKind {
    id: "controller-silent",
    severities: &[Severity::Error],
    looks_at: "whether the controller answers within 2 s",
    remedy: "`aggctl adopt NAME`, which replaces it",
};
/// No guardian.
pub(super) const UNGUARDED: FindingKind = FindingKind {
    id: "guardian-absent",
    severities: &[Severity::Warning],
    looks_at: "whether the parent of a background controller is its guardian",
    remedy: "end the controller, which leaves the aggregate as it is, and `aggctl adopt NAME`",
};
/// The driver chooses.
pub(super) const DRIVER: FindingKind = FindingKind {
    id: "driver-decides",
    severities: &[Severity::Warning],
    looks_at: "in wiring `over`: whether the programs leave the choice of the port to the driver, and why",
    remedy: "as the line says: a controller, a mode of the driver that goes with ours, a usable port",
};
/// Programs of others come first.
pub(super) const BEFORE: FindingKind = FindingKind {
    id: "program-before",
    severities: &[Severity::Warning],
    looks_at: "the order of programs on our hooks (tcx, clsact, netkit): one of somebody else that comes before ours",
    remedy: "see what it is with `bpftool prog show id N`; if it takes frames, attach it behind ours or take it off",
};
/// Anything else that verification finds.
pub(super) const WRONG: FindingKind = FindingKind {
    id: "wrong",
    severities: &[Severity::Warning],
    looks_at: "all that [verification](verification.md) looks at: pins, maps, programs, peer, settings",
    remedy: "as the line says; most of it a controller repairs within a second",
};

/// Controller, guardian, and what is wrong.
pub(super) fn look(_: &Facts, aggregate: &AggregateFacts) -> Vec<Finding> {
    let name = &aggregate.name;
    let finding = |kind, seen: String, remedy: String| vec![Finding::new(kind, aggregate, seen, remedy)];
    let mut found = match (aggregate.controller, aggregate.guardian) {
        (ControllerFacts::None, _) => {
            let seen = "no controller runs: links that come back, delays and watches go unseen".to_owned();
            finding(&ABSENT, seen, format!("`aggctl adopt {name}`"))
        }
        (ControllerFacts::Silent(pid), _) => {
            let seen = format!("its controller (process {pid}) does not answer");
            finding(&SILENT, seen, format!("`aggctl adopt {name}` replaces it"))
        }
        (ControllerFacts::Answers(pid), Guardian::None) => {
            let seen = format!("its controller (process {pid}) has no guardian: if it dies, nobody starts another");
            finding(&UNGUARDED, seen, format!("`kill {pid}`, which leaves {name} as it is, then `aggctl adopt {name}`"))
        }
        (ControllerFacts::Answers(_), Guardian::Lives | Guardian::NotNeeded) => Vec::new(),
    };
    found.extend(aggregate.wrong.iter().map(|part| wrong(aggregate, part)));
    found
}

fn wrong(aggregate: &AggregateFacts, part: &WrongPart) -> Finding {
    let name = &aggregate.name;
    if part.kind == "program_before" {
        let remedy = "see what it is with `bpftool prog show`; attach it behind ours, or take it off".to_owned();
        return Finding::new(&BEFORE, aggregate, part.what.clone(), remedy);
    }
    let remedy = match part.done.as_str() {
        "reported only" => format!("put it right by hand; if that cannot be, detach {name} and attach it again"),
        done => done.to_owned(),
    };
    Finding::new(&WRONG, aggregate, part.what.clone(), remedy)
}

/// Who chooses the port in wiring `over`.
pub(super) fn driver(_: &Facts, aggregate: &AggregateFacts) -> Vec<Finding> {
    // Without a controller that is as it should be, and told already.
    let Some(why) = aggregate.driver_decides.as_ref().filter(|_| aggregate.controller != ControllerFacts::None) else {
        return Vec::new();
    };
    let seen = format!("the port is chosen by the driver: {why}");
    let remedy = format!("put that right; `aggctl show {}` says who chooses", aggregate.name);
    vec![Finding::new(&DRIVER, aggregate, seen, remedy)]
}

#[cfg(test)]
mod tests {
    use super::{super::samples::found, *};

    #[test]
    fn who_is_missing_is_told_once() {
        assert_eq!(found(|facts| facts.controller = ControllerFacts::None), ["controller-absent"]);
        assert_eq!(found(|facts| facts.controller = ControllerFacts::Silent(7)), ["controller-silent"]);
        assert_eq!(found(|facts| facts.guardian = Guardian::None), ["guardian-absent"]);
        assert_eq!(found(|facts| facts.guardian = Guardian::NotNeeded), [""; 0], "a service manager starts it");
        let both = |facts: &mut AggregateFacts| {
            (facts.controller, facts.guardian) = (ControllerFacts::None, Guardian::None);
            facts.driver_decides = Some("no controller was at work for 900 ms".into());
        };
        assert_eq!(found(both), ["controller-absent"]);
    }

    #[test]
    fn a_driver_that_chooses_beside_a_controller_is_told() {
        assert_eq!(found(|facts| facts.driver_decides = Some("no port is usable".into())), ["driver-decides"]);
    }

    #[test]
    fn a_program_of_others_has_a_word_of_its_own() {
        let part =
            |kind: &str, done: &str| WrongPart { kind: kind.into(), what: "what it is".into(), done: done.into() };
        assert_eq!(found(|facts| facts.wrong.push(part("program_before", "reported only"))), ["program-before"]);
        assert_eq!(found(|facts| facts.wrong.push(part("peer_address", "reported only"))), ["wrong"]);
    }
}
