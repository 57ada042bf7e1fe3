//! The present state as the kernel has it: that is shown, rather than what a controller remembers.

use std::collections::BTreeMap;

use aggctl_common::PortId;
use aggctl_engine::{
    host::Link,
    record::{Phase, Record},
    status::{AggregateStatus, PortState, PortStatus},
};
use aggctl_kernel::{
    state::Store,
    verify::{Defect, Look},
};

use super::{model::DefectView, time::rfc3339};
use crate::{failure::Failure, operation};

/// Corrects a status by what the kernel says. `watched`: a controller lives that has just told it, and knows about
/// delays.
pub fn correct(
    status: &mut AggregateStatus,
    record: &Record,
    interface: Option<&Link>,
    links: &BTreeMap<PortId, Link>,
    watched: bool,
) {
    for port in &mut status.ports {
        correct_port(port, links.get(&port.id), watched);
    }
    if !watched {
        let usable = status.ports.iter().filter(|port| port.usable).count();
        status.carrier &= usable >= usize::from(record.config.min_ports);
    }
    let Some(obstacle) = obstacle(&record.config.name, status.carrier, interface) else { return };
    for port in &mut status.ports {
        match port.state {
            PortState::Active => port.why = format!("is active, but {obstacle}"),
            PortState::Sharing => port.why = format!("would carry its share, but {obstacle}"),
            PortState::Standby | PortState::Down | PortState::Disabled => {}
        }
    }
}

/// Why nothing passes the aggregate, whatever its ports are.
fn obstacle(name: &str, carrier: bool, interface: Option<&Link>) -> Option<String> {
    match interface {
        None => Some(format!("the interface {name} is gone")),
        Some(link) if !link.admin_up => Some(format!("{name} is administratively down")),
        Some(link) if carrier && !link.carrier => Some(format!("{name} has no carrier: its peer is down")),
        Some(_) => None,
    }
}

fn correct_port(port: &mut PortStatus, link: Option<&Link>, watched: bool) {
    let (state, why) = match link {
        None => (PortState::Down, "interface is gone"),
        Some(link) if !link.admin_up => (PortState::Disabled, "administratively down"),
        Some(link) if !link.carrier && !watched => (PortState::Down, "link is down"),
        Some(_) => return,
    };
    let in_use = port.usable;
    port.state = state;
    port.usable = false;
    if !watched && in_use {
        why.clone_into(&mut port.why);
        port.why += ", and nobody watches: what is sent through it is lost";
    } else if in_use {
        why.clone_into(&mut port.why);
    }
}

/// What is wrong: what is found now, and what the controller knows besides.
pub fn defects(
    store: &Store,
    record: &Record,
    status: &AggregateStatus,
    interface: Option<&Link>,
    links: &BTreeMap<PortId, Link>,
    controlled: bool,
) -> Result<Vec<DefectView>, Failure> {
    let Some(interface) = interface.filter(|_| record.phase == Phase::Attached) else { return Ok(Vec::new()) };
    let mut executor = operation::executor(store, record)?;
    let look = Look {
        record,
        ports: links.iter().map(|(id, link)| (*id, link.index, link.name.clone())).collect(),
        carrier: Some(status.carrier).filter(|_| controlled),
        mtu: Some(interface.mtu),
        lost: Vec::new(),
    };
    let mut found = look.all(&mut executor);
    if controlled && found.iter().any(|defect| matches!(defect, Defect::Pins { .. })) {
        // The controller holds open what could be found by its pins only.
        found.retain(|defect| matches!(defect, Defect::Pins { .. }) || is_about_peer(defect));
    }
    let mut views: Vec<_> = found.iter().map(|defect| view(store.name(), defect, status, controlled)).collect();
    for known in &status.defects {
        if !views.iter().any(|view| view.what == known.what) {
            views.push(DefectView {
                defect: known.kind.clone(),
                what: known.what.clone(),
                since: known.since_ms.map(rfc3339),
                done: known.done.clone(),
            });
        }
    }
    Ok(views)
}

fn is_about_peer(defect: &Defect) -> bool {
    matches!(
        defect,
        Defect::PeerGone(_)
            | Defect::PeerAdmin { .. }
            | Defect::PeerMtu { .. }
            | Defect::PeerAddress { .. }
            | Defect::PeerMaster { .. }
    )
}

fn view(aggregate: &str, defect: &Defect, status: &AggregateStatus, controlled: bool) -> DefectView {
    let what = defect.to_string();
    let known = status.defects.iter().find(|known| known.what == what);
    let done = match (known, controlled, defect.is_repairable()) {
        (Some(known), _, _) => known.done.clone(),
        (None, true, true) => "the controller repairs it within a second".to_owned(),
        (None, _, false) => "reported only".to_owned(),
        (None, false, true) => format!("nobody repairs it: `aggctl adopt {aggregate}`"),
    };
    let since = known.and_then(|known| known.since_ms).map(rfc3339);
    DefectView { defect: defect.kind().to_owned(), what, since, done }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(admin_up: bool, carrier: bool) -> Link {
        Link { admin_up, carrier, ..Link::default() }
    }

    fn port(state: PortState) -> PortStatus {
        PortStatus {
            id: PortId(0),
            name: "eth0".into(),
            link: true,
            usable: true,
            state,
            link_failures: 0,
            why: "carries the traffic".into(),
            held: None,
            changed_ms: None,
            watches: Vec::new(),
        }
    }

    #[test]
    fn a_port_that_is_down_or_gone_carries_nothing_whoever_says_so() {
        for (link, watched, state) in [
            (None, true, PortState::Down),
            (None, false, PortState::Down),
            (Some(link(false, false)), true, PortState::Disabled),
            (Some(link(true, false)), false, PortState::Down),
        ] {
            let mut port = port(PortState::Active);
            correct_port(&mut port, link.as_ref(), watched);
            assert_eq!((port.state, port.usable), (state, false));
            assert!(!port.why.contains("carries"), "{}", port.why);
            assert_eq!(port.why.contains("nobody watches"), !watched);
        }
    }

    #[test]
    fn a_controller_knows_about_delays() {
        let mut failing = port(PortState::Active);
        correct_port(&mut failing, Some(&link(true, false)), true);
        assert_eq!(failing, port(PortState::Active));
    }

    #[test]
    fn nothing_passes_an_aggregate_that_is_gone_down_or_cut_off() {
        assert_eq!(obstacle("agg0", true, Some(&link(true, true))), None);
        assert_eq!(obstacle("agg0", false, Some(&link(true, false))), None, "its ports say why");
        assert!(obstacle("agg0", true, None).unwrap().contains("gone"));
        assert!(obstacle("agg0", true, Some(&link(false, false))).unwrap().contains("administratively down"));
        assert!(obstacle("agg0", true, Some(&link(true, false))).unwrap().contains("peer"));
    }
}
