//! Which frames a capture keeps: terms that are joined by `and`, `or` and `not`.

use std::{fmt::Display, net::IpAddr, str::FromStr};

use aggctl_common::Mac;
use etherparse::{EtherType, IpNumber, LaxNetSlice, LaxSlicedPacket, TransportSlice};

use super::Direction;
use crate::options::shorten;

/// What a frame must be. `and` binds closer than `or`, and `not` is of the term behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptureFilter(Vec<Vec<Wish>>);

/// A term, and whether it shall hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Wish {
    term: Term,
    holds: bool,
}

/// What can be true of a frame. Behind VLAN tags, the frame that they are of counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Term {
    Direction(Direction),
    EtherType(EtherType),
    Protocol(IpNumber),
    /// From or to an address; of ARP, in the question or the answer.
    Host(IpAddr),
    /// From or to a MAC.
    Mac(Mac),
    /// From or to a port of TCP or UDP.
    Port(u16),
    /// With this tag, or with any.
    Vlan(Option<u16>),
}

/// The terms of one word.
const WORDS: [(&str, Term); 12] = [
    ("in", Term::Direction(Direction::In)),
    ("out", Term::Direction(Direction::Out)),
    ("ip", Term::EtherType(EtherType::IPV4)),
    ("ip6", Term::EtherType(EtherType::IPV6)),
    ("arp", Term::EtherType(EtherType::ARP)),
    ("slow", Term::EtherType(EtherType(crate::lacp::ETHERTYPE))),
    ("lldp", Term::EtherType(EtherType(0x88cc))),
    ("icmp", Term::Protocol(IpNumber::ICMP)),
    ("icmp6", Term::Protocol(IpNumber::IPV6_ICMP)),
    ("tcp", Term::Protocol(IpNumber::TCP)),
    ("udp", Term::Protocol(IpNumber::UDP)),
    ("tagged", Term::Vlan(None)),
];

/// The terms with a value, as they are written.
const VALUED: &str = "host ADDRESS, mac MAC, port N, vlan N";

impl FromStr for CaptureFilter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut words = text.split_whitespace();
        let (mut ways, mut way) = (Vec::new(), Vec::new());
        loop {
            way.push(wish(&mut words)?);
            match words.next() {
                None => break,
                Some("and") => {}
                Some("or") => ways.push(std::mem::take(&mut way)),
                Some(word) => return Err(format!("'{}' is neither 'and' nor 'or'", shorten(word))),
            }
        }
        ways.push(way);
        Ok(Self(ways))
    }
}

fn wish<'a>(words: &mut impl Iterator<Item = &'a str>) -> Result<Wish, String> {
    let mut holds = true;
    loop {
        let word = words.next().ok_or("a filter ends with a term")?;
        if word == "not" {
            holds = !holds;
            continue;
        }
        let mut value = || words.next().ok_or_else(|| format!("'{word}' needs a value ({VALUED})"));
        let term = match word {
            "host" => Term::Host(read(word, value()?)?),
            "mac" => Term::Mac(read(word, value()?)?),
            "port" => Term::Port(read(word, value()?)?),
            "vlan" => Term::Vlan(Some(read(word, value()?)?)),
            _ => WORDS.iter().find(|(name, _)| *name == word).map(|(_, term)| *term).ok_or_else(|| unknown(word))?,
        };
        return Ok(Wish { term, holds });
    }
}

fn read<T: FromStr<Err: Display>>(word: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|error| format!("{word} {}: {error}", shorten(value)))
}

fn unknown(word: &str) -> String {
    let words: Vec<_> = WORDS.iter().map(|(name, _)| *name).collect();
    format!("'{}' is no term of a filter ({}, {VALUED})", shorten(word), words.join(", "))
}

impl CaptureFilter {
    /// Whether it keeps a frame. Of one that was cut only what is there counts.
    #[must_use]
    pub fn keeps(&self, direction: Direction, octets: &[u8]) -> bool {
        let frame = LaxSlicedPacket::from_ethernet(octets).ok();
        let holds = |term| {
            frame.as_ref().map_or(term == Term::Direction(direction), |frame| is(term, direction, frame, octets))
        };
        self.0.iter().any(|way| way.iter().all(|wish| holds(wish.term) == wish.holds))
    }
}

fn is(term: Term, direction: Direction, frame: &LaxSlicedPacket<'_>, octets: &[u8]) -> bool {
    let payload = || frame.ether_payload().map(|payload| payload.ether_type);
    let protocol = || frame.net.as_ref()?.ip_payload_ref().map(|payload| payload.ip_number);
    match term {
        Term::Direction(wished) => wished == direction,
        Term::EtherType(wished) => payload() == Some(wished),
        Term::Protocol(wished) => protocol() == Some(wished),
        Term::Host(address) => addresses(frame).is_some_and(|ends| ends.contains(&address)),
        Term::Mac(Mac(mac)) => octets.get(..6) == Some(&mac) || octets.get(6..12) == Some(&mac),
        Term::Port(port) => ports(frame).is_some_and(|ends| ends.contains(&port)),
        Term::Vlan(None) => !frame.vlan_ids().is_empty(),
        Term::Vlan(Some(vlan)) => frame.vlan_ids().iter().any(|id| id.value() == vlan),
    }
}

/// Where it comes from and where it goes to.
fn addresses(frame: &LaxSlicedPacket<'_>) -> Option<[IpAddr; 2]> {
    match frame.net.as_ref()? {
        LaxNetSlice::Ipv4(packet) => {
            let header = packet.header();
            Some([header.source_addr().into(), header.destination_addr().into()])
        }
        LaxNetSlice::Ipv6(packet) => {
            let header = packet.header();
            Some([header.source_addr().into(), header.destination_addr().into()])
        }
        LaxNetSlice::Arp(packet) => {
            let address = |octets: &[u8]| <[u8; 4]>::try_from(octets).ok().map(IpAddr::from);
            Some([address(packet.sender_protocol_addr())?, address(packet.target_protocol_addr())?])
        }
    }
}

/// Its ports.
fn ports(frame: &LaxSlicedPacket<'_>) -> Option<[u16; 2]> {
    match frame.transport.as_ref()? {
        TransportSlice::Tcp(segment) => Some([segment.source_port(), segment.destination_port()]),
        TransportSlice::Udp(datagram) => Some([datagram.source_port(), datagram.destination_port()]),
        TransportSlice::Icmpv4(_) | TransportSlice::Icmpv6(_) | TransportSlice::Igmp(_) => None,
    }
}

#[cfg(test)]
mod tests;
