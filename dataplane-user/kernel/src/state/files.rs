//! Files that readers see whole: the old one or the new one.

use std::{fs, io, path::Path};

use serde::{Serialize, de::DeserializeOwned};

use super::{StateError, error::failed};

/// What the file holds; `None` if it is not there.
pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, StateError> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|source| StateError::Content { path: path.to_owned(), source }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", path)(error)),
    }
}

/// Replaces the file, in one step.
pub(super) fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), StateError> {
    let bytes = serde_json::to_vec(value).map_err(|source| StateError::Content { path: path.to_owned(), source })?;
    let new = path.with_extension("new");
    fs::write(&new, bytes).map_err(failed("write", &new))?;
    fs::rename(&new, path).map_err(failed("replace", path))
}
