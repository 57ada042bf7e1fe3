//! Going on with an attach although a port keeps its MAC, as bonding does where its first port does.

use crate::{
    config::{MacPolicy, Mode},
    plan::{LinkStep, ProgramStep, Setting, Step, Subject, port, port_settings},
    record::{JournalEntry, Record},
};

/// Whether the aggregate can do with ports that keep their MACs, other than it was planned.
#[must_use]
pub fn can_do_without_macs(record: &Record) -> bool {
    let config = &record.config;
    config.mac_policy == MacPolicy::SameAll && config.mode == Mode::ActiveBackup && config.wiring.has_pair()
}

/// What is left of the plan of an attach, if each port keeps its MAC and the aggregate has that of the active port,
/// because of `why`. MACs that ports have got already are the controller's business. Returns which steps must be
/// carried out again: programs for another policy.
pub fn do_without_macs(record: &mut Record, why: String) -> Vec<Step> {
    record.config.mac_policy = MacPolicy::ByActive;
    record.mac_fallback = Some(why);
    let config = &record.config;
    let begun = record.journal.iter().take_while(|entry| entry.begun).count();
    let mut rest = record.journal.split_off(begun);
    rest.retain(|entry| !gives_mac(&entry.step));
    for known in &record.ports {
        let subject = port::subject(known.id, &known.identity, &known.before);
        let is_planned = |entry: &JournalEntry| gives_promisc(&entry.step, &subject);
        if !record.journal.iter().chain(&rest).any(is_planned) {
            let promisc = port_settings::promisc(&known.before, config);
            record.journal.extend(promisc.map(|setting| JournalEntry::planned(setting.of(subject))));
        }
    }
    record.journal.append(&mut rest);
    let receives = |step: &&Step| matches!(step, Step::Program(ProgramStep::Rx { attached, .. }) if attached.to);
    let done = record.journal.iter().take(begun).map(|entry| &entry.step);
    done.filter(receives).cloned().collect()
}

/// Whether the step gives a port a MAC.
fn gives_mac(step: &Step) -> bool {
    matches!(step, Step::Link(LinkStep::Set { link: Subject::Port { .. }, setting: Setting::Mac(_) }))
}

/// Whether the step makes this port promiscuous.
fn gives_promisc(step: &Step, port: &Subject) -> bool {
    matches!(step, Step::Link(LinkStep::Set { link, setting: Setting::Promisc(_) }) if link == port)
}
