//! What was found wrong while an aggregate runs, and when to repair it.
//!
//! [`Ledger::look`] gets all that is wrong now, and returns what to repair now and what to report. [`Ledger::outcome`]
//! gets the result of each repair. The first repairs of a defect follow at once. If it comes back or cannot be repaired
//! again and again, the pauses grow, since somebody else may want it so. A defect that was gone for a minute counts as
//! new when it comes back.

use std::{collections::BTreeMap, collections::VecDeque, fmt::Display, time::Duration};

use crate::action::Notice;

/// How many repairs of a defect follow one another at once.
const AT_ONCE: u32 = 5;
/// The longest pause between two repairs.
const LONGEST_PAUSE: Duration = Duration::from_secs(64);
/// After this time without it, a defect that comes back is a new one.
const CALM: Duration = Duration::from_secs(60);
/// How many repairs are remembered.
const REMEMBERED: usize = 16;

/// All that is, or lately was, wrong.
#[derive(Clone, Debug)]
pub struct Ledger<D> {
    entries: BTreeMap<D, Entry>,
    repairs: VecDeque<Repair>,
}

/// A repair that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repair {
    /// What was wrong, in words.
    pub what: String,
    /// When it was repaired last.
    pub at: Duration,
    /// How many times.
    pub times: u32,
}

/// A defect that there is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StandingDefect<'a, D> {
    /// What is wrong.
    pub defect: &'a D,
    /// Since when.
    pub since: Duration,
    /// Why it was not repaired, if that was tried.
    pub why: Option<&'a str>,
    /// When it is tried again, if it is.
    pub next: Option<Duration>,
}

/// What follows from a look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerActions<D> {
    /// To be repaired now, in this order.
    pub repair: Vec<D>,
    /// To be told.
    pub notices: Vec<Notice>,
}

#[derive(Clone, Debug)]
struct Entry {
    /// Since when it is there; `None`: it is not.
    since: Option<Duration>,
    /// When it was there last.
    seen: Duration,
    repairable: bool,
    tries: u32,
    /// No repair before.
    next: Duration,
    why: Option<String>,
}

impl<D> Default for Ledger<D> {
    fn default() -> Self {
        Self { entries: BTreeMap::new(), repairs: VecDeque::new() }
    }
}

impl<D: Ord + Clone + Display> Ledger<D> {
    /// Takes in all that is wrong now, each with whether it may be repaired.
    pub fn look(&mut self, now: Duration, found: impl IntoIterator<Item = (D, bool)>) -> LedgerActions<D> {
        let found: BTreeMap<D, bool> = found.into_iter().collect();
        let mut due = LedgerActions { repair: Vec::new(), notices: Vec::new() };
        for (defect, entry) in &mut self.entries {
            if !found.contains_key(defect) && entry.since.take().is_some() {
                entry.why = None;
                due.notices.push(Notice::DefectGone { what: defect.to_string() });
            }
        }
        self.entries.retain(|_, entry| entry.since.is_some() || now.saturating_sub(entry.seen) < CALM);
        for (defect, repairable) in found {
            let is_known = self.entries.contains_key(&defect);
            let entry = self.entries.entry(defect.clone()).or_insert_with(|| Entry::new(now, repairable));
            let is_new = entry.since.is_none() || !is_known;
            entry.since.get_or_insert(now);
            entry.seen = now;
            if repairable && now >= entry.next {
                due.repair.push(defect);
            } else if is_new {
                let why = entry.next.checked_sub(now).filter(|_| repairable).map(|left| {
                    format!("it was repaired {} times; the next repair is in {} s", entry.tries, left.as_secs())
                });
                due.notices.push(Notice::Defect { what: defect.to_string(), why });
            }
        }
        due
    }

    /// Takes in how a repair went; says what is to be told.
    pub fn outcome(&mut self, now: Duration, defect: &D, outcome: Result<(), String>) -> Option<Notice> {
        let entry = self.entries.get_mut(defect)?;
        entry.tries = entry.tries.saturating_add(1);
        let doublings = entry.tries.saturating_sub(AT_ONCE);
        if doublings > 0 {
            let pause = Duration::from_secs(1_u64.checked_shl(doublings).unwrap_or(u64::MAX));
            entry.next = now.saturating_add(pause.min(LONGEST_PAUSE));
        }
        let what = defect.to_string();
        match outcome {
            Ok(()) => {
                entry.since = None;
                entry.why = None;
                self.remember(now, what.clone());
                Some(Notice::Repaired { what })
            }
            Err(why) => {
                let told = entry.why.replace(why.clone());
                (told.as_ref() != Some(&why)).then_some(Notice::Defect { what, why: Some(why) })
            }
        }
    }

    /// All that is wrong now.
    pub fn standing(&self) -> impl Iterator<Item = StandingDefect<'_, D>> {
        self.entries.iter().filter_map(|(defect, entry)| {
            let next = entry.repairable.then_some(entry.next);
            Some(StandingDefect { defect, since: entry.since?, why: entry.why.as_deref(), next })
        })
    }

    /// What was repaired, the latest last.
    pub fn repairs(&self) -> impl Iterator<Item = &Repair> {
        self.repairs.iter()
    }

    fn remember(&mut self, at: Duration, what: String) {
        let known = self.repairs.iter().position(|repair| repair.what == what);
        let times = known.and_then(|place| self.repairs.remove(place)).map_or(0, |repair| repair.times) + 1;
        self.repairs.push_back(Repair { what, at, times });
        if self.repairs.len() > REMEMBERED {
            self.repairs.pop_front();
        }
    }
}

impl Entry {
    const fn new(now: Duration, repairable: bool) -> Self {
        Self { since: None, seen: now, repairable, tries: 0, next: Duration::ZERO, why: None }
    }
}

#[cfg(test)]
mod tests;
