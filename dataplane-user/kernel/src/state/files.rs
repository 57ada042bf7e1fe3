//! Files that readers see whole: the old one or the new one.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FallocateFlags, fallocate},
    io::Errno,
};
use serde::{Serialize, de::DeserializeOwned};

use super::{StateError, error::failed};

/// What the file holds; `None` if it is not there.
pub(super) fn read_octets(path: &Path) -> Result<Option<Vec<u8>>, StateError> {
    match fs::read(path) {
        Ok(octets) => Ok(Some(octets)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", path)(error)),
    }
}

/// As [`read_octets`], of JSON.
pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, StateError> {
    let parse = |octets: Vec<u8>| serde_json::from_slice(&octets);
    let content = |source| StateError::Content { path: path.to_owned(), source };
    read_octets(path)?.map(parse).transpose().map_err(content)
}

/// Replaces the file, in one step.
pub(super) fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), StateError> {
    let bytes = serde_json::to_vec(value).map_err(|source| StateError::Content { path: path.to_owned(), source })?;
    replace(path, &bytes)
}

/// Replaces the file, in one step. What was reserved for it is used.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), StateError> {
    let new = successor(path);
    let written = open(&new)
        .and_then(|file| file.write_all_at(bytes, 0).and_then(|()| file.set_len(bytes.len() as u64)))
        .map_err(failed("write", &new))
        .and_then(|()| fs::rename(&new, path).map_err(failed("replace", path)));
    if written.is_err() {
        // A part of it is of no use, and takes room that others may need.
        let _ = fs::remove_file(&new);
    }
    written
}

/// Makes sure that [`replace`] can write this many octets, whatever others do meanwhile. Where the file system knows no
/// such thing, nothing is reserved.
pub(super) fn reserve(path: &Path, octets: u64) -> Result<(), StateError> {
    let new = successor(path);
    let reserved = open(&new).and_then(|file| match fallocate(&file, FallocateFlags::empty(), 0, octets) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
        other => other.map_err(io::Error::from),
    });
    if reserved.is_err() {
        let _ = fs::remove_file(&new);
    }
    reserved.map_err(failed("reserve room for", path))
}

/// Overwrites a short file where it is, which takes no further room. The text must always have the same length: then a
/// reader, or whoever comes after the death of this process, finds the old text or the new one.
pub(super) fn overwrite(path: &Path, text: &str) -> Result<(), StateError> {
    match OpenOptions::new().write(true).open(path) {
        Ok(file) if file.metadata().is_ok_and(|file| file.len() == text.len() as u64) => {
            file.write_all_at(text.as_bytes(), 0).map_err(failed("write", path))
        }
        _ => replace(path, text.as_bytes()),
    }
}

/// Which file is there, and which content it has, without looking into it: another file or a later change has another
/// stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileVersion {
    inode: u64,
    octets: u64,
    changed: (i64, i64),
}

/// The stamp of a file; `None` if it is not there.
pub(super) fn stamp(path: &Path) -> Option<FileVersion> {
    let file = fs::metadata(path).ok()?;
    Some(FileVersion { inode: file.ino(), octets: file.len(), changed: (file.mtime(), file.mtime_nsec()) })
}

/// Where the next version of a file is written.
fn successor(path: &Path) -> PathBuf {
    path.with_extension("new")
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_reserved_is_used_and_leaves_nothing_behind() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("record.json");
        reserve(&path, 64 * 1024).unwrap();
        replace(&path, b"short").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"short");
        replace(&path, b"s").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"s");
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_cannot_be_replaced_stays_as_it_was() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("there").join("record.json");
        assert!(replace(&path, b"x").is_err());
        fs::create_dir(place.path().join("there")).unwrap();
        replace(&path, b"old").unwrap();
        // Nothing can be written where a directory is.
        fs::create_dir(path.with_extension("new")).unwrap();
        assert!(replace(&path, b"new").is_err());
        assert_eq!(fs::read(&path).unwrap(), b"old");
    }

    #[test]
    fn a_text_of_the_same_length_stays_in_its_file() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("begun");
        overwrite(&path, "  1\n").unwrap();
        let first = stamp(&path).unwrap();
        overwrite(&path, " 12\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), " 12\n");
        assert_eq!(stamp(&path).unwrap().inode, first.inode);
        fs::write(&path, "").unwrap();
        overwrite(&path, " 13\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), " 13\n");
    }

    #[test]
    fn a_file_that_others_changed_has_another_stamp() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("record.json");
        assert_eq!(stamp(&path), None);
        replace(&path, b"ours").unwrap();
        let ours = stamp(&path);
        assert_eq!(ours, stamp(&path));
        fs::write(&path, b"").unwrap();
        assert_ne!(ours, stamp(&path));
    }
}
