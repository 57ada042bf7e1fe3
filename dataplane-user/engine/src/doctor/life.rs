//! Where in its life an aggregate is: whether it is there, whole, and to stay.

use super::{AggregateFacts, Finding, FindingKind, Severity};
use crate::record::Phase;

/// The record cannot be read.
pub(super) const UNREADABLE: FindingKind = FindingKind {
    id: "record-unreadable",
    severities: &[Severity::Error],
    looks_at: "whether the record of the aggregate can be read; without it nothing else is looked at",
    remedy: "as the line says, which depends on what is left",
};
/// Not in place.
pub(super) const UNFINISHED: FindingKind = FindingKind {
    id: "unfinished",
    severities: &[Severity::Error],
    looks_at: "whether an attach or a detach was left half done",
    remedy: "`aggctl detach NAME` finishes a detach, with `--force` it tries again what could not be undone",
};
/// The interface is gone.
pub(super) const GONE: FindingKind = FindingKind {
    id: "aggregate-gone",
    severities: &[Severity::Error],
    looks_at: "whether the interface of the aggregate is there",
    remedy: "`aggctl detach NAME`, which gives the ports back what they had, and attach it again",
};
/// The interface is down.
pub(super) const ADMIN_DOWN: FindingKind = FindingKind {
    id: "aggregate-down",
    severities: &[Severity::Error],
    looks_at: "whether the interface of the aggregate is administratively up",
    remedy: "`ip link set NAME up`",
};
/// Nobody confirmed.
pub(super) const UNCONFIRMED: FindingKind = FindingKind {
    id: "unconfirmed",
    severities: &[Severity::Warning],
    looks_at: "whether the attach is undone unless somebody confirms it (`--confirm`)",
    remedy: "`aggctl confirm NAME`",
};
/// The record is behind.
pub(super) const BEHIND: FindingKind = FindingKind {
    id: "record-behind",
    severities: &[Severity::Warning],
    looks_at: "whether the controller could write down what it knows",
    remedy: "make room in `/run`, or whatever the line names: it is written as soon as that can be",
};
/// The record is damaged.
pub(super) const DAMAGED: FindingKind = FindingKind {
    id: "record-damaged",
    severities: &[Severity::Warning],
    looks_at: "whether the record was read from its first copy",
    remedy: "a controller writes it again: `aggctl adopt NAME` if none runs",
};

/// What is to be said.
pub(super) fn look(aggregate: &AggregateFacts) -> Vec<Finding> {
    let name = &aggregate.name;
    let finding = |kind, seen: String, remedy: String| Finding::new(kind, aggregate, seen, remedy);
    if let Some(problem) = &aggregate.unreadable {
        let remedy = format!("if nothing else helps, `aggctl detach {name} --force` takes off what is left");
        return vec![finding(&UNREADABLE, problem.clone(), remedy)];
    }
    let detach = format!("`aggctl detach {name}`");
    let unfinished = match aggregate.phase {
        Phase::Attached => None,
        Phase::Attaching => Some(("it is being attached", format!("if nobody is at work on it, {detach}"))),
        Phase::Detaching => Some(("it is being detached", format!("if nobody is at work on it, {detach} finishes it"))),
        Phase::Undoing => {
            Some(("not everything could be undone", format!("`aggctl detach {name} --force` tries it again")))
        }
    };
    if let Some((seen, remedy)) = unfinished {
        return vec![finding(&UNFINISHED, seen.to_owned(), remedy)];
    }
    let mut found = Vec::new();
    match &aggregate.link {
        None => {
            let seen = format!("there is no interface {name}");
            found.push(finding(&GONE, seen, format!("{detach}, which gives the ports back what they had")));
        }
        Some(link) if !link.admin_up => {
            let seen = format!("{name} is administratively down: nothing passes it");
            found.push(finding(&ADMIN_DOWN, seen, format!("`ip link set {name} up`")));
        }
        Some(_) => {}
    }
    found.extend(aggregate.confirm_within.map(|seconds| {
        let seen = format!("the attach is undone in {seconds} s");
        finding(&UNCONFIRMED, seen, format!("`aggctl confirm {name}`"))
    }));
    found.extend(aggregate.record_behind.as_ref().map(|why| {
        let seen = format!("the record on disk is behind what the controller knows: {why}");
        finding(&BEHIND, seen, "make it writable again: it is written as soon as that can be".to_owned())
    }));
    found.extend(aggregate.record_damage.as_ref().map(|damage| {
        let seen = format!("the record on disk is damaged: {damage}");
        finding(&DAMAGED, seen, format!("`aggctl adopt {name}`: a controller writes it again"))
    }));
    found
}

#[cfg(test)]
mod tests {
    use super::{
        super::{ControllerFacts, examine, samples},
        *,
    };

    fn found(change: impl FnOnce(&mut AggregateFacts)) -> Vec<&'static str> {
        samples::found(change)
    }

    #[test]
    fn each_state_has_its_word_and_hides_what_follows_from_it() {
        assert_eq!(found(|facts| facts.unreadable = Some("no copy can be read".into())), ["record-unreadable"]);
        for phase in [Phase::Attaching, Phase::Detaching, Phase::Undoing] {
            assert_eq!(found(|facts| (facts.phase, facts.controller) = (phase, ControllerFacts::None)), ["unfinished"]);
        }
        assert_eq!(found(|facts| facts.link = None), ["aggregate-gone"]);
        assert_eq!(found(|facts| facts.link.as_mut().unwrap().admin_up = false), ["aggregate-down"]);
        assert_eq!(found(|facts| facts.confirm_within = Some(7)), ["unconfirmed"]);
        assert_eq!(found(|facts| facts.record_behind = Some("no space".into())), ["record-behind"]);
        assert_eq!(found(|facts| facts.record_damage = Some("cut off".into())), ["record-damaged"]);
    }

    #[test]
    fn the_figures_are_told() {
        let found = examine(&samples::facts(AggregateFacts { confirm_within: Some(7), ..samples::healthy() }));
        assert_eq!(found[0].seen, "the attach is undone in 7 s");
        assert_eq!(found[0].remedy, "`aggctl confirm agg0`");
    }
}
