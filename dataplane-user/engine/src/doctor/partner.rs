//! What arrives and should not: signs that the switch is set up otherwise than the aggregate.

use super::{AggregateFacts, Facts, Finding, FindingKind, PortFacts, Severity};
use crate::{
    config::{AggregateConfig, Mode, Partner},
    status::PortState,
};

/// How many group frames must have come by other ports than the designated one, none of our own among them.
const DUPLICATES: u64 = 100;
/// How many frames must come to a standby port while it is looked.
const MISLED: u64 = 10;
/// How many frames of VLANs that are not allowed must have been dropped since attach.
const OTHER_VLAN: u64 = 20;

/// The switch takes the ports for a group.
pub(super) const IS_LAG: FindingKind = FindingKind {
    id: "partner-is-lag",
    severities: &[Severity::Warning],
    looks_at: "in mode `active-backup`: 10 frames or more to the aggregate's MAC that come to a standby port in 1 s. \
               In other modes with partner `plain`: 100 broadcast or multicast frames or more dropped as duplicates \
               since attach, and none of our own that came back. Either is so if the switch has a group of the ports",
    remedy: "take the group off at the switch, or use it: `aggctl set NAME mode=hash`, `partner=lag`",
};
/// The switch does not know of a group.
pub(super) const IS_PLAIN: FindingKind = FindingKind {
    id: "partner-is-plain",
    severities: &[Severity::Error],
    looks_at: "with partner `lag`: frames with the aggregate's MAC as their source that come in by a port within 1 s: \
               the switch floods what we send back to us, so it has no group of these ports",
    remedy: "make a static group of the ports at the switch, or `aggctl set NAME partner=plain`",
};
/// Another VLAN comes in.
pub(super) const VLAN: FindingKind = FindingKind {
    id: "vlan-other",
    severities: &[Severity::Warning, Severity::Hint],
    looks_at: "frames that a port drops because of their VLAN: 20 or more since attach, and some of them in 1 s; a \
               warning if they are at least half of what it receives, else a hint",
    remedy: "set the switch's port to the same VLANs as `--vlan`, tagged or untagged alike",
};
/// The host sends another VLAN.
pub(super) const VLAN_SENT: FindingKind = FindingKind {
    id: "vlan-sent",
    severities: &[Severity::Hint],
    looks_at: "frames that the host sends and that are dropped because of their VLAN: 20 or more since attach, and \
               some of them in 1 s",
    remedy: "see which VLAN devices are on the aggregate, and what `--vlan` allows",
};

/// Which frames of a port are counted while it is looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FramesOfInterest {
    /// Those to the aggregate's MAC.
    ToUs,
    /// Those from the aggregate's MAC.
    FromUs,
}

/// Which frames of a port in this state say something about the partner; `None`: none do.
#[must_use]
pub fn frames_of_interest(config: &AggregateConfig, state: PortState) -> Option<FramesOfInterest> {
    match (config.mode, state) {
        (Mode::ActiveBackup, PortState::Standby) => Some(FramesOfInterest::ToUs),
        (Mode::ActiveBackup, _) => None,
        (_, PortState::Sharing) if config.partner() == Partner::Lag => Some(FramesOfInterest::FromUs),
        (_, _) => None,
    }
}

/// Whether the switch's idea of the ports is ours.
pub(super) fn look(_: &Facts, aggregate: &AggregateFacts) -> Vec<Finding> {
    let counted: Vec<_> =
        aggregate.ports.iter().filter_map(|port| Some((port, port.sample.as_ref()?.frames))).collect();
    let name = &aggregate.name;
    let finding = |kind, port: &PortFacts, seen: String, remedy: String| {
        Finding::new(kind, aggregate, seen, remedy).on([port.name.as_str()])
    };
    let mut found = Vec::new();
    for (port, frames) in counted {
        match frames_of_interest(&aggregate.config, port.state) {
            Some(FramesOfInterest::ToUs) if frames >= MISLED => {
                let seen = format!(
                    "{frames} frames to {name} came to its standby port {} in 1 s, and were dropped",
                    port.name
                );
                let remedy = format!(
                    "take the static group of the ports off at the switch, or use it: `aggctl set {name} mode=hash`; a \
                     switch that has forgotten where {name} is does the same for a while"
                );
                found.push(finding(&IS_LAG, port, seen, remedy));
            }
            Some(FramesOfInterest::FromUs) if frames > 0 => {
                let seen = format!("{frames} frames that {name} sent came back by {} in 1 s", port.name);
                let remedy =
                    format!("make a static group of its ports at the switch, or `aggctl set {name} partner=plain`");
                found.push(finding(&IS_PLAIN, port, seen, remedy));
            }
            Some(FramesOfInterest::ToUs | FramesOfInterest::FromUs) | None => {}
        }
    }
    found.extend(group(aggregate));
    found
}

