//! An aggregate at work: which ports are usable, which one is active, what the neighbours must be told.
//!
//! [`Aggregate::on_event`] takes in what happened and answers with what to do. It may be told the same thing many
//! times (links are polled); only changes lead to actions. The rules of the choice are in [`crate::select`], those of a
//! link's delays in [`crate::watch`]. Besides:
//!
//! - **Start.** Nothing is published, and carrier is left alone, until every member has been reported (by
//!   [`Event::Link`] or [`Event::Gone`]) once: a controller that adopts a running dataplane must not tear it down while
//!   it reads the state of the ports. The up-delay does not apply to what is found then. A remembered active port that
//!   is found usable goes on, without announcement; had it been chosen by hand, that still counts.
//! - **Delays.** A port that is administratively down, or gone, is not usable at once. While no port is usable the
//!   up-delay is skipped, for one port: the one that waited longest, or of several the most preferred (bonding's rule).
//!   A port in its down-delay is still usable.
//! - **Watches.** A port needs its link, and what its other watches say counts by
//!   [`WatchPolicy`](crate::watches::WatchPolicy). What is found at the start, and what a change of the options adds,
//!   is taken to be well until a watch says otherwise; after its link was lost a port must be found well anew.
//! - **Flap damping.** A port that is held down is not usable, unless no other port has a link: then one such port is,
//!   until another has. A port whose up-delay runs does not count as another.
//! - **By hand.** A port chosen with [`Event::Activate`] stays until it fails, or until a preferred port *becomes*
//!   usable that [`Reselect`](crate::config::Reselect) lets take over; a port that was usable when it was passed over
//!   does not switch the choice back. A change of `primary`, `reselect` or of the ports' settings makes a new
//!   choice; a new `primary` takes over at once if it is usable, and one that joins as soon as it is, whatever
//!   `reselect` says (as in bonding).
//! - **MACs.** The ports have the aggregate's, or the aggregate has the active port's, or the active port alone has the
//!   aggregate's: by [`MacPolicy`](crate::config::MacPolicy).
//! - **Settings.** Each port's MAC, MTU, promiscuous and all-multicast mode are kept as the aggregate needs them, the
//!   modes also while the port's owner wants them. A new MTU of the aggregate that one port does not take is taken by
//!   none: the aggregate gets the former one again. What was not known yet (the aggregate's MTU and promiscuity before
//!   the first [`Event::Aggregate`]) is left alone, and what a driver keeps refusing is asked for three times, and then
//!   once a minute, until the wish or the report changes.

use std::time::Duration;

use aggctl_common::{IfIndex, Mac, PortId, Ports};

use crate::{
    action::{Action, Notice},
    config::{AggregateConfig, Partner},
    event::{AggregateState, Event, LinkState, Member},
    hold_down::Damper,
    select::Rules,
};

mod configure;
mod driver;
mod explain;
mod flag;
mod hold_down;
mod macs;
mod memory;
mod mtu;
mod port;
mod reconcile;
mod refusal;
mod rounds;
mod setting;
mod sharing;
mod status;
mod table;
mod watched;

use driver::Driver;
use macs::OwnMac;
use mtu::Mtu;
use port::{Port, Presence};
use rounds::Rounds;
use sharing::Sharing;

pub use memory::{LeftFlags, Memory};
pub use refusal::EventRefusal;
pub use table::ACCEPT_GRACE;

/// The running state of an aggregate.
#[derive(Clone, Debug)]
pub struct Aggregate {
    config: AggregateConfig,
    /// In the order in which they were named.
    ports: Vec<Port>,
    mac: Mac,
    /// Whether the MAC has changed and the neighbours were not told yet.
    new_mac: bool,
    own_mac: OwnMac,
    /// The aggregate's own interface, once reported.
    interface: Option<AggregateState>,
    mtu: Mtu,
    /// The latest time that was given.
    now: Duration,
    /// Whether every member was reported and the first table was made.
    settled: bool,
    /// Before the aggregate is settled: the remembered one.
    active: Option<PortId>,
    by_hand: bool,
    /// The port that is usable although it is held down.
    spare: Option<PortId>,
    /// A bit for each port that was usable when the owner passed it over, and has been since.
    passed_over: u64,
    /// A port that must become active now, if usable.
    demand: Option<Demand>,
    /// The primary that joined, until it was usable.
    joining: Option<PortId>,
    carrier: Option<bool>,
    published: Ports,
    sharing: Sharing,
    rounds: Option<Rounds>,
    driver: Driver,
}

/// The owner's wish for a port.
#[derive(Clone, Copy, Debug)]
enum Demand {
    /// It was chosen by hand.
    ByHand(PortId),
    /// It was made the primary port.
    Primary(PortId),
    /// Whichever the rule chooses when none is active.
    ByRule,
}

impl Demand {
    fn port(self) -> Option<PortId> {
        match self {
            Self::ByHand(id) | Self::Primary(id) => Some(id),
            Self::ByRule => None,
        }
    }
}

/// What in an event matters beyond the state that it changed.
#[derive(Clone, Debug, Default)]
struct Circumstances {
    /// The port that was reported just now.
    fresh: Option<PortId>,
    /// Whether the aggregate's own interface was.
    interface: bool,
    /// Name of the port that was removed just now.
    removed: Option<String>,
}

