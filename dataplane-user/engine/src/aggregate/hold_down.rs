//! Ports that are held down, since they changed too often ([`crate::hold_down`]): they are not usable, but for one of
//! them while no other port has a link.

use aggctl_common::PortId;

use super::{
    Aggregate,
    port::{Port, Presence},
};
use crate::{
    action::{Action, Notice},
    hold_down::{Hold, HoldDown},
    status::HeldStatus,
};

impl Aggregate {
    /// Counts who changed. Returns which ports are held down from now on.
    pub(super) fn damp(&mut self) -> Vec<PortId> {
        let (now, rule) = (self.now, self.config.hold_down);
        let sound = |port: &Port| {
            let is_known = port.presence != Presence::Unknown;
            is_known.then(|| port.raw_up() && self.is_well(port))
        };
        let sound: Vec<_> = self.ports.iter().map(sound).collect();
        let mut held = Vec::new();
        for (port, sound) in self.ports.iter_mut().zip(sound) {
            if port.damper.look(now, sound, rule) {
                held.push(port.id);
            }
        }
        held
    }

    /// Tells that ports are held down from now on.
    pub(super) fn tell_held(&self, held: &[PortId]) -> Vec<Action> {
        let HoldDown::By(rule) = self.config.hold_down else { return Vec::new() };
        let names = held.iter().filter_map(|id| self.name(*id));
        let notice =
            |port| Notice::HeldDown { port, changes: rule.changes, window_s: rule.window_s, for_s: rule.for_s };
        names.map(|name| Action::Notice(notice(name))).collect()
    }

    /// The port that is used although it is held down: none while another port has a link; else the one that is so
    /// used already, or the one that has not changed for longest. `able`: which ports could be used.
    pub(super) fn find_spare(&self, able: impl Fn(&Port) -> bool) -> Option<PortId> {
        let able: Vec<_> = self.ports.iter().filter(|port| able(port)).collect();
        let hold_of = |port: &Port| port.damper.hold();
        let (held, free): (Vec<_>, Vec<_>) = able.into_iter().partition(|port| hold_of(port).is_some());
        if free.iter().any(|port| !port.is_failing()) {
            return None;
        }
        let has_link = held.iter().any(|port| !port.is_failing());
        if !has_link && !free.is_empty() {
            return None;
        }
        let pool = || held.iter().filter(|port| port.is_failing() != has_link);
        let order = self.order();
        let calm = |port: &&&Port| {
            let rank = order.iter().position(|id| *id == port.id);
            (hold_of(port).map(|hold| hold.since), rank)
        };
        let stays = pool().find(|port| self.spare == Some(port.id));
        stays.or_else(|| pool().min_by_key(calm)).map(|port| port.id)
    }

    /// Whether a port is not used since it is held down.
    pub(super) fn is_held(&self, port: &Port) -> bool {
        port.damper.hold().is_some() && self.spare != Some(port.id)
    }

    /// How a port is held down, if it is.
    pub(super) fn held_status(&self, port: &Port) -> Option<HeldStatus> {
        let Hold { changes, window_s, .. } = port.damper.hold()?;
        let until = port.damper.until(self.config.hold_down)?;
        Some(HeldStatus { until, until_ms: None, changes, window_s })
    }

    /// Why a port is not used, or used all the same, if it could be used but is held down.
    pub(super) fn why_held(&self, port: &Port) -> Option<String> {
        let held = self.held_status(port).filter(|_| port.able && port.config.enabled)?;
        Some(if port.usable {
            format!("no other port has a link; this one is held down: {held}")
        } else {
            let left = held.until.saturating_sub(self.now);
            format!("held down for another {} s: {held}", left.as_millis().div_ceil(1_000))
        })
    }
}
