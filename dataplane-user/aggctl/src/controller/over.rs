//! Wiring `over`: the device is a driver's, so its members are followed, the driver is told which port is active, and
//! the programs are told that a controller is at work.

use std::{
    future::pending,
    time::{Duration, Instant},
};

use aggctl_common::PortId;
use aggctl_engine::{
    Event,
    config::AggregateConfig,
    host::{Host, Link},
    plan::{self, MemberChanges},
    record::{PortRecord, Record},
};
use aggctl_kernel::{
    dataplane::{DataplaneError, Stamper},
    error::KernelError,
    execute::Executor,
    netlink::Netlink,
};
use tokio::time::{Interval, MissedTickBehavior};
use tracing::{info, warn};

use super::{Controller, ports::member};
use crate::failure::Failure;

/// Looks at the members that events ask for come no closer together than this: others cause most events.
const PAUSE: Duration = Duration::from_millis(100);
/// So many stamps are written before the driver would take over.
const STAMPS: u32 = 8;

/// What the controller of such an aggregate has besides.
#[derive(Debug)]
pub(super) struct DriverFollower {
    stamper: Stamper,
    /// The limit that the programs have.
    limit: Duration,
    /// When to look for members that came or went, if events may mean that.
    due: Option<Instant>,
    looked: Instant,
}

impl DriverFollower {
    /// Begins to stamp; `None` in another wiring.
    pub fn begin(executor: &Executor, config: &AggregateConfig) -> Result<Option<Self>, Failure> {
        if config.wiring.has_pair() {
            return Ok(None);
        }
        let stamper = executor.dataplane.stamper()?;
        let mut over = Self { stamper, limit: Duration::ZERO, due: None, looked: Instant::now() };
        over.stamp(config)?;
        Ok(Some(over))
    }

    fn stamp(&mut self, config: &AggregateConfig) -> Result<(), DataplaneError> {
        let limit = limit(config);
        if self.limit != limit {
            self.stamper.set_limit(limit)?;
            self.limit = limit;
        }
        self.stamper.stamp()
    }
}

/// The port that the driver has active, in wiring `over` and where one carries everything.
pub(super) fn active(netlink: &mut Netlink, record: &Record) -> Result<Option<PortId>, KernelError> {
    if record.config.wiring.has_pair() {
        return Ok(None);
    }
    let active = netlink.link(record.index)?.and_then(|link| link.driver?.active);
    Ok(record.ports.iter().find(|port| active.is_some() && port.index == active).map(|port| port.id))
}

/// After how long the driver chooses.
fn limit(config: &AggregateConfig) -> Duration {
    Duration::from_millis(config.dead_after_ms.into())
}

/// When to stamp; never in another wiring.
pub(super) struct StampTimer(Option<Interval>);

impl StampTimer {
    pub fn of(config: &AggregateConfig) -> Self {
        Self((!config.wiring.has_pair()).then(|| {
            let mut interval = tokio::time::interval(limit(config) / STAMPS);
            interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
            interval
        }))
    }

    /// May be given up and called again.
    pub async fn tick(&mut self) {
        match &mut self.0 {
            Some(interval) => drop(interval.tick().await),
            None => pending().await,
        }
    }
}

impl Controller {
    /// Tells the programs that a controller is at work.
    pub(super) fn stamp(&mut self) {
        if let Some(over) = &mut self.over
            && let Err(error) = over.stamp(&self.record.config)
        {
            warn!(%error, "cannot tell the programs that a controller is at work: the driver chooses the port");
        }
    }

    /// Tells the engine what the driver says of its device.
    pub(super) fn tell_driver(&mut self, aggregate: &Link) {
        if let Some(state) = aggregate.driver.filter(|_| self.over.is_some()) {
            self.feed(Event::Driver(state));
        }
    }

    /// An event may mean that a member came or went.
    pub(super) fn suspect_members(&mut self) {
        if let Some(over) = &mut self.over {
            over.due.get_or_insert((over.looked + PAUSE).max(Instant::now()));
        }
    }

    /// When [`Controller::follow_members`] is to be called, if it is.
    pub(super) fn members_due(&self) -> Option<Instant> {
        self.over.as_ref().and_then(|over| over.due)
    }

    /// Takes in members that the driver gained, and gives up those that it lost.
    pub(super) fn follow_members(&mut self) {
        let Some(over) = &mut self.over else { return };
        (over.due, over.looked) = (None, Instant::now());
        let links = match self.executor.netlink.links() {
            Ok(links) => links.into_iter().map(|link| (link.index, link)).collect(),
            Err(error) => {
                warn!(%error, "cannot look for the members of the driver's device");
                return;
            }
        };
        let MemberChanges { joined, left } = plan::follow(&Host { links, ..Host::default() }, &self.record);
        for id in left {
            info!(port = id.0, "the driver let a port go");
            if let Err(error) = self.give_up(id) {
                warn!(%error, "cannot give up a port that the driver let go");
            }
        }
        for port in joined {
            info!(port = port.config.name, "the driver has a new port");
            if let Err(error) = self.take_in_member(port) {
                warn!(%error, "cannot take in a port that the driver has");
            }
        }
    }

    /// Begins to use a new member. Nothing about it is changed.
    fn take_in_member(&mut self, port: PortRecord) -> Result<(), Failure> {
        let (id, index, member) = (port.id, port.index, member(&port));
        self.change_record(|record| {
            record.config.ports.push(port.config.clone());
            record.ports.push(port);
        });
        self.try_feed(Event::PortAdded(member))?;
        if let Some(index) = index {
            self.query(id, index);
        }
        Ok(())
    }
}