impl Aggregate {
    /// An aggregate of these members (in the order of preference among equals), of which nothing is known yet.
    #[must_use]
    pub fn new(config: AggregateConfig, members: Vec<Member>, mac: Mac, memory: &Memory) -> Self {
        let active = memory.active.filter(|id| members.iter().any(|member| member.id == *id));
        let failures = |id| memory.link_failures.get(&id).copied().unwrap_or(0);
        let left = |id| memory.flags.get(&id).copied().unwrap_or_default();
        let trusted = |id| !memory.unwell.contains(&id);
        let port = |member: Member| {
            let id = member.id;
            let mut port = Port::new(member, failures(id), left(id), trusted(id));
            port.damper = Damper::remembered(memory.held.get(&id).copied());
            port
        };
        Self {
            config,
            ports: members.into_iter().map(port).collect(),
            mac,
            new_mac: false,
            own_mac: OwnMac::default(),
            interface: None,
            mtu: Mtu::remembered(memory.mtu),
            now: Duration::ZERO,
            settled: false,
            active,
            by_hand: memory.by_hand && active.is_some(),
            spare: None,
            passed_over: 0,
            demand: None,
            joining: None,
            carrier: None,
            published: Ports::EMPTY,
            sharing: Sharing::default(),
            rounds: None,
            driver: Driver::default(),
        }
    }

    /// Takes in an event and answers with what to do, in order. `now` is any clock that does not run backwards.
    ///
    /// # Errors
    ///
    /// The event asks for what cannot be; nothing was changed.
    pub fn on_event(&mut self, now: Duration, event: Event) -> Result<Vec<Action>, EventRefusal> {
        self.now = self.now.max(now);
        let mut actions = Vec::new();
        let mut circumstances = Circumstances::default();
        match event {
            Event::Link { port, link } => {
                if self.is_another_interface(port, link.ifindex) {
                    self.gone(port, &mut actions);
                    self.reconcile(&circumstances, &mut actions);
                }
                self.link(port, link, &mut actions);
                circumstances.fresh = Some(port);
            }
            Event::Gone { port } => self.gone(port, &mut actions),
            Event::Aggregate(state) => {
                self.take_mac(state.mac);
                self.interface = Some(state);
                circumstances.interface = true;
                self.judge_mtu(state, &mut actions);
            }
            Event::Driver(state) => self.follow_driver(state),
            Event::MtuRefused { port, mtu, why } => self.refuse_mtu(port, mtu, why, &mut actions),
            Event::Watched(reported) => self.watched(reported, &mut actions),
            Event::PortAdded(member) => self.add(member)?,
            Event::PortRemoved { port } => circumstances.removed = self.remove(port),
            Event::Activate { port } => self.activate(port)?,
            Event::ChooseAgain => self.choose_again()?,
            Event::Configure(config) => self.configure(config),
            Event::Tick => {}
        }
        self.reconcile(&circumstances, &mut actions);
        Ok(actions)
    }

    /// When to send [`Event::Tick`] at the latest. Always later than the last event's time.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        let watches = self.ports.iter().filter_map(|port| port.watch.deadline(&self.config.link_watch));
        let graces = self.ports.iter().filter_map(|port| port.accept_until);
        let holds = self.ports.iter().filter_map(|port| port.damper.until(self.config.hold_down));
        let rounds = self.rounds.and_then(|rounds| rounds.deadline());
        watches.chain(graces).chain(holds).chain(rounds).chain(self.driver.deadline()).min()
    }

    /// The port on which groups are accepted, where several receive them.
    fn designated(&self) -> Option<&Port> {
        let several = self.config.mode.shares() && self.config.partner() == Partner::Plain;
        self.active_port().filter(|_| several)
    }

    /// The port that carries the traffic; where all do, the one that is preferred to the others.
    fn active_port(&self) -> Option<&Port> {
        self.active.filter(|_| self.settled).and_then(|id| self.port(id))
    }

    fn rules(&self) -> Rules<'_> {
        Rules { primary: self.config.primary.as_deref(), reselect: self.config.reselect }
    }

    fn port(&self, id: PortId) -> Option<&Port> {
        self.ports.iter().find(|port| port.id == id)
    }

    fn port_mut(&mut self, id: PortId) -> Option<&mut Port> {
        self.ports.iter_mut().find(|port| port.id == id)
    }

    fn name(&self, id: PortId) -> Option<String> {
        self.port(id).map(|port| port.config.name.clone())
    }

    /// Whether a port that is there is now reported under another number: it was unplugged and plugged in unseen.
    fn is_another_interface(&self, id: PortId, ifindex: IfIndex) -> bool {
        self.port(id).and_then(Port::reported).is_some_and(|state| state.ifindex != ifindex)
    }

    fn link(&mut self, id: PortId, state: LinkState, actions: &mut Vec<Action>) {
        let (now, first_look) = (self.now, !self.settled);
        let state = LinkState { carrier: state.carrier && self.driver_uses(&state), ..state };
        // A late report of a port that was removed means nothing.
        let Some(port) = self.port_mut(id) else { return };
        if port.presence == Presence::Gone {
            let port = port.config.name.clone();
            actions.push(Action::Notice(Notice::Present { port, present: true }));
        }
        port.link(now, state, first_look);
    }

    fn gone(&mut self, id: PortId, actions: &mut Vec<Action>) {
        let Some(port) = self.port_mut(id) else { return };
        if port.presence != Presence::Gone {
            port.gone();
            let port = port.config.name.clone();
            actions.push(Action::Notice(Notice::Present { port, present: false }));
        }
    }
}

#[cfg(test)]
mod tests;
