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
    let gives_mac = |step: &Step| {
        let Step::Link(LinkStep::Set { link, setting }) = step else { return false };
        matches!((link, setting), (Subject::Port { .. }, Setting::Mac(_)))
    };
    rest.retain(|entry| !gives_mac(&entry.step));
    let has_promisc = |subject: &Subject, entries: &[JournalEntry]| {
        let is_it = |step: &Step| matches!(step, Step::Link(LinkStep::Set { link, setting: Setting::Promisc(_) }) if link == subject);
        entries.iter().any(|entry| is_it(&entry.step))
    };
    for known in &record.ports {
        let subject = port::subject(known.id, &known.identity, &known.before);
        let promisc = port_settings::promisc(&known.before, config).filter(|_| !has_promisc(&subject, &record.journal));
        let promisc = promisc.filter(|_| !has_promisc(&subject, &rest));
        record.journal.extend(promisc.map(|setting| JournalEntry::planned(setting.of(subject))));
    }
    record.journal.append(&mut rest);
    let receives = |step: &&Step| matches!(step, Step::Program(ProgramStep::Rx { attached, .. }) if attached.to);
    let done = record.journal.iter().take(begun).map(|entry| &entry.step);
    done.filter(receives).cloned().collect()
}
