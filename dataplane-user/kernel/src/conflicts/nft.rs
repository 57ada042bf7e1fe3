//! Rules and flowtables of nftables that name a port.

use std::{collections::HashMap, ops::ControlFlow, time::Instant};

use rtnetlink::sys::protocols::NETLINK_NETFILTER;
use rustix::io::Errno;

use super::{
    ConflictKind, Search,
    nft_expression::{KeyWords, Set, Sets, differs},
};
use crate::{
    error::KernelError,
    netlink::{
        socket::Socket,
        tlv::{Attributes, Builder, number_u16, string_of},
    },
    nft::{HEADER, SUBSYSTEM, family_name},
};

/// `NFT_MSG_GETRULE`.
const GETRULE: u16 = SUBSYSTEM | number_u16(libc::NFT_MSG_GETRULE);
/// `NFT_MSG_GETSETELEM`.
const GETSETELEM: u16 = SUBSYSTEM | number_u16(libc::NFT_MSG_GETSETELEM);
/// `NFT_MSG_GETFLOWTABLE`.
const GETFLOWTABLE: u16 = SUBSYSTEM | 23;

/// Attributes (`NFTA_*`).
mod attr {
    pub(super) const TABLE: u16 = 1;
    pub(super) const RULE_CHAIN: u16 = 2;
    pub(super) const RULE_EXPRESSIONS: u16 = 4;
    pub(super) const ELEMENTS_SET: u16 = 2;
    pub(super) const ELEMENTS: u16 = 3;
    pub(super) const FLOWTABLE_NAME: u16 = 2;
    pub(super) const FLOWTABLE_HOOK: u16 = 3;
    pub(super) const HOOK_DEVICES: u16 = 3;
    pub(super) const DEVICE_NAME: u16 = 1;
}

pub(super) fn look(search: &mut Search) -> Result<bool, KernelError> {
    Ok(look_at_flowtables(search)? && look_at_rules(search)?)
}

fn look_at_flowtables(search: &mut Search) -> Result<bool, KernelError> {
    let end = search.end;
    dump(GETFLOWTABLE, "nftables flowtables", &[0; HEADER], end, &mut |message| {
        let Some(flowtable) = Flowtable::parse(message) else { return };
        if flowtable.devices.contains(&search.interfaces.aggregate.name) {
            return;
        }
        for port in search.interfaces.ports.clone() {
            if flowtable.devices.contains(&port.name) {
                search.note(ConflictKind::Flowtable, &port.name, flowtable.name.clone());
            }
        }
    })
}

fn look_at_rules(search: &mut Search) -> Result<bool, KernelError> {
    let end = search.end;
    let (ports, aggregate) = (search.interfaces.ports.clone(), search.interfaces.aggregate.clone());
    let (mut known, mut socket) = (HashMap::new(), open()?);
    let mut failure = None;
    let complete = dump(GETRULE, "nftables rules", &[0; HEADER], end, &mut |message| {
        let Some(rule) = NftRule::parse(message) else { return };
        for port in &ports {
            let mut sets = Known { rule: &rule, end, known: &mut known, socket: &mut socket, failure: &mut failure };
            if differs(rule.expressions, port, &aggregate, &mut sets) {
                let family = family_name(rule.family);
                search.note(ConflictKind::Nftables, &port.name, format!("{family} {} {}", rule.table, rule.chain));
            }
        }
    })?;
    failure.map_or(Ok(complete), Err)
}

/// All objects of a kind that a query describes, as long as there is time. One that vanished meanwhile has none.
/// Returns whether it came to the end.
fn dump(
    kind: u16,
    subject: &str,
    query: &[u8],
    end: Instant,
    take: &mut dyn FnMut(&[u8]),
) -> Result<bool, KernelError> {
    let Some(mut socket) = open()? else { return Ok(true) };
    dump_on(&mut socket, kind, subject, query, end, take)
}

