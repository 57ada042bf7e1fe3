//! The choice of the active port, as bonding's active-backup mode and team's activebackup runner make it.
//!
//! - Preference: the primary port, then the higher priority, then the order in which the ports were named. A port
//!   whose link is down, but whose down-delay still runs, comes after all others.
//! - While the active port is usable it stays, unless a port that is *strictly* preferred (primary, or of higher
//!   priority) is usable and [`Reselect`] lets it take over. A sticky port (team) never yields while it is usable.
//! - `better` (bonding's `primary_reselect`) also asks for a higher speed, or full duplex at the same speed. A speed
//!   that the driver does not know counts as the lowest.
//! - A port that the owner passed over when choosing by hand takes over only after it has been unusable in between.
//! - When the active port is of no use, the most preferred usable port follows, whatever `Reselect` says.
//!
//! The last rule alone is what the programs apply until the next table comes ([`aggctl_common::Ports::choose`]):
//! [`order`] gives them the same order.

use std::cmp::Reverse;

use aggctl_common::PortId;

use crate::config::{PortConfig, Reselect};

/// A port, as far as the choice depends on it.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// Its slot.
    pub id: PortId,
    /// Its settings.
    pub config: &'a PortConfig,
    /// Whether it may carry traffic.
    pub usable: bool,
    /// Whether its link is down and only its down-delay keeps it usable.
    pub failing: bool,
    /// Whether it is held down, and usable only while no other port has a link.
    pub held: bool,
    /// Whether the owner passed it over when choosing the active port by hand.
    pub passed_over: bool,
    /// Megabits per second, if known.
    pub speed_mbps: Option<u32>,
    /// Full duplex, if known.
    pub full_duplex: Option<bool>,
}

/// The aggregate's settings that the choice depends on.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// The primary port's name.
    pub primary: Option<&'a str>,
    /// When a preferred port takes over.
    pub reselect: Reselect,
}

/// Why a port waits, although it is usable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitReason {
    /// The active port is preferred to it.
    LessPreferred,
    /// It is not preferred to the active port, nor the other way round.
    Equal,
    /// It is preferred, but the active port is sticky.
    Sticky,
    /// It is preferred, but `reselect` is `failure`.
    UntilFailure,
    /// It is preferred, but `reselect` is `better` and it is not faster.
    NotBetter,
    /// It is preferred, but the owner passed it over.
    PassedOver,
    /// It is preferred, but its link is failing.
    Failing,
    /// It is preferred, but held down.
    Held,
}

impl Rules<'_> {
    /// Whether this is the primary port.
    #[must_use]
    pub fn is_primary(&self, config: &PortConfig) -> bool {
        self.primary == Some(config.name.as_str())
    }

    /// The more preferred, the greater; equal for ports that only their order tells apart.
    fn merit(&self, config: &PortConfig) -> (bool, i32) {
        (self.is_primary(config), config.priority)
    }

    /// Why `other` does not take over from the usable port `active`; `None` if it does, all else being equal.
    #[must_use]
    pub fn waits(&self, active: &Candidate<'_>, other: &Candidate<'_>) -> Option<WaitReason> {
        let (merit, against) = (self.merit(other.config), self.merit(active.config));
        if merit < against {
            return Some(WaitReason::LessPreferred);
        }
        if merit == against {
            return Some(WaitReason::Equal);
        }
        if active.config.sticky {
            return Some(WaitReason::Sticky);
        }
        match self.reselect {
            Reselect::Failure => return Some(WaitReason::UntilFailure),
            Reselect::Better if !faster(other, active) => return Some(WaitReason::NotBetter),
            Reselect::Better | Reselect::Always => {}
        }
        if other.passed_over {
            return Some(WaitReason::PassedOver);
        }
        if other.failing {
            return Some(WaitReason::Failing);
        }
        other.held.then_some(WaitReason::Held)
    }
}

/// Whether `one` has a higher speed than `other`, or at the same speed full duplex where the other has not.
fn faster(one: &Candidate<'_>, other: &Candidate<'_>) -> bool {
    let measure = |port: &Candidate<'_>| (port.speed_mbps, port.full_duplex == Some(true));
    measure(one) > measure(other)
}

/// All ports, the most preferred first. `ports` are in the order in which they were named.
#[must_use]
pub fn order(rules: &Rules<'_>, ports: &[Candidate<'_>]) -> Vec<PortId> {
    let mut sorted: Vec<_> = ports.iter().collect();
    sorted.sort_by_key(|port| (port.failing, Reverse(rules.merit(port.config))));
    sorted.into_iter().map(|port| port.id).collect()
}

/// The port that shall be active, given the one that is. `None` if no port is usable.
#[must_use]
pub fn choose(rules: &Rules<'_>, active: Option<PortId>, ports: &[Candidate<'_>]) -> Option<PortId> {
    let active = active.and_then(|id| ports.iter().find(|port| port.id == id && port.usable));
    order(rules, ports)
        .into_iter()
        .find(|id| {
            ports.iter().any(|port| {
                port.id == *id
                    && port.usable
                    && active.is_none_or(|active| port.id != active.id && rules.waits(active, port).is_none())
            })
        })
        .or(active.map(|port| port.id))
}

#[cfg(test)]
mod tests;