/// Whether what is dropped as duplicate is none, in modes in which several ports receive.
fn group(aggregate: &AggregateFacts) -> Option<Finding> {
    let drops = |reason| aggregate.ports.iter().filter_map(|port| port.rx_drops.get(reason)).sum::<u64>();
    let is_meant = aggregate.config.mode.shares() && aggregate.config.partner() == Partner::Plain;
    let (duplicates, own) = (drops("duplicate"), drops("reflected"));
    (is_meant && duplicates >= DUPLICATES && own == 0).then(|| {
        let name = &aggregate.name;
        let seen = format!(
            "{duplicates} broadcast and multicast frames were dropped as duplicates since attach, and not one of \
             those of {name} itself came back"
        );
        let remedy = format!("if the switch has a group of the ports, these are lost: `aggctl set {name} partner=lag`");
        Finding::new(&IS_LAG, aggregate, seen, remedy)
    })
}

/// VLANs that are not allowed.
pub(super) fn vlans(_: &Facts, aggregate: &AggregateFacts) -> Vec<Finding> {
    let rule = &aggregate.config.vlan;
    let mut found = Vec::new();
    for port in &aggregate.ports {
        let Some(sample) = port.sample.as_ref().filter(|sample| sample.vlan_drops > 0) else { continue };
        let all = port.rx_drops.get("vlan").copied().unwrap_or_default();
        if all < OTHER_VLAN {
            continue;
        }
        let severity = if sample.vlan_drops * 2 >= sample.received { Severity::Warning } else { Severity::Hint };
        let seen = format!(
            "{} dropped {} of the {} frames that it received in 1 s: in no VLAN of `{rule}`; {all} since attach",
            port.name, sample.vlan_drops, sample.received
        );
        let remedy = format!("set the switch's port of {} to the same VLANs, tagged or untagged alike", port.name);
        found.push(Finding::new(&VLAN, aggregate, seen, remedy).on([port.name.as_str()]).with(severity));
    }
    let (all, now) = (aggregate.tx_drops.get("vlan").copied().unwrap_or_default(), aggregate.vlan_drops_now);
    if now > 0 && all >= OTHER_VLAN {
        let name = &aggregate.name;
        let seen =
            format!("{now} frames that the host sent by {name} in 1 s are in no VLAN of `{rule}`; {all} since attach");
        let remedy = format!("see which VLAN devices are on {name}: `ip -d link show type vlan`");
        found.push(Finding::new(&VLAN_SENT, aggregate, seen, remedy));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Sample, examine, samples::*},
        *,
    };

    fn counted(facts: &mut AggregateFacts, port: usize, frames: u64) {
        facts.ports[port].sample = Some(Sample { frames, ..Sample::default() });
    }

    /// All ports carry traffic.
    fn sharing(facts: &mut AggregateFacts, partner: Partner) {
        (facts.config.mode, facts.config.partner) = (Mode::Hash, Some(partner));
        facts.ports.iter_mut().for_each(|port| port.state = PortState::Sharing);
    }

    #[test]
    fn frames_to_us_on_a_standby_port_are_the_switchs_group() {
        assert_eq!(found(|facts| counted(facts, 1, 10)), ["partner-is-lag"]);
        assert_eq!(found(|facts| counted(facts, 1, 9)), [""; 0]);
        assert_eq!(found(|facts| counted(facts, 0, 1000)), [""; 0], "the active port");
    }

    #[test]
    fn our_own_frames_that_come_back_are_a_switch_without_group() {
        let back = |partner| {
            found(|facts| {
                sharing(facts, partner);
                counted(facts, 1, 1);
            })
        };
        assert_eq!(back(Partner::Lag), ["partner-is-plain"]);
        assert_eq!(back(Partner::Plain), [""; 0], "as it was said to be");
    }

    #[test]
    fn duplicates_without_reflections_are_none() {
        let dropped = |duplicates, own| {
            found(|facts| {
                sharing(facts, Partner::Plain);
                facts.ports[1].rx_drops = [("duplicate", duplicates), ("reflected", own)].into();
            })
        };
        assert_eq!(dropped(100, 0), ["partner-is-lag"]);
        assert_eq!(dropped(100, 1), [""; 0]);
        assert_eq!(dropped(99, 0), [""; 0]);
    }

    #[test]
    fn a_vlan_that_goes_on_to_be_dropped_is_told() {
        let dropped = |now, received, all| {
            let mut aggregate = healthy();
            aggregate.ports[1].rx_drops.insert("vlan", all);
            aggregate.ports[1].sample = Some(Sample { vlan_drops: now, received, ..Sample::default() });
            examine(&facts(aggregate)).into_iter().map(|finding| (finding.id, finding.severity)).collect::<Vec<_>>()
        };
        assert_eq!(dropped(5, 10, 20), [("vlan-other", Severity::Warning)]);
        assert_eq!(dropped(4, 10, 20), [("vlan-other", Severity::Hint)]);
        assert_eq!(dropped(5, 10, 19), []);
        assert_eq!(dropped(0, 10, 1000), [], "over");
        let sent = |facts: &mut AggregateFacts| {
            facts.tx_drops.insert("vlan", 20);
            facts.vlan_drops_now = 1;
        };
        assert_eq!(found(sent), ["vlan-sent"]);
    }
}