/// A socket, unless the kernel has no netfilter.
fn open() -> Result<Option<Socket>, KernelError> {
    match Socket::open(NETLINK_NETFILTER).map_err(|error| KernelError::refused("netfilter", "open", error)) {
        Err(error) if error.errno() == Some(Errno::PROTONOSUPPORT) => Ok(None),
        other => other.map(Some),
    }
}

/// As [`dump`], on a socket that can be used again if this comes to its end.
fn dump_on(
    socket: &mut Socket,
    kind: u16,
    subject: &str,
    query: &[u8],
    end: Instant,
    take: &mut dyn FnMut(&[u8]),
) -> Result<bool, KernelError> {
    let outcome = socket.dump_each(kind, query, &mut |message| {
        take(message);
        if Instant::now() < end { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    match outcome {
        Ok(flow) => Ok(flow.is_continue()),
        // This kernel has no nftables, or none of these.
        Err(failure) if failure.is(&[Errno::PROTONOSUPPORT, Errno::INVAL, Errno::OPNOTSUPP, Errno::NOENT]) => Ok(true),
        Err(failure) => Err(KernelError::refused(subject, "list", failure)),
    }
}

/// A rule, as far as it need be understood.
struct NftRule<'a> {
    family: u8,
    table: String,
    chain: String,
    expressions: &'a [u8],
}

impl<'a> NftRule<'a> {
    fn parse(message: &'a [u8]) -> Option<Self> {
        let rule = Attributes::after(message, HEADER);
        Some(Self {
            family: *message.first()?,
            table: rule.string(attr::TABLE)?,
            chain: rule.string(attr::RULE_CHAIN)?,
            expressions: rule.find(attr::RULE_EXPRESSIONS)?,
        })
    }
}

/// A flowtable.
#[derive(Debug, PartialEq, Eq)]
struct Flowtable {
    name: String,
    devices: Vec<String>,
}

impl Flowtable {
    fn parse(message: &[u8]) -> Option<Self> {
        let flowtable = Attributes::after(message, HEADER);
        let (table, name) = (flowtable.string(attr::TABLE)?, flowtable.string(attr::FLOWTABLE_NAME)?);
        let hook = Attributes::nested(flowtable.find(attr::FLOWTABLE_HOOK)?);
        let devices = Attributes::nested(hook.find(attr::HOOK_DEVICES).unwrap_or_default());
        let devices = devices.filter(|(kind, _)| *kind == attr::DEVICE_NAME).map(|(_, name)| string_of(name));
        let name = format!("{} {table} {name}", family_name(*message.first()?));
        Some(Self { name, devices: devices.collect() })
    }
}

/// The sets that the rules asked for until now: each is fetched when the first rule looks an interface up in it, for
/// others may be very large. By family, table and name.
struct Known<'a> {
    rule: &'a NftRule<'a>,
    end: Instant,
    known: &'a mut HashMap<(u8, String, String), Set>,
    socket: &'a mut Option<Socket>,
    failure: &'a mut Option<KernelError>,
}

impl Sets for Known<'_> {
    fn contains(&mut self, set: &str, key: &KeyWords) -> bool {
        let NftRule { family, table, .. } = self.rule;
        let place = (*family, table.clone(), set.to_owned());
        if !self.known.contains_key(&place) {
            match self.socket.as_mut().map(|socket| fetch(socket, *family, table, set, self.end)) {
                Some(Ok(elements)) => drop(self.known.insert(place.clone(), elements)),
                Some(Err(error)) => *self.failure = Some(error),
                None => {}
            }
        }
        self.known.get(&place).is_some_and(|set| set.contains(key))
    }
}

/// The elements of a set.
fn fetch(socket: &mut Socket, family: u8, table: &str, set: &str, end: Instant) -> Result<Set, KernelError> {
    let query =
        Builder::new(&[family, 0, 0, 0]).push_str(attr::TABLE, table).push_str(attr::ELEMENTS_SET, set).finish();
    let mut elements = Set::default();
    dump_on(socket, GETSETELEM, "nftables set elements", &query, end, &mut |message| {
        elements.add(Attributes::after(message, HEADER).find(attr::ELEMENTS).unwrap_or_default());
    })?;
    Ok(elements)
}
