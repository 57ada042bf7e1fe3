//! What a port that becomes a member of a bond says before, where the partner speaks LACP (IEEE 802.1AX-2020, 6.4).
//!
//! The kernel's bonding driver as a partner keeps one port in use while it hears no LACP. As soon as it hears some on
//! another port it leaves the one in use, and takes the other two seconds later (`ad_agg_selection_test` and
//! `AD_AGGREGATE_WAIT_TIMER` in drivers/net/bonding/bond_3ad.c): so long the host is not reached. It stays if the port
//! in use has a partner that answers. So that port is given one for the time of the move: [`Speaker`].

use aggctl_common::Mac;

/// EtherType of slow protocols (6.4.2.3 c).
pub const ETHERTYPE: u16 = 0x8809;
/// Where they are sent to (6.4.2.3 a).
pub const GROUP: Mac = Mac([0x01, 0x80, 0xc2, 0x00, 0x00, 0x02]);

/// Subtypes of slow protocols: LACP and the marker protocol (6.4.2.3 d, 6.5.3.3).
const LACP: u8 = 1;
const MARKER: u8 = 2;
/// The marker protocol's TLVs: a question and its answer.
const MARKER_QUESTION: u8 = 1;
const MARKER_ANSWER: u8 = 2;
/// Octets of the three TLVs of LACP and of the marker's.
const PARTY_LENGTH: u8 = 20;
const COLLECTOR_LENGTH: u8 = 16;
const MARKER_LENGTH: u8 = 16;
/// Octets of a frame of either, without the checksum.
const FRAME: usize = 124;
/// Where a frame has its subtype, and each of the parties behind type and length of its TLV.
const SUBTYPE_AT: usize = 14;
const ACTOR_AT: usize = 18;
const PARTNER_AT: usize = 38;
/// Octets that say who a party is, before its state.
const IDENTITY: usize = 14;

/// Bits of a party's state (6.4.2.3 m).
const ACTIVE: u8 = 1;
const SHORT_TIMEOUT: u8 = 2;
const AGGREGATES: u8 = 4;
const IN_SYNC: u8 = 8;
const COLLECTING: u8 = 16;
const DISTRIBUTING: u8 = 32;
const DEFAULTED: u8 = 64;

/// Who a party of LACP is: system priority, system, key, port priority and port, as they are sent.
type PartyIdentity = [u8; IDENTITY];

/// What a LACPDU says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    actor: PartyIdentity,
    state: u8,
    /// What it knows of us.
    partner: PartyIdentity,
}

impl Heard {
    /// Reads a frame with its Ethernet header; `None` if it is no LACPDU.
    #[must_use]
    pub fn read(frame: &[u8]) -> Option<Self> {
        let [high, low] = ETHERTYPE.to_be_bytes();
        if frame.get(12..=SUBTYPE_AT)? != [high, low, LACP] {
            return None;
        }
        let identity = |at: usize| frame.get(at..at + IDENTITY)?.try_into().ok();
        Some(Self {
            actor: identity(ACTOR_AT)?,
            state: *frame.get(ACTOR_AT + IDENTITY)?,
            partner: identity(PARTNER_AT)?,
        })
    }

    /// Whether it is of a port that carries traffic although no partner ever answered, and waits for nothing but one
    /// that is in sync: bonding's way. By the standard such a port would collect and distribute (6.4.9, recordDefault);
    /// it would stop to when a partner turns up, so there is nothing to be gained by speaking first.
    #[must_use]
    pub const fn carries_without_partner(&self) -> bool {
        const SAID: u8 = AGGREGATES | IN_SYNC | DEFAULTED;
        self.state & (SAID | COLLECTING | DISTRIBUTING) == SAID
    }

    /// Whether the partner sends and receives by the port.
    const fn is_in_use(&self) -> bool {
        const USED: u8 = COLLECTING | DISTRIBUTING;
        self.state & USED == USED
    }
}

