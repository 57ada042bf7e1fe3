//! Octets in a pinned map of their own, which no eBPF program reads: they need no room on a disk, and outlive every
//! process.
//!
//! Whoever reads them finds all of what was written at one time: a map is filled, frozen, and only then takes the place
//! of the former one, in one step.

use std::{
    io,
    os::fd::{AsFd as _, OwnedFd},
    path::Path,
};

use aya::maps::{MapData, MapType};

use super::{
    bpf::{self, MapShape},
    error::{DataplaneError, is_not_found},
    pins,
};

/// Pins these octets, in the place of those that are pinned there. The directory must be there. Minimum kernel version:
/// 5.2 (`BPF_MAP_FREEZE`).
///
/// # Errors
///
/// If there are none or too many for a map, or the kernel refuses. What was pinned stays then.
pub(crate) fn replace(path: &Path, octets: &[u8]) -> Result<(), DataplaneError> {
    let failed = |call| move |error| DataplaneError::pin(path, call, error);
    let map = make(octets).map_err(failed("fill a map"))?;
    let fresh = path.with_file_name(format!("{}-new", path.file_name().unwrap_or_default().display()));
    pins::unpin(&fresh)?;
    bpf::pin(map.as_fd(), &fresh).map_err(failed("pin"))?;
    pins::rename(&fresh, path)
}

/// The octets that are pinned there, if any are.
///
/// # Errors
///
/// If it is no such map, or the kernel refuses.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>, DataplaneError> {
    let failed = |error| DataplaneError::pin(path, "read", error);
    let map = match MapData::from_pin(path) {
        Ok(map) => map,
        Err(error) if is_not_found(&error) => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let info = map.info().map_err(failed)?;
    // Values of maps of other kinds may be larger than that size.
    if info.map_type().map_err(failed)? != MapType::Array {
        return Err(DataplaneError::pin(path, "read", io::Error::other("a map of another kind is pinned there")));
    }
    let mut octets = vec![0; usize::try_from(info.value_size()).unwrap_or_default()];
    bpf::read(map.fd().as_fd(), 0, &mut octets).map_err(|error| DataplaneError::pin(path, "read", error))?;
    Ok(Some(octets))
}

/// A map of one value that nobody can change any more.
fn make(octets: &[u8]) -> io::Result<OwnedFd> {
    let value = u32::try_from(octets.len()).map_err(io::Error::other)?;
    let map = bpf::create_map("RECORD", MapShape::array(value, 1), None)?;
    bpf::update(map.as_fd(), 0, octets)?;
    bpf::freeze(map.as_fd())?;
    Ok(map)
}
