//! Making all maps of an aggregate.

use aggctl_engine::settings::Settings;

use super::{
    bound,
    error::DataplaneError,
    maps::{self, MapsCondition},
    object,
    pins::{self, Pins},
    stamp, tables,
};

/// Makes and pins the maps. Good ones stay as they are; others are replaced by empty ones, which programs that are
/// attached already do not see until they are attached again.
pub(super) fn create(pins: &Pins, settings: &Settings) -> Result<(), DataplaneError> {
    if maps::condition(pins)? == MapsCondition::Good {
        create_apart(pins, settings)?;
        return tables::create(pins, settings);
    }
    if !pins::is_in_bpffs(pins.dir())? {
        return Err(DataplaneError::NoBpffs(pins.dir().into()));
    }
    maps::unpin(pins)?;
    pins::make_mark(pins.dir())?;
    pins.remove_marks("layout-")?;
    create_apart(pins, settings)?;
    tables::create(pins, settings)?;
    maps::PORTS.create(pins)?;
    // Makes and pins the others.
    object::load(pins, settings, None, None)?;
    // Last, so that maps of an interrupted start are made again.
    pins::make_mark(&pins.layout_mark())
}

/// The maps whose shape is judged apart from that of the others.
fn create_apart(pins: &Pins, settings: &Settings) -> Result<(), DataplaneError> {
    if settings.over {
        stamp::MAP.ensure(pins)?;
    }
    bound::MAP.ensure(pins)
}
