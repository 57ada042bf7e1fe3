//! The drop counters.

use aggctl_common::{DropReason, MAX_PORTS, PortId};
use aya::maps::{Map, MapData, PerCpuArray, PerCpuValues};

use super::{
    error::DataplaneError,
    maps,
    pins::{self, Pins},
};

/// Frames that the programs dropped for one reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DropCount {
    /// The port that received them; `None`: the host sent them.
    pub port: Option<PortId>,
    /// The reason.
    pub reason: DropReason,
    /// How many, since the port joined.
    pub packets: u64,
}

/// All counters that are not zero.
pub(super) fn read(pins: &Pins) -> Result<Vec<DropCount>, DataplaneError> {
    let counters = open(pins)?;
    #[allow(clippy::cast_possible_truncation, reason = "MAX_PORTS is 64")]
    let sources = (0..MAX_PORTS as u8).map(|slot| Some(PortId(slot))).chain([None]);
    let mut counts = Vec::new();
    for port in sources {
        for reason in DropReason::ALL {
            let index = port.map_or_else(|| reason.sent(), |port| reason.received_on(port));
            let each = counters.get(&index, 0).map_err(|error| DataplaneError::map(pins::DROPS, "read", error))?;
            let packets = each.iter().copied().fold(0, u64::wrapping_add);
            if packets != 0 {
                counts.push(DropCount { port, reason, packets });
            }
        }
    }
    Ok(counts)
}

/// Starts the counters of a slot from zero.
pub(super) fn reset(pins: &Pins, port: PortId) -> Result<(), DataplaneError> {
    let mut counters = open(pins)?;
    for reason in DropReason::ALL {
        let index = reason.received_on(port);
        let each = counters.get(&index, 0).map_err(|error| DataplaneError::map(pins::DROPS, "read", error))?;
        let zero = PerCpuValues::try_from(vec![0; each.len()])
            .map_err(|error| DataplaneError::map(pins::DROPS, "reset", error))?;
        counters.set(index, zero, 0).map_err(|error| DataplaneError::map(pins::DROPS, "reset", error))?;
    }
    Ok(())
}

fn open(pins: &Pins) -> Result<PerCpuArray<MapData, u64>, DataplaneError> {
    let data = maps::open(pins, pins::DROPS)?;
    PerCpuArray::try_from(Map::PerCpuArray(data)).map_err(|error| DataplaneError::map(pins::DROPS, "open", error))
}
