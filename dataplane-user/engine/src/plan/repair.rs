//! Repair: what an adopting controller does about a device and ports that are not as they should be.

use crate::{
    host::Host,
    plan::{Change, LinkStep, ProgramStep, Setting, Step, Subject, join::Joining, port::PlannedPort, wiring},
    record::{PortRecord, Record},
};

/// Steps that make every port that is there a port again: one that was plugged out and in, or whose settings others
/// changed, but for MTU and flags, and for the programs that drop early ([`early`](super::early)), which are not worth
/// a port. The programs of the pair are attached again too. Addresses that others gave to a port stay where they are.
/// Empty if the aggregate's interface is gone.
#[must_use]
pub fn repair(host: &Host, record: &Record) -> Vec<Step> {
    let Some(aggregate) = record.aggregate_of(host) else { return Vec::new() };
    if !record.config.wiring.has_pair() {
        return vec![sender(record)];
    }
    let joining = Joining { host, config: &record.config, hook: record.hook, aggregate };
    let mut steps = wiring::programs(record.config.wiring, record.device, record.hook);
    for known in &record.ports {
        if let Some(link) = record.interface_of(host, known) {
            let port = PlannedPort::known(host, known, link);
            steps.extend(if port.carries() { joining.again(&port) } else { joining.bare(&port) });
        }
    }
    // These are the engine's business: it knows what is to be done if a port does not take the MTU, and whose the flags
    // are.
    steps.retain(|step| match step {
        Step::Link(LinkStep::Set { setting, .. }) => {
            !matches!(setting, Setting::Mtu(_) | Setting::Promisc(_) | Setting::Allmulti(_))
        }
        Step::Program(step) => !matches!(step, ProgramStep::Xdp { .. }),
        Step::Link(_) | Step::Layer3(_) | Step::OneWay(_) => true,
    });
    steps
}

/// The step that attaches the sending program of a running aggregate, in the place of the one that is attached there.
#[must_use]
pub fn sender(record: &Record) -> Step {
    ProgramStep::Tx { device: record.device, hook: record.hook, attached: Change::ON }.into()
}

/// The step that attaches the relay of a running aggregate, in the place of the one that is attached there.
#[must_use]
pub fn relay(record: &Record) -> Step {
    ProgramStep::Relay { hook: record.hook, attached: Change::ON }.into()
}

/// The step that attaches the receiving program of a port of a running aggregate, in the place of the one that is
/// attached there; none if the port's interface is gone, or in wiring `over`.
#[must_use]
pub fn receiver(record: &Record, port: &PortRecord) -> Option<Step> {
    if !record.config.wiring.has_pair() {
        return None;
    }
    let (id, name, identity) = (port.id, port.config.name.clone(), port.identity.clone());
    let link = Subject::Port { id, index: port.index?, name, identity };
    Some(ProgramStep::Rx { link, hook: record.hook, attached: Change::ON }.into())
}
