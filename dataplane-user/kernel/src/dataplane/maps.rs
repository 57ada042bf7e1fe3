//! The maps, each by itself: made, pinned, and compared with the shape that it must have.

use std::{
    io,
    os::fd::{AsFd as _, OwnedFd},
};

use aggctl_common::{DropReason, PortsMap};
use aya::maps::{MapData, MapInfo, MapType};

use super::{
    bpf::{self, MapShape},
    error::{DataplaneError, is_not_found},
    pins::{self, Pins},
};

/// A map with one value, which processes can map into their memory.
#[derive(Debug)]
pub(super) struct SharedMap {
    pin: &'static str,
    name: &'static str,
    octets: u32,
}

impl SharedMap {
    /// One with a value of type `T`, pinned as `pin`, which the kernel calls `name`.
    #[allow(clippy::cast_possible_truncation, reason = "sizes of values are small constants")]
    pub(super) const fn of<T>(pin: &'static str, name: &'static str) -> Self {
        Self { pin, name, octets: size_of::<T>() as u32 }
    }

    const fn shape(&self) -> MapShape {
        MapShape::shared(self.octets)
    }

    /// Whether the map is pinned and has the shape that it must have.
    pub(super) fn is_good(&self, pins: &Pins) -> Result<bool, DataplaneError> {
        Ok(found(pins, self.pin)? == Some(self.shape()))
    }

    /// Makes and pins the map, with nothing in it.
    pub(super) fn create(&self, pins: &Pins) -> Result<(), DataplaneError> {
        replace(pins, self.pin, || bpf::create_map(self.name, self.shape(), None))
    }

    /// The same, unless it is there and good.
    pub(super) fn ensure(&self, pins: &Pins) -> Result<(), DataplaneError> {
        if self.is_good(pins)? { Ok(()) } else { self.create(pins) }
    }
}

/// The table of ports.
pub(super) const PORTS: SharedMap = SharedMap::of::<PortsMap>(pins::PORTS, "PORTS");

/// What each map must look like. The same table for people is in docs/maps.md.
const SHAPES: [(&str, MapShape); 3] = [
    (pins::PORTS, PORTS.shape()),
    (pins::DROPS, MapShape { kind: MapType::PerCpuArray, ..MapShape::array(8, DropReason::COUNTERS) }),
    (pins::TURN, MapShape { kind: MapType::PerCpuArray, ..MapShape::array(4, 1) }),
];

/// The state of the pinned maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MapsCondition {
    /// As they must be.
    Good,
    /// This one is not there.
    Missing(&'static str),
    /// This one has another shape, or all have another layout.
    Different(&'static str),
}

/// Compares the pinned maps with what this version needs.
pub(super) fn condition(pins: &Pins) -> Result<MapsCondition, DataplaneError> {
    for (name, shape) in &SHAPES {
        match found(pins, name)? {
            Some(found) if found == *shape => {}
            Some(_) => return Ok(MapsCondition::Different(name)),
            None => return Ok(MapsCondition::Missing(name)),
        }
    }
    Ok(if pins.layout_mark().is_dir() { MapsCondition::Good } else { MapsCondition::Different("layout") })
}

/// The shape of the map that is pinned by this name, if one is.
fn found(pins: &Pins, name: &'static str) -> Result<Option<MapShape>, DataplaneError> {
    match MapInfo::from_pin(pins.map(name)) {
        Ok(info) => shape_of(name, &info).map(Some),
        Err(error) if is_not_found(&error) => Ok(None),
        Err(error) => Err(DataplaneError::map(name, "open", error)),
    }
}

/// Removes the pins of the maps. The maps stay in use by the programs that have them, and go with the last of those.
pub(super) fn unpin(pins: &Pins) -> Result<(), DataplaneError> {
    SHAPES.iter().try_for_each(|(name, _)| pins::unpin(&pins.map(name)))
}

/// Makes a map and pins it in the place of the one that is pinned by that name, if there is one.
pub(super) fn replace(
    pins: &Pins,
    name: &'static str,
    make: impl FnOnce() -> io::Result<OwnedFd>,
) -> Result<(), DataplaneError> {
    let failed = |call| move |error: io::Error| DataplaneError::map(name, call, error);
    let map = make().map_err(failed("make"))?;
    let (path, fresh) = (pins.map(name), pins.map(&format!("{name}-new")));
    pins::unpin(&fresh)?;
    bpf::pin(map.as_fd(), &fresh).map_err(failed("pin"))?;
    pins::rename(&fresh, &path)
}

/// Opens a pinned map.
pub(super) fn open(pins: &Pins, name: &'static str) -> Result<MapData, DataplaneError> {
    MapData::from_pin(pins.map(name)).map_err(|error| DataplaneError::map(name, "open", error))
}

/// The kernel's number of a pinned map.
pub(super) fn id(pins: &Pins, name: &'static str) -> Result<u32, DataplaneError> {
    MapInfo::from_pin(pins.map(name)).map(|info| info.id()).map_err(|error| DataplaneError::map(name, "open", error))
}

fn shape_of(name: &'static str, info: &MapInfo) -> Result<MapShape, DataplaneError> {
    Ok(MapShape {
        kind: info.map_type().map_err(|error| DataplaneError::map(name, "type", error))?,
        key: info.key_size(),
        value: info.value_size(),
        entries: info.max_entries(),
        flags: info.map_flags(),
    })
}
