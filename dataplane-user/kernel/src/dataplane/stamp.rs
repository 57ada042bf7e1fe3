//! The stamp of wiring `over`: when a controller was last at work, for programs that leave the choice to the driver if
//! that is too long ago.

use std::{io, os::fd::AsFd as _, time::Duration};

use aggctl_common::Stamp;
use aya::{Ebpf, TestRun as _, TestRunOptions, programs::SchedClassifier};
use rustix::time::{ClockId, clock_getres, clock_gettime};

use super::{
    bpf,
    error::DataplaneError,
    maps::{self, SharedMap},
    object,
    pins::{self, Pins},
};

/// The map.
pub(super) const MAP: SharedMap = SharedMap::of::<Stamp>(pins::STAMP, "STAMP");
/// Octets of the frame that the program is run with, which the kernel wants and the program does not look at.
const FRAME: [u8; 14] = [0; 14];

/// The stamp as it is now.
pub(super) fn read(pins: &Pins) -> Result<Stamp, DataplaneError> {
    let mut stamp = Stamp::NEVER;
    let map = maps::open(pins, pins::STAMP)?;
    bpf::read(map.fd().as_fd(), 0, bytemuck::bytes_of_mut(&mut stamp)).map_err(|error| failed("read", error))?;
    Ok(stamp)
}

/// How long ago the stamp was written; `None`: never.
#[must_use]
pub fn age(stamp: &Stamp) -> Option<Duration> {
    let now = clock_gettime(ClockId::Monotonic);
    let now =
        u64::try_from(now.tv_sec).unwrap_or_default() * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or_default();
    (stamp.at != 0).then(|| Duration::from_nanos(now.saturating_sub(stamp.at)))
}

/// Writes the stamp: a program in the kernel that is attached nowhere.
#[derive(Debug)]
pub struct Stamper {
    object: Ebpf,
    pins: Pins,
}

impl Stamper {
    pub(super) fn load(mut object: Ebpf, pins: &Pins) -> Result<Self, DataplaneError> {
        object::program(&mut object, aggctl_common::programs::STAMP)?;
        Ok(Self { object, pins: pins.clone() })
    }

    /// From now on the driver chooses so long after a stamp; rounded up to ticks of the kernel's clock.
    ///
    /// # Errors
    ///
    /// If the kernel refuses.
    pub fn set_limit(&self, limit: Duration) -> Result<(), DataplaneError> {
        let map = maps::open(&self.pins, pins::STAMP)?;
        let stamp = Stamp { limit: ticks(limit), ..read(&self.pins)? };
        bpf::update(map.fd().as_fd(), 0, bytemuck::bytes_of(&stamp)).map_err(|error| failed("write", error))
    }

    /// Says that a controller is at work now.
    ///
    /// # Errors
    ///
    /// If the kernel refuses.
    pub fn stamp(&mut self) -> Result<(), DataplaneError> {
        let program: &mut SchedClassifier = object::named(&mut self.object, aggctl_common::programs::STAMP)?;
        let options = TestRunOptions { data_in: Some(&FRAME), ..TestRunOptions::new() };
        let run = program.test_run(options);
        run.map(drop).map_err(|error| DataplaneError::program(aggctl_common::programs::STAMP, "run", error))
    }
}

/// A time in jiffies. CLOCK_MONOTONIC_COARSE is counted up with them, so its resolution is that of one.
fn ticks(time: Duration) -> u64 {
    let tick = clock_getres(ClockId::MonotonicCoarse);
    let tick = u128::try_from(tick.tv_nsec).unwrap_or_default().max(1);
    u64::try_from(time.as_nanos().div_ceil(tick)).unwrap_or(u64::MAX)
}

fn failed(call: &'static str, error: io::Error) -> DataplaneError {
    DataplaneError::map(pins::STAMP, call, error)
}
