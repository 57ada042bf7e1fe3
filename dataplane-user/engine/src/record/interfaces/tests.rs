use aggctl_common::{Mac, PortId};

use super::*;
use crate::{
    config::{AggregateConfig, Device, Hook, PortConfig},
    identity::Identity,
    record::Phase,
};

const OWN: Mac = Mac([2, 0, 0, 0, 0, 1]);
const OTHER: Mac = Mac([2, 0, 0, 0, 0, 2]);
const AGGREGATE: Mac = Mac([2, 0, 0, 0, 0, 0xa]);
const BURNT_IN: Mac = Mac([0, 0x11, 0x22, 0, 0, 1]);
const OTHER_CARD: Mac = Mac([0, 0x11, 0x22, 0, 0, 2]);

fn veth(index: u32, name: &str, mac: Mac) -> Link {
    Link { index: IfIndex(index), name: name.into(), kind: "veth".into(), mac, ..Link::default() }
}

fn card(index: u32, name: &str, permanent: Mac) -> Link {
    Link { index: IfIndex(index), name: name.into(), mac: AGGREGATE, permanent_mac: Some(permanent), ..Link::default() }
}

/// A record whose port 0 is this interface.
fn record(links: &[&Link]) -> Record {
    let ports = links.iter().zip(0..).map(|(link, slot)| PortRecord {
        id: PortId(slot),
        config: PortConfig::new(link.name.clone()),
        xdp: None,
        index: Some(link.index),
        identity: Identity::of(link),
        before: (*link).clone(),
        addresses: Vec::new(),
    });
    Record {
        phase: Phase::Attached,
        device: Device::Veth,
        index: IfIndex(100),
        peer_index: IfIndex(101),
        peer: "agg0-peer".into(),
        ports: ports.collect(),
        ..Record::begin(AggregateConfig::new("agg0", Vec::new()), Hook::Tcx, AGGREGATE)
    }
}

/// The index of the interface that port 0 of `record` has among `links`.
fn found(record: &Record, links: &[Link]) -> Option<u32> {
    let host = Host { links: links.iter().map(|link| (link.index, link.clone())).collect(), ..Host::default() };
    record.interface_of(&host, &record.ports[0]).map(|link| link.index.0)
}

#[test]
fn a_stranger_with_the_index_is_not_the_port() {
    let port = record(&[&veth(3, "eth1", OWN)]);
    assert_eq!(found(&port, &[veth(3, "guest", OTHER)]), None);
    let link = Link { kind: "dummy".into(), ..veth(3, "eth1", OWN) };
    assert_eq!(found(&port, &[link]), None, "another kind");
    assert_eq!(found(&port, &[veth(3, "guest", OTHER), veth(9, "eth1", OTHER)]), Some(9), "it is back elsewhere");
    let port = record(&[&card(3, "eth1", BURNT_IN)]);
    assert_eq!(found(&port, &[card(3, "eth1", OTHER_CARD)]), None);
    assert_eq!(found(&port, &[veth(3, "eth1", OWN)]), None);
    assert_eq!(found(&port, &[card(3, "eth1", OTHER_CARD), card(9, "eth7", BURNT_IN)]), Some(9));
}

#[test]
fn a_renamed_port_is_still_the_port() {
    let port = record(&[&veth(3, "eth1", OWN)]);
    assert_eq!(found(&port, &[veth(3, "lan1", AGGREGATE)]), Some(3));
    assert_eq!(found(&port, &[veth(3, "lan1", OWN)]), Some(3));
    assert_eq!(found(&record(&[&card(3, "eth1", BURNT_IN)]), &[card(3, "lan1", BURNT_IN)]), Some(3));
}

#[test]
fn a_port_without_an_index_is_found_by_what_it_is() {
    let mut port = record(&[&veth(3, "eth1", OWN)]);
    port.ports[0].index = None;
    assert_eq!(found(&port, &[veth(3, "guest", OWN)]), None, "a MAC alone is no proof");
    assert_eq!(found(&port, &[veth(4, "eth1", OTHER)]), Some(4));
    let mut port = record(&[&card(3, "eth1", BURNT_IN)]);
    port.ports[0].index = None;
    assert_eq!(found(&port, &[card(4, "eth1", OTHER_CARD)]), None, "the card was replaced");
    assert_eq!(found(&port, &[card(4, "eth5", BURNT_IN)]), Some(4));
}

#[test]
fn cards_with_one_permanent_mac_are_told_apart() {
    let (one, two) = (card(3, "lan1", BURNT_IN), card(4, "lan2", BURNT_IN));
    let mut both = record(&[&one, &two]);
    both.ports[0].index = None;
    assert_eq!(found(&both, std::slice::from_ref(&two)), None, "that is the other port");
    assert_eq!(found(&both, &[two.clone(), card(8, "lan1", BURNT_IN), card(9, "lan9", BURNT_IN)]), Some(8));
    assert_eq!(found(&both, &[two, card(8, "lan8", BURNT_IN), card(9, "lan9", BURNT_IN)]), None, "who knows");
}

#[test]
fn the_port_of_an_interface_is_told_by_both() {
    let record = record(&[&veth(3, "eth1", OWN)]);
    assert_eq!(record.port_of(&veth(3, "eth1", OWN)).map(|port| port.id), Some(PortId(0)));
    assert_eq!(record.port_of(&veth(3, "guest", OTHER)), None);
    assert_eq!(record.port_of(&veth(4, "eth1", OWN)), None, "it was not taken back yet");
}