/// Asks whether a partner knows slow protocols (6.5.3.3): bonding answers, and nothing comes of it.
#[must_use]
pub fn marker_question(mac: Mac) -> Vec<u8> {
    let mut frame = begin(mac, MARKER);
    frame.extend([MARKER_QUESTION, MARKER_LENGTH]);
    frame.extend([0, 0]);
    frame.extend(mac.0);
    frame.resize(FRAME, 0);
    frame
}

/// Whether a frame is the answer to one.
#[must_use]
pub fn is_marker_answer(frame: &[u8]) -> bool {
    let [high, low] = ETHERTYPE.to_be_bytes();
    frame.get(12..=SUBTYPE_AT) == Some(&[high, low, MARKER]) && frame.get(SUBTYPE_AT + 2) == Some(&MARKER_ANSWER)
}

/// The beginning of a slow protocol's frame, version 1 of it included.
fn begin(mac: Mac, subtype: u8) -> Vec<u8> {
    let mut frame = Vec::with_capacity(FRAME);
    frame.extend(GROUP.0);
    frame.extend(mac.0);
    frame.extend(ETHERTYPE.to_be_bytes());
    frame.extend([subtype, 1]);
    frame
}

/// Speaks LACP by a port that carries traffic, in the name of the bond that it is about to become a member of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Speaker {
    mac: Mac,
    system_priority: u16,
    key: u16,
    leaves: bool,
    heard: Heard,
    /// Something is to be said at once.
    due: bool,
}

impl Speaker {
    /// A number of ports that no member of a bond gets: those are counted from 1.
    const PORT: u16 = u16::MAX;
    /// As members have it unless it is set.
    const PORT_PRIORITY: u16 = 255;
    /// Any: the bond has none yet.
    const KEY: u16 = 1;

    /// Answers a partner of whom this was heard on the port, for a bond with this MAC.
    #[must_use]
    pub const fn answer(heard: Heard, mac: Mac, system_priority: u16) -> Self {
        Self { mac, system_priority, key: Self::KEY, leaves: false, heard, due: true }
    }

    /// The key of the bond's members, once it is known: with that the partner counts the port among them.
    pub fn set_key(&mut self, key: u16) {
        self.due |= self.key != key;
        self.key = key;
    }

    /// From now on the port is said not to be in sync: the partner shall send by the others.
    pub fn leave(&mut self) {
        self.due = true;
        self.leaves = true;
    }

    /// Takes in what the partner said. What it does not know rightly is said again.
    pub fn hear(&mut self, heard: Heard) {
        self.due |= heard.actor != self.heard.actor || heard.partner != self.identity();
        self.heard = heard;
    }

    /// Whether the partner has the port in use as one of this bond, or, once we leave, has not any more.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        let used = self.heard.is_in_use();
        if self.leaves { !used } else { used && self.heard.partner == self.identity() }
    }

    /// Whether something is to be said at once rather than with the next second; once.
    pub fn is_due(&mut self) -> bool {
        std::mem::take(&mut self.due)
    }

    /// What is to be said.
    #[must_use]
    pub fn frame(&self) -> Vec<u8> {
        const JOINED: u8 = ACTIVE | SHORT_TIMEOUT | AGGREGATES;
        const USED: u8 = JOINED | IN_SYNC | COLLECTING | DISTRIBUTING;
        let mut frame = begin(self.mac, LACP);
        frame.extend([1, PARTY_LENGTH]);
        frame.extend(self.identity());
        frame.extend([if self.leaves { JOINED } else { USED }, 0, 0, 0]);
        frame.extend([2, PARTY_LENGTH]);
        frame.extend(self.heard.actor);
        frame.extend([self.heard.state, 0, 0, 0]);
        frame.extend([3, COLLECTOR_LENGTH]);
        frame.resize(FRAME, 0);
        frame
    }

    fn identity(&self) -> PartyIdentity {
        let mut identity = [0; IDENTITY];
        let numbers = [self.key, Self::PORT_PRIORITY, Self::PORT].map(u16::to_be_bytes);
        let octets = self.system_priority.to_be_bytes().into_iter().chain(self.mac.0);
        let octets = octets.chain(numbers.into_iter().flatten());
        identity.iter_mut().zip(octets).for_each(|(place, octet)| *place = octet);
        identity
    }
}

#[cfg(test)]
mod tests;
