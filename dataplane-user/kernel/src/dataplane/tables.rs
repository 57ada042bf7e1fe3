//! The tables by which traffic is spread over several ports: what programs read for each frame, in a map of two
//! [`double_buffer`], and the orders of ports, each a map that is filled before it takes the place of the one that the
//! programs read.

use std::{io, os::fd::AsFd as _};

use aggctl_common::spread::{self, MAX_FALLBACKS, Rotation};
use aggctl_engine::settings::Settings;
use aya::maps::MapInfo;

use super::{
    bpf::{self, MapShape},
    double_buffer::{DoubleBuffer, Layout},
    error::{DataplaneError, is_not_found},
    maps,
    pins::{self, Pins},
};

/// What the maps are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct TableShapes {
    layout: Layout,
    /// Octets of a side of the table, and how many orders there are.
    each: u32,
}

impl TableShapes {
    fn of(settings: &Settings) -> Self {
        let (has_buckets, each) = settings.table().unwrap_or((false, settings.buckets));
        Self { layout: if has_buckets { Layout::Paired } else { Layout::Apart }, each }
    }

    /// The map of both sides.
    const fn table(self) -> MapShape {
        MapShape::shared(spread::double_buffer::octets(self.each))
    }

    /// A map of orders.
    #[allow(clippy::cast_possible_truncation, reason = "64")]
    const fn fallback_orders(self) -> MapShape {
        MapShape::array(MAX_FALLBACKS as u32, self.each)
    }

    /// The name of the mark that says so.
    const fn mark(self) -> [u32; 2] {
        [matches!(self.layout, Layout::Paired) as u32, self.each]
    }
}

/// Whether the pinned maps are for these settings.
pub(super) fn are_for(pins: &Pins, settings: &Settings) -> Result<bool, DataplaneError> {
    for name in [pins::TABLE, pins::ROWS] {
        match MapInfo::from_pin(pins.map(name)) {
            Ok(_) => {}
            Err(error) if is_not_found(&error) => return Ok(false),
            Err(error) => return Err(DataplaneError::map(name, "open", error)),
        }
    }
    Ok(pins.tables_mark(TableShapes::of(settings).mark()).is_dir())
}

/// Makes and pins the maps, with nothing published, unless those that are there are for these settings. Programs that
/// are attached go on with theirs until they are attached again.
pub(super) fn create(pins: &Pins, settings: &Settings) -> Result<(), DataplaneError> {
    if are_for(pins, settings)? {
        return Ok(());
    }
    pins.remove_marks("tables-")?;
    let shapes = TableShapes::of(settings);
    maps::replace(pins, pins::TABLE, || bpf::create_map("TABLE", shapes.table(), None))?;
    maps::replace(pins, pins::ROWS, || {
        let like = bpf::create_map("ROWS", shapes.fallback_orders(), None)?;
        bpf::create_outer("ROWS", like.as_fd())
    })?;
    pins::make_mark(&pins.tables_mark(shapes.mark()))
}

/// Makes the programs use these orders of ports.
pub(super) fn publish_fallback_orders(
    pins: &Pins,
    settings: &Settings,
    fallback_orders: &[[u8; MAX_FALLBACKS]],
) -> Result<(), DataplaneError> {
    let shape = TableShapes::of(settings).fallback_orders();
    if fallback_orders.len() != shape.entries as usize {
        return Err(DataplaneError::Table { map: pins::ROWS, expected: shape.entries, found: fallback_orders.len() });
    }
    let failed = |call| move |error: io::Error| DataplaneError::map(pins::ROWS, call, error);
    let inner = bpf::create_map("ROWS", shape, None).map_err(failed("make"))?;
    bpf::update_first(inner.as_fd(), fallback_orders).map_err(failed("fill"))?;
    let outer = maps::open(pins, pins::ROWS)?;
    bpf::update(outer.fd().as_fd(), 0, &bpf::number(inner.as_fd()).to_ne_bytes()).map_err(failed("publish"))
}

/// Makes the programs use this table of buckets.
pub(super) fn publish_buckets(pins: &Pins, settings: &Settings, table: &[u8]) -> Result<(), DataplaneError> {
    let TableShapes { layout, each } = TableShapes::of(settings);
    if table.len() != each as usize {
        return Err(DataplaneError::Table { map: pins::TABLE, expected: each, found: table.len() });
    }
    DoubleBuffer::open(pins, layout, each)?.publish(table)
}

/// Makes the programs use this rotation.
pub(super) fn publish_rotation(pins: &Pins, settings: &Settings, rotation: &Rotation) -> Result<(), DataplaneError> {
    publish_buckets(pins, settings, bytemuck::bytes_of(rotation))
}

/// The table of buckets that is published.
pub(super) fn buckets(pins: &Pins, settings: &Settings) -> Result<Option<Vec<u8>>, DataplaneError> {
    let TableShapes { layout, each } = TableShapes::of(settings);
    Ok(DoubleBuffer::open(pins, layout, each)?.published())
}

/// The order of ports of a bucket that is published.
pub(super) fn order(pins: &Pins, bucket: u32) -> Result<Option<[u8; MAX_FALLBACKS]>, DataplaneError> {
    let outer = maps::open(pins, pins::ROWS)?;
    let mut order = [0; MAX_FALLBACKS];
    match bpf::inner(outer.fd().as_fd(), 0).and_then(|inner| bpf::read(inner.as_fd(), bucket, &mut order)) {
        Ok(()) => Ok(Some(order)),
        Err(error) if is_not_found(&error) => Ok(None),
        Err(error) => Err(DataplaneError::map(pins::ROWS, "read", error)),
    }
}

/// The rotation that is published.
pub(super) fn rotation(pins: &Pins, settings: &Settings) -> Result<Option<Rotation>, DataplaneError> {
    Ok(buckets(pins, settings)?.and_then(|octets| bytemuck::try_pod_read_unaligned(&octets).ok()))
}
