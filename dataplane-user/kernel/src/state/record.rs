//! The record: two copies of it on disk, so that one can be lost, how many steps of its journal have begun, and what to
//! read where they differ, or differ from the one in the kernel.

use std::{fs, io, path::Path};

use aggctl_engine::record::{self, Phase, RECORD_VERSION, Record};
use serde_json::Value;

use super::{
    StateError, Store,
    files::{FileVersion, overwrite, read_octets, replace, reserve, stamp},
};

/// The record, below [`Store::dir`].
const RECORD: &str = "record.json";
/// A second copy of it, should the first become unreadable.
const SPARE: &str = "record.spare.json";
/// How many steps of the journal have begun.
const BEGUN: &str = "begun";
/// By how many octets a record may grow while an attach is carried out: what the aggregate has is noted at its end.
const GROWTH: u64 = 16 * 1024;

/// A record that was found.
#[derive(Debug)]
pub struct Found {
    /// The record.
    pub record: Record,
    /// Why it was read from another copy than the first, and from which, if it was.
    pub damage: Option<String>,
}

/// Where the copies of a record were written to, to see whether others changed them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written([Option<FileVersion>; 3]);

/// Whether an aggregate's directory has a record, be it readable or not.
pub(super) fn is_in(dir: &Path) -> bool {
    [RECORD, SPARE].iter().any(|name| dir.join(name).exists())
}

impl Store {
    /// Whether there is a record, be it readable or not.
    pub(super) fn has_record(&self) -> bool {
        is_in(&self.dir()) || self.kept().exists()
    }

    /// The record, if there is one: the latest of its copies that can be read.
    ///
    /// # Errors
    /// If none can be read, or a newer version of aggctl wrote one.
    pub fn find(&self) -> Result<Option<Found>, StateError> {
        let from_kernel = |record: Record, why: String| Found { record, damage: Some(why) };
        let found = match (self.on_disk(), self.kept_record()) {
            (Err(error @ StateError::Newer { .. }), _) | (_, Err(error @ StateError::Newer { .. })) => {
                return Err(error);
            }
            (Ok(Some(found)), Ok(Some(kept))) if kept.sequence > found.record.sequence => {
                from_kernel(kept, "it is older than its copy in the kernel, which was read".to_owned())
            }
            (Ok(Some(found)), _) => found,
            (Ok(None), Ok(None)) => return Ok(None),
            (Ok(None), Ok(Some(kept))) => from_kernel(
                kept,
                format!("{} is gone; its copy in the kernel was read", self.dir().join(RECORD).display()),
            ),
            (Err(error), Ok(Some(kept))) => {
                from_kernel(kept, format!("{error}, nor is there a second copy; its copy in the kernel was read"))
            }
            (Err(error), _) | (Ok(None), Err(error)) => {
                return Err(StateError::Lost { name: self.name.clone(), source: Box::new(error) });
            }
        };
        Ok(Some(Found { record: self.marked(found.record), damage: found.damage }))
    }

    /// The record on disk, if there is one: the second copy if the first cannot be read.
    fn on_disk(&self) -> Result<Option<Found>, StateError> {
        let damage = match read(&self.dir().join(RECORD)) {
            Ok(Some(record)) => return Ok(Some(Found { record, damage: None })),
            Ok(None) => None,
            Err(error @ StateError::Newer { .. }) => return Err(error),
            Err(error) => Some(error),
        };
        match (read(&self.dir().join(SPARE)), damage) {
            (Ok(Some(record)), damage) => {
                let gone = || format!("{} is gone", self.dir().join(RECORD).display());
                let damage = damage.map_or_else(gone, |error| error.to_string());
                Ok(Some(Found { record, damage: Some(format!("{damage}; its second copy was read")) }))
            }
            (Err(error @ StateError::Newer { .. }), _) | (_, Some(error)) | (Err(error), None) => Err(error),
            (Ok(None), None) => Ok(None),
        }
    }

    /// The record of [`Store::find`] alone.
    ///
    /// # Errors
    /// As there.
    pub fn record(&self) -> Result<Option<Record>, StateError> {
        Ok(self.find()?.map(|found| found.record))
    }

    /// Writes down what is about to be done, and makes sure that there is room to write down that it was done.
    ///
    /// # Errors
    /// If there is not.
    pub fn prepare(&self, record: &mut Record) -> Result<(), StateError> {
        self.set_begun(0)?;
        let octets = self.save(record)?;
        for name in [RECORD, SPARE] {
            reserve(&self.dir().join(name), octets + octets / 2 + GROWTH)?;
        }
        Ok(())
    }

    /// Replaces the record on disk, each of its two copies in one step, and counts that. Returns how many octets it
    /// has.
    ///
    /// # Errors
    /// If it cannot be written. Then there may be no second copy, but never one that is older than the first.
    pub fn save(&self, record: &mut Record) -> Result<u64, StateError> {
        record.sequence += 1;
        let (path, spare) = (self.dir().join(RECORD), self.dir().join(SPARE));
        let bytes = serde_json::to_vec(record).map_err(|source| StateError::Content { path: path.clone(), source })?;
        replace(&path, &bytes)?;
        if let Err(error) = replace(&spare, &bytes) {
            let _ = fs::remove_file(&spare);
            return Err(error);
        }
        Ok(bytes.len() as u64)
    }

    /// The copies as they are now, to be compared later.
    #[must_use]
    pub fn written(&self) -> Written {
        let dir = self.dir();
        Written([dir.join(RECORD), dir.join(SPARE), self.kept()].map(|path| stamp(&path)))
    }

    /// Notes that the first `count` steps of the journal have begun. Takes no room after the first time.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn set_begun(&self, count: usize) -> Result<(), StateError> {
        overwrite(&self.dir().join(BEGUN), &format!("{count:>9}\n"))
    }

    /// The record with the steps marked that have begun.
    fn marked(&self, mut record: Record) -> Record {
        let begun = match (begun(&self.dir().join(BEGUN)), record.phase) {
            (Ok(Some(count)), _) => count,
            // What cannot be told may have begun: undoing a step that never took effect does nothing.
            (_, Phase::Attaching) => record.journal.len(),
            // Carrying out a step once more does nothing either, and the record itself knows of those of the attach.
            (_, Phase::Attached | Phase::Detaching | Phase::Undoing) => 0,
        };
        for entry in record.journal.iter_mut().take(begun) {
            entry.begun = true;
        }
        record
    }
}

/// The record in this file; `None` if there is no file.
fn read(path: &Path) -> Result<Option<Record>, StateError> {
    read_octets(path)?.map(|octets| parse(path, &octets)).transpose()
}

/// The record that was read from there.
pub(super) fn parse(path: &Path, octets: &[u8]) -> Result<Record, StateError> {
    let content = |source| StateError::Content { path: path.to_owned(), source };
    let mut value: Value = serde_json::from_slice(octets).map_err(content)?;
    let found = value.get("version").and_then(Value::as_u64).unwrap_or_default();
    if !record::migrate(&mut value) {
        let (path, found) = (path.to_owned(), u32::try_from(found).unwrap_or(u32::MAX));
        return Err(if found > RECORD_VERSION {
            StateError::Newer { path, found }
        } else {
            StateError::Version { path, found }
        });
    }
    serde_json::from_value(value).map_err(content)
}

/// What the mark of the steps that have begun says; `None` if it says nothing.
fn begun(path: &Path) -> io::Result<Option<usize>> {
    Ok(fs::read_to_string(path)?.trim().parse().ok())
}
