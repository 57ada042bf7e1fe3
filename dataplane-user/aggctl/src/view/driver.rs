//! Wiring `over`: the driver whose device the aggregate is, and who chooses the port at present.

use std::time::Duration;

use aggctl_common::Ports;
use aggctl_engine::{driver::DriverState, host::Link, record::Record};
use aggctl_kernel::dataplane::Dataplane;
use serde::Serialize;

/// The driver.
#[derive(Debug, Serialize)]
pub struct DriverView {
    /// The kind of its device: `bond` or `team`; null if that is gone.
    pub kind: Option<String>,
    /// How it chooses the port where we do not; null if the device is gone.
    pub mode: Option<String>,
    /// Who chooses the port of a frame: `aggctl` or `driver`.
    pub decides: &'static str,
    /// Why it is the driver, if it is.
    pub why: Option<String>,
    /// How long ago a controller was last at work, milliseconds; null if none was.
    pub stamp_age_ms: Option<u64>,
}

impl DriverView {
    /// What is to be said of the driver; `None` in another wiring.
    pub(super) fn of(record: &Record, interface: Option<&Link>, dataplane: &Dataplane, table: &Ports) -> Option<Self> {
        if record.config.wiring.has_pair() {
            return None;
        }
        let age = dataplane.stamp_age().unwrap_or_default();
        let driver = interface.and_then(|link| link.driver);
        let why = why_driver(record, driver, age, table);
        Some(Self {
            kind: interface.map(|link| link.kind.clone()),
            mode: driver.map(|driver| driver.mode_name().to_owned()),
            decides: if why.is_some() { "driver" } else { "aggctl" },
            why,
            stamp_age_ms: age.map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
        })
    }

    /// A line for people.
    pub(super) fn line(&self) -> String {
        let of = [self.kind.as_deref(), self.mode.as_deref()].into_iter().flatten().collect::<Vec<_>>().join(" ");
        match &self.why {
            Some(why) => format!("driver {of}; the port is chosen by the DRIVER: {why}"),
            None => format!("driver {of}; the port is chosen by aggctl"),
        }
    }
}

/// Why the programs leave the choice to the driver, if they do.
fn why_driver(record: &Record, driver: Option<DriverState>, age: Option<Duration>, table: &Ports) -> Option<String> {
    let limit = Duration::from_millis(record.config.dead_after_ms.into());
    let unfit = driver.and_then(|driver| driver.check(&record.config.name, record.config.mode).err());
    match (age, driver) {
        (_, None) => Some("its device is gone".to_owned()),
        (None, _) => Some("no controller was at work yet".to_owned()),
        (Some(age), _) if age > limit => {
            Some(format!("no controller was at work for {} ms (dead-after {} ms)", age.as_millis(), limit.as_millis()))
        }
        (Some(_), Some(_)) => {
            unfit.map(|unfit| unfit.to_string()).or_else(|| (table.usable == 0).then(|| "no port is usable".to_owned()))
        }
    }
}
