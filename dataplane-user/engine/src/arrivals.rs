//! What others give to interfaces, or take from them, while we move what is there.
//!
//! A snapshot of the host is outdated as soon as it is taken, and what comes after it can be gone before the next one:
//! with the last IPv4 address of an interface the kernel flushes all its IPv4 routes, with a primary address its
//! secondary ones, with IPv6 all of IPv6, and it does not say so of each. It does tell of all that is added, and who
//! asked for it. So what was added and not taken away by anybody but us is still wanted, wherever it is now.

mod items;

use std::{collections::BTreeSet, net::IpAddr};

use aggctl_common::IfIndex;

use self::items::Items;
use crate::{
    host::{Address, Host, NeighbourEntry, Route},
    record::Layer3,
};

/// `RTPROT_KERNEL`.
const RTPROT_KERNEL: u8 = 2;
/// `NUD_PERMANENT`.
const PERMANENT: u16 = 0x80;
/// `NTF_PROXY`.
const PROXY: u8 = 0x08;

/// Who asked for a change, as far as the kernel says. Of IPv6 addresses it never does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeAuthor {
    /// This process, through the socket that carries out steps.
    Us,
    /// Another process.
    Others,
    /// The kernel by itself, or it does not say.
    Kernel,
}

/// What a change is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangedItem {
    /// An address.
    Address(Address),
    /// A route.
    Route(Route),
    /// A neighbour.
    Neighbour(NeighbourEntry),
}

/// What was told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeEvent {
    /// Something was added, or changed.
    Added {
        /// What.
        what: ChangedItem,
        /// Whether it took the place of another one (`NLM_F_REPLACE`).
        instead: bool,
        /// Who asked for it.
        by: ChangeAuthor,
    },
    /// Something was removed.
    Removed {
        /// What.
        what: ChangedItem,
        /// Who asked for it.
        by: ChangeAuthor,
    },
    /// An interface is administratively up, or down: then it has lost what it cannot have.
    Link {
        /// The interface.
        index: IfIndex,
        /// Whether it is up.
        up: bool,
    },
}

/// What came to interfaces and was not taken from them by their owner since.
#[derive(Clone, Debug, Default)]
pub struct Arrivals {
    came: Items,
    went: Items,
    /// What a step of ours removed.
    moved: Items,
    down: BTreeSet<IfIndex>,
}

impl Arrivals {
    /// A step of ours is about to remove this from the interface that it names.
    pub fn will_move(&mut self, what: &ChangedItem) {
        self.moved.put(what.clone());
    }

    /// Takes in what was told. `flushing`: a step of ours was being carried out of which the kernel removes more than
    /// it says who asked for.
    pub fn tell(&mut self, news: ChangeEvent, flushing: bool) {
        match news {
            ChangeEvent::Link { index, up: true } => _ = self.down.remove(&index),
            ChangeEvent::Link { index, up: false } => _ = self.down.insert(index),
            ChangeEvent::Added { what, instead, by } => self.added(what, instead, by),
            ChangeEvent::Removed { what, by } => {
                if self.moved.has(&what) {
                    self.came.take(&what);
                } else if self.is_owners(&what, by, flushing) {
                    self.came.take(&what);
                    self.went.put(what);
                }
            }
        }
    }

    /// Has what is on an interface, and shall stay there, looked after like what comes.
    pub fn keep(&mut self, there: &Layer3) {
        items::each(there).for_each(|what| self.added(what, false, ChangeAuthor::Others));
    }

    fn added(&mut self, what: ChangedItem, instead: bool, by: ChangeAuthor) {
        let counts = match &what {
            ChangedItem::Address(_) => by != ChangeAuthor::Us,
            // Prefix routes come and go with their addresses.
            ChangedItem::Route(route) => {
                by == ChangeAuthor::Others || by == ChangeAuthor::Kernel && route.protocol != RTPROT_KERNEL
            }
            ChangedItem::Neighbour(neighbour) => {
                if !is_lasting(neighbour) && by == ChangeAuthor::Others {
                    // A neighbour that is deleted is first told of as one that failed.
                    self.came.take(&what);
                }
                by != ChangeAuthor::Us && is_lasting(neighbour)
            }
        };
        if !counts {
            return;
        }
        if let (true, ChangedItem::Route(route)) = (instead, &what) {
            self.came.take_rivals(route);
        }
        self.went.take(&what);
        self.came.put(what);
    }

    /// Whether a removal is its owner's wish, and not what the kernel makes of something else.
    fn is_owners(&self, what: &ChangedItem, by: ChangeAuthor, flushing: bool) -> bool {
        match (by, what) {
            (ChangeAuthor::Others, _) => true,
            (ChangeAuthor::Kernel, ChangedItem::Address(Address { local: IpAddr::V6(_), link, .. })) => {
                !flushing && !self.down.contains(link)
            }
            (ChangeAuthor::Us | ChangeAuthor::Kernel, _) => false,
        }
    }

    /// What came to an interface and is still wanted.
    #[must_use]
    pub fn of(&self, link: IfIndex) -> Layer3 {
        self.came.of(link)
    }

    /// Whether nothing came to any of these interfaces.
    #[must_use]
    pub fn is_empty_on(&self, links: &[IfIndex]) -> bool {
        links.iter().all(|link| self.of(*link) == Layer3::default())
    }

    /// Makes `seen`, which `link` had before, what it must have been since.
    pub fn bring_up_to_date(&self, link: IfIndex, seen: &mut Layer3) {
        items::retain(seen, |key| !self.went.has_key(key) && !self.came.has_key(key));
        items::append(seen, self.came.of(link));
    }

    /// Puts what is wanted and vanished back into a picture of the host, where it was.
    pub fn complete(&self, host: &mut Host) {
        let mut missing = self.came.clone();
        let there = Layer3 {
            addresses: std::mem::take(&mut host.addresses),
            routes: std::mem::take(&mut host.routes),
            nexthops: Vec::new(),
            neighbours: std::mem::take(&mut host.neighbours),
        };
        missing.take_all(&there);
        let mut all = there;
        items::append(&mut all, missing.all());
        (host.addresses, host.routes, host.neighbours) = (all.addresses, all.routes, all.neighbours);
    }

    /// Forgets what was looked after: all that `taken` has of this interface.
    pub fn forget(&mut self, taken: &Self, link: IfIndex) {
        self.came.take_all(&taken.came.of(link));
        self.moved.take_all(&taken.moved.of(link));
    }
}

/// Whether a neighbour was put there by somebody.
fn is_lasting(neighbour: &NeighbourEntry) -> bool {
    neighbour.state & PERMANENT != 0 || neighbour.flags & PROXY != 0
}

#[cfg(test)]
mod tests;
