//! Why things are as they are, in words for people.

use std::time::Duration;

use aggctl_common::PortId;

use crate::{
    aggregate::{
        Aggregate,
        port::{Port, Presence},
    },
    config::{LinkWatch, PortConfig},
    select::WaitReason,
    status::PortState,
    watch::WatchedLink,
};

impl Aggregate {
    /// A port's part in the aggregate.
    pub(super) fn state_of(&self, port: &Port) -> PortState {
        if !port.config.enabled || port.reported().is_some_and(|state| !state.admin_up) {
            PortState::Disabled
        } else if !port.usable {
            PortState::Down
        } else if self.settled && self.config.mode.shares() {
            PortState::Sharing
        } else if self.settled && self.active == Some(port.id) {
            PortState::Active
        } else {
            PortState::Standby
        }
    }

    /// Why a port is, or is not, in use; but for its being held down, which has a time of day.
    pub(super) fn why(&self, port: &Port) -> String {
        match (self.state_of(port), self.active_port()) {
            (PortState::Active, _) => {
                let mut why = String::from("carries the traffic");
                if self.by_hand {
                    why += ", chosen by hand";
                }
                why += self.only_link(port);
                if port.is_failing() {
                    why = format!("{why}; {}", self.condition(port));
                }
                why
            }
            (PortState::Sharing, _) => {
                let designated = self.designated().is_some_and(|designated| designated.id == port.id);
                let also = if designated { ", and accepts broadcast and multicast" } else { "" };
                let condition = if port.is_failing() { format!("; {}", self.condition(port)) } else { String::new() };
                format!("carries its share of the traffic{also}{}{condition}", self.only_link(port))
            }
            (PortState::Standby, Some(active)) => self.why_waiting(port, active),
            (PortState::Standby | PortState::Down | PortState::Disabled, _) => self.condition(port),
        }
    }

    /// Why a port is usable, or is not.
    pub(super) fn health(&self, port: &Port) -> String {
        self.why_held(port).unwrap_or_else(|| self.condition(port))
    }

    /// Why a port that is held down is used all the same, where one is.
    fn only_link(&self, port: &Port) -> &'static str {
        if self.spare == Some(port.id) { ", since no other port has a link" } else { "" }
    }

    /// The state of a port, whether it is held down or not.
    fn condition(&self, port: &Port) -> String {
        if !port.config.enabled {
            return format!("disabled by hand (enabled=off); {}", self.link_health(port));
        }
        let why = self.why_unwell(port).filter(|_| port.watch.is_up() && !port.is_failing());
        why.unwrap_or_else(|| self.link_health(port))
    }

    /// The state of a port's interface and link.
    pub(super) fn link_health(&self, port: &Port) -> String {
        match port.presence {
            Presence::Unknown => return String::from("its state is not known yet"),
            Presence::Gone => return String::from("interface is gone"),
            Presence::Present(state) if !state.admin_up => return String::from("administratively down"),
            Presence::Present(state) if state.carrier => {}
            Presence::Present(state) => {
                if let Some(why) = self.why_not_driver(&state) {
                    return String::from(why);
                }
            }
        }
        let LinkWatch { up_delay_ms, down_delay_ms, .. } = self.config.link_watch;
        let for_ms = |since: Duration| self.now.saturating_sub(since).as_millis();
        match port.watch.link() {
            WatchedLink::Down => String::from("link is down"),
            WatchedLink::Up => String::from("link is up"),
            WatchedLink::Rising { since } => format!("link is up for {} of {up_delay_ms} ms (up-delay)", for_ms(since)),
            WatchedLink::Failing { since } => {
                format!("link is down for {} of {down_delay_ms} ms (down-delay)", for_ms(since))
            }
        }
    }

    fn why_waiting(&self, port: &Port, active: &Port) -> String {
        let rules = self.rules();
        let name = &active.config.name;
        let waits = rules.waits(&active.candidate(self.passed_over), &port.candidate(self.passed_over));
        let reason = match waits {
            Some(WaitReason::LessPreferred) => {
                format!("is active and {}", self.preferred(&active.config, &port.config))
            }
            Some(WaitReason::Equal | WaitReason::Held) | None => String::from("is active"),
            Some(WaitReason::Sticky) => String::from("is active and sticky"),
            Some(WaitReason::UntilFailure) => String::from("is active until it fails (reselect failure)"),
            Some(WaitReason::NotBetter) => String::from("is active and not slower (reselect better)"),
            Some(WaitReason::PassedOver) => String::from("was chosen by hand"),
            Some(WaitReason::Failing) => return format!("waits: {}", self.condition(port)),
        };
        format!("waits: {name} {reason}")
    }

    /// Why the active port is another than `before`.
    pub(super) fn why_changed(&self, before: Option<PortId>) -> String {
        let old = before.and_then(|id| self.port(id));
        match (old, self.active_port()) {
            (_, Some(_)) if self.by_hand => String::from("chosen by hand"),
            (Some(old), Some(new)) if old.usable => {
                format!("{} is {}", new.config.name, self.preferred(&new.config, &old.config))
            }
            (Some(old), _) => format!("{}: {}", old.config.name, self.health(old)),
            (None, _) if before.is_some() => String::from("the active port was removed"),
            (None, _) => String::from("no port was active"),
        }
    }

    /// How `one` is preferred to `other`.
    pub(super) fn preferred(&self, one: &PortConfig, other: &PortConfig) -> String {
        if self.rules().is_primary(one) {
            String::from("preferred (primary)")
        } else {
            format!("preferred (priority {} over {})", one.priority, other.priority)
        }
    }
}
