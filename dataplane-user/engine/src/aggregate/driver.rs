//! In wiring `over`: what the driver says is taken into account, and the driver is told which port is active.
//!
//! The driver is never fought. Where one port carries everything, and the driver has another one active than we asked
//! for, ours is that one from then on, as if it had been chosen by hand: somebody else chose it, or the driver did
//! because it saw a failure before us. What it refuses it is asked for again after a while: it takes no port whose link
//! it has not found up yet.

use std::time::Duration;

use aggctl_common::PortId;

use super::{Aggregate, Demand};
use crate::{
    action::Action,
    driver::{DriverKind, DriverMembership, DriverState},
    event::LinkState,
};

/// After how long the driver is asked again.
const AGAIN: Duration = Duration::from_secs(1);

/// What is known of the driver.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Driver {
    /// As last reported.
    state: Option<DriverState>,
    /// The port that it was asked to make active, and has not yet, and when.
    asked: Option<(PortId, Duration)>,
}

impl Driver {
    /// When it is to be asked again.
    pub(super) fn deadline(&self) -> Option<Duration> {
        self.asked.map(|(_, at)| at + AGAIN)
    }
}

impl Aggregate {
    /// Takes in what the driver says.
    pub(super) fn follow_driver(&mut self, state: DriverState) {
        let before = self.driver.state.replace(state);
        if self.config.mode.shares() || before.is_some_and(|before| before.active == state.active) {
            return;
        }
        let active = self.ports.iter().find(|port| Some(port.ifindex) == state.active).map(|port| port.id);
        let asked = self.driver.asked.take().map(|(port, _)| port);
        if let Some(port) = active.filter(|port| Some(*port) != self.active && Some(*port) != asked) {
            self.demand = Some(Demand::ByHand(port));
        }
    }

    /// Tells the driver which port is active, if it has another one.
    pub(super) fn tell_driver(&mut self, actions: &mut Vec<Action>) {
        let port = self.active.and_then(|id| self.port(id)).filter(|_| !self.config.mode.shares());
        let lacks = |state: DriverState| port.filter(|port| state.active != Some(port.ifindex)).map(|port| port.id);
        let Some(id) = self.driver.state.and_then(lacks) else {
            self.driver.asked = None;
            return;
        };
        let now = self.now;
        if self.driver.asked.is_none_or(|(asked, at)| asked != id || at + AGAIN <= now) {
            self.driver.asked = Some((id, now));
            actions.push(Action::SetDriverActive { port: id });
        }
    }

    /// Whether it is we who announce what is the device's own: bonding does so itself, as often as it is told to. The
    /// driver of teams does not, unless a daemon told it to.
    pub(super) fn announces_own(&self) -> bool {
        self.driver.state.is_none_or(|state| state.kind != DriverKind::Bonding)
    }

    /// Whether our mode still goes with the driver's. If not, all is left to the driver.
    pub(super) fn fits_driver(&self) -> bool {
        let fits = |state: DriverState| state.check(&self.config.name, self.config.mode).is_ok();
        self.driver.state.is_none_or(fits)
    }

    /// Whether the driver, if there is one, may send by this port.
    pub(super) fn driver_uses(&self, link: &LinkState) -> bool {
        let is_usable = |membership: DriverMembership| membership.is_usable(self.config.mode);
        self.config.wiring.has_pair() || link.membership.is_some_and(is_usable)
    }

    /// Why the driver does not send by this port, if it does not.
    pub(super) fn why_not_driver(&self, link: &LinkState) -> Option<&'static str> {
        if self.driver_uses(link) {
            return None;
        }
        Some(match link.membership {
            None => "it is no port of the driver's device",
            Some(DriverMembership { link: false, .. }) => "link is down, by the driver's watch",
            Some(_) => {
                "the driver does not use it (LACP: not in the active aggregator, or the partner did not agree; team: \
                 not enabled)"
            }
        })
    }
}
