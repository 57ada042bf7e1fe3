//! That the frames two parsers are compared with are of every kind on which they could differ.
#![allow(clippy::unwrap_used)]

#[path = "support/random_frames.rs"]
mod random_frames;

use std::collections::BTreeSet;

use aggctl_common::hash::{self, NoAddresses, NoTransport, Policy, Transport};
use random_frames::RandomFrames;

/// What the parser said of a frame, without the values that are random.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Tagged,
    NotIp,
    Truncated,
    Ports,
    Spi,
    Identifier,
    Fragment,
    OtherProtocol,
    OtherMessage,
    WithoutTransport,
}

fn kind(frame: &[u8]) -> (Kind, bool) {
    let fields = hash::fields(Policy::Layer34, frame).unwrap();
    let kind = match (fields.addresses, fields.transport) {
        (Err(NoAddresses::Tagged), _) => Kind::Tagged,
        (Err(NoAddresses::Truncated), _) => Kind::Truncated,
        (Err(NoAddresses::NotIp | NoAddresses::Policy), _) => Kind::NotIp,
        (Ok(_), Ok(Transport::Ports(_))) => Kind::Ports,
        (Ok(_), Ok(Transport::Spi(_))) => Kind::Spi,
        (Ok(_), Ok(Transport::Icmp { .. })) => Kind::Identifier,
        (Ok(_), Err(NoTransport::Fragment)) => Kind::Fragment,
        (Ok(_), Err(NoTransport::Protocol(_))) => Kind::OtherProtocol,
        (Ok(_), Err(NoTransport::Message(_))) => Kind::OtherMessage,
        (Ok(_), Err(_)) => Kind::WithoutTransport,
    };
    (kind, fields.quoted)
}

#[test]
fn a_seed_gives_the_same_frames_again() {
    let first: Vec<_> = RandomFrames::new(7).take(1000).collect();
    assert!(RandomFrames::new(7).take(1000).eq(first.iter().cloned()));
    assert!(!RandomFrames::new(8).take(1000).eq(first.iter().cloned()));
    assert!(first.iter().all(|frame| frame.len() >= 14));
}

#[test]
fn there_are_frames_of_every_kind() {
    use Kind::{
        Fragment, Identifier, NotIp, OtherMessage, OtherProtocol, Ports, Spi, Tagged, Truncated, WithoutTransport,
    };
    let mut seen: [BTreeSet<_>; 2] = Default::default();
    for frame in RandomFrames::new(1).take(20_000) {
        let six = frame[12..14] == [0x86, 0xdd];
        seen[usize::from(six)].insert(kind(&frame));
    }
    let plain = [Ports, Spi, Identifier, OtherProtocol, OtherMessage, WithoutTransport];
    let quoted = [Ports, Spi, OtherProtocol, WithoutTransport];
    for kind in [Tagged, NotIp, Fragment].into_iter().map(|kind| (kind, false)).chain([(Fragment, true)]) {
        assert!(seen[0].contains(&kind), "{kind:?}");
    }
    for seen in &seen {
        assert!(seen.contains(&(Truncated, false)));
        assert!(plain.iter().all(|kind| seen.iter().any(|(other, quoted)| kind == other && !quoted)), "{seen:?}");
        assert!(quoted.iter().all(|kind| seen.iter().any(|(other, quoted)| kind == other && *quoted)), "{seen:?}");
    }
}
