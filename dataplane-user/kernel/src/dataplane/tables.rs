//! The tables by which traffic is spread over several ports. Each is an inner map, which is filled before it takes the place
//! of the one that the programs read.

use std::{
    io,
    os::fd::{AsFd as _, BorrowedFd},
};

use aggctl_common::spread::{Cycle, ROW};
use aggctl_engine::settings::Settings;
use aya::maps::MapInfo;
use aya_obj::generated::bpf_map_type::{BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_ARRAY_OF_MAPS};

use super::{
    bpf::{self, Form},
    error::{DataplaneError, is_not_found},
    maps,
    pins::{self, Pins},
};

/// What the inner maps look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Forms {
    table: Form,
    rows: Form,
    /// The name of the mark that says so.
    mark: [u32; 2],
}

impl Forms {
    fn of(settings: &Settings) -> Self {
        let (has_buckets, buckets) = settings.table().unwrap_or((false, settings.buckets));
        #[allow(clippy::cast_possible_truncation, reason = "64")]
        Self {
            table: Form { kind: BPF_MAP_TYPE_ARRAY, value: buckets, entries: 1 },
            rows: Form { kind: BPF_MAP_TYPE_ARRAY, value: ROW as u32, entries: buckets },
            mark: [u32::from(has_buckets), buckets],
        }
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
    Ok(pins.tables_mark(Forms::of(settings).mark).is_dir())
}

/// Makes and pins the outer maps, without tables, unless those that are there are for these settings. Programs that are
/// attached go on with theirs until they are attached again.
pub(super) fn create(pins: &Pins, settings: &Settings) -> Result<(), DataplaneError> {
    if are_for(pins, settings)? {
        return Ok(());
    }
    pins.remove_marks("tables-")?;
    let forms = Forms::of(settings);
    for (name, inner) in [(pins::TABLE, forms.table), (pins::ROWS, forms.rows)] {
        let failed = |call| move |error: io::Error| DataplaneError::map(name, call, error);
        let like = bpf::create_map(inner, None).map_err(failed("make"))?;
        let outer = Form { kind: BPF_MAP_TYPE_ARRAY_OF_MAPS, value: 4, entries: 1 };
        let outer = bpf::create_map(outer, Some(like.as_fd())).map_err(failed("make"))?;
        let (path, fresh) = (pins.map(name), pins.map(&format!("{name}-new")));
        pins::unpin(&fresh)?;
        bpf::pin(outer.as_fd(), &fresh).map_err(failed("pin"))?;
        pins::rename(&fresh, &path)?;
    }
    pins::make_mark(&pins.tables_mark(forms.mark))
}

/// Makes the programs use these orders of ports.
pub(super) fn publish_rows(pins: &Pins, settings: &Settings, rows: &[[u8; ROW]]) -> Result<(), DataplaneError> {
    let form = Forms::of(settings).rows;
    if rows.len() != form.entries as usize {
        return Err(DataplaneError::Table { map: pins::ROWS, expected: form.entries, found: rows.len() });
    }
    publish(pins, pins::ROWS, form, |map| bpf::update_first(map, rows))
}

/// Makes the programs use this table of buckets.
pub(super) fn publish_buckets(pins: &Pins, settings: &Settings, table: &[u8]) -> Result<(), DataplaneError> {
    let form = Forms::of(settings).table;
    if table.len() != form.value as usize {
        return Err(DataplaneError::Table { map: pins::TABLE, expected: form.value, found: table.len() });
    }
    publish(pins, pins::TABLE, form, |map| bpf::update(map, 0, table))
}

/// Makes the programs use this cycle.
pub(super) fn publish_cycle(pins: &Pins, settings: &Settings, cycle: &Cycle) -> Result<(), DataplaneError> {
    publish_buckets(pins, settings, bytemuck::bytes_of(cycle))
}

/// The table of buckets that is published.
pub(super) fn buckets(pins: &Pins, settings: &Settings) -> Result<Option<Vec<u8>>, DataplaneError> {
    let mut table = vec![0; Forms::of(settings).table.value as usize];
    Ok(read(pins, pins::TABLE, 0, &mut table)?.then_some(table))
}

/// The order of ports of a bucket that is published.
pub(super) fn row(pins: &Pins, bucket: u32) -> Result<Option<[u8; ROW]>, DataplaneError> {
    let mut row = [0; ROW];
    Ok(read(pins, pins::ROWS, bucket, &mut row)?.then_some(row))
}

/// The cycle that is published.
pub(super) fn cycle(pins: &Pins, settings: &Settings) -> Result<Option<Cycle>, DataplaneError> {
    Ok(buckets(pins, settings)?.and_then(|octets| bytemuck::try_pod_read_unaligned(&octets).ok()))
}

/// Reads an entry of the inner map that is published; says whether one is.
fn read(pins: &Pins, name: &'static str, key: u32, value: &mut [u8]) -> Result<bool, DataplaneError> {
    let outer = maps::open(pins, name)?;
    let found = bpf::inner(outer.fd().as_fd(), 0).and_then(|inner| bpf::read(inner.as_fd(), key, value));
    match found {
        Ok(()) => Ok(true),
        Err(error) if is_not_found(&error) => Ok(false),
        Err(error) => Err(DataplaneError::map(name, "read", error)),
    }
}

/// Fills an inner map, and puts it in the place of the present one.
fn publish(
    pins: &Pins,
    name: &'static str,
    form: Form,
    fill: impl FnOnce(BorrowedFd<'_>) -> io::Result<()>,
) -> Result<(), DataplaneError> {
    let failed = |call| move |error: io::Error| DataplaneError::map(name, call, error);
    let inner = bpf::create_map(form, None).map_err(failed("make"))?;
    fill(inner.as_fd()).map_err(failed("fill"))?;
    let outer = maps::open(pins, name)?;
    bpf::update(outer.fd().as_fd(), 0, &bpf::number(inner.as_fd()).to_ne_bytes()).map_err(failed("publish"))
}
