//! What is held open so that the data path does not depend on the pins: each map, program and link of an aggregate.
//! While a process holds them, programs go on although the bpffs was unmounted or files in it were removed, and they
//! can be pinned again.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fs, io,
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::fs::DirEntryExt as _,
    },
    path::Path,
};

use super::{
    bpf,
    error::DataplaneError,
    pins::{self, Pins},
};

/// The pins of an aggregate, held open.
#[derive(Debug, Default)]
pub struct OpenPins {
    /// Maps, programs and links, by the names of their pins.
    objects: BTreeMap<OsString, Object>,
    /// Directories that say something by their names.
    marks: BTreeSet<OsString>,
}

#[derive(Debug)]
struct Object {
    fd: OwnedFd,
    /// The number of its pin in the bpffs: that of another pin differs.
    inode: u64,
}

impl OpenPins {
    /// Opens all that is pinned.
    pub(super) fn take(pins: &Pins) -> Result<Self, DataplaneError> {
        let mut held = Self::default();
        for (name, inode, is_mark) in entries(pins.dir()).map_err(|error| unread(pins, error))? {
            let path = pins.dir().join(&name);
            if name.as_encoded_bytes().starts_with(pins::RECORD.as_bytes()) {
                // Whoever writes the record sees to its copies.
            } else if is_mark {
                held.marks.insert(name);
            } else if let Some(fd) = bpf::open_pin(&path).map_err(|error| DataplaneError::pin(path, "open", error))? {
                held.objects.insert(name, Object { fd, inode });
            }
        }
        Ok(held)
    }

    /// The names of the pins that are not there any more. One directory is read for it.
    pub(super) fn lost(&self, pins: &Pins) -> Result<Vec<String>, DataplaneError> {
        let there = match entries(pins.dir()) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(unread(pins, error)),
        };
        let there: BTreeMap<_, _> = there.into_iter().map(|(name, inode, is_mark)| (name, (inode, is_mark))).collect();
        let objects = self.objects.iter().filter(|(name, object)| there.get(*name) != Some(&(object.inode, false)));
        let marks = self.marks.iter().filter(|name| there.get(*name).is_none_or(|(_, is_mark)| !is_mark));
        Ok(objects.map(|(name, _)| name).chain(marks).map(|name| name.to_string_lossy().into_owned()).collect())
    }

    /// Pins again what is not there any more.
    pub(super) fn pin_again(&mut self, pins: &Pins) -> Result<(), DataplaneError> {
        if !pins::is_in_bpffs(pins.dir())? {
            return Err(DataplaneError::NoBpffs(pins.dir().into()));
        }
        pins::make_mark(pins.dir())?;
        for name in &self.marks {
            pins::make_mark(&pins.dir().join(name))?;
        }
        let lost = self.lost(pins)?;
        for (name, object) in self.objects.iter().filter(|(name, _)| lost.iter().any(|lost| **name == **lost)) {
            let path = pins.dir().join(name);
            // What somebody else may have put there.
            pins::unpin(&path)?;
            bpf::pin(object.fd.as_fd(), &path).map_err(|error| DataplaneError::pin(&path, "pin again", error))?;
        }
        for (name, inode, _) in entries(pins.dir()).map_err(|error| unread(pins, error))? {
            if let Some(object) = self.objects.get_mut(&name) {
                object.inode = inode;
            }
        }
        Ok(())
    }
}

/// Name, number, and whether it is a directory, of each entry of a directory.
fn entries(dir: &Path) -> io::Result<Vec<(OsString, u64, bool)>> {
    let entry = |entry: io::Result<fs::DirEntry>| {
        let entry = entry?;
        Ok((entry.file_name(), entry.ino(), entry.file_type()?.is_dir()))
    };
    fs::read_dir(dir)?.map(entry).collect()
}

fn unread(pins: &Pins, error: io::Error) -> DataplaneError {
    DataplaneError::pin(pins.dir(), "read", error)
}
