//! The record on disk: two copies of it, so that one can be lost, and how many steps of its journal have begun.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use aggctl_engine::record::{self, Phase, RECORD_VERSION, Record};
use serde_json::Value;

use super::{
    StateError, Store,
    files::{Stamp, overwrite, read_json, replace, reserve, stamp},
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
    /// Why it was read from its second copy, if it was.
    pub damage: Option<String>,
}

/// Which files a record was written to, to see whether others changed them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written([Option<Stamp>; 2]);

/// Whether an aggregate's directory has a record, be it readable or not.
pub(super) fn is_in(dir: &Path) -> bool {
    [RECORD, SPARE].iter().any(|name| dir.join(name).exists())
}

impl Store {
    /// The record, if there is one: the second copy if the first cannot be read.
    ///
    /// # Errors
    /// If neither can be read, or a newer version of aggctl wrote it.
    pub fn find(&self) -> Result<Option<Found>, StateError> {
        let damage = match read(&self.dir().join(RECORD)) {
            Ok(Some(record)) => return Ok(Some(Found { record: self.marked(record), damage: None })),
            Ok(None) => None,
            Err(error @ StateError::Newer { .. }) => return Err(error),
            Err(error) => Some(error),
        };
        match (read(&self.dir().join(SPARE)), damage) {
            (Ok(Some(record)), damage) => {
                let gone = || format!("{} is gone", self.dir().join(RECORD).display());
                let damage = Some(damage.map_or_else(gone, |error| error.to_string()));
                Ok(Some(Found { record: self.marked(record), damage }))
            }
            (Err(error @ StateError::Newer { .. }), None) => Err(error),
            (_, Some(error)) | (Err(error), None) => {
                Err(StateError::Lost { name: self.name.clone(), source: Box::new(error) })
            }
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
    pub fn prepare(&self, record: &Record) -> Result<(), StateError> {
        self.set_begun(0)?;
        let octets = self.save(record)?;
        for name in [RECORD, SPARE] {
            reserve(&self.dir().join(name), octets + octets / 2 + GROWTH)?;
        }
        Ok(())
    }

    /// Replaces the record, each of its two copies in one step. Returns how many octets it has.
    ///
    /// # Errors
    /// If it cannot be written. Then there may be no second copy, but never one that is older than the first.
    pub fn save(&self, record: &Record) -> Result<u64, StateError> {
        let (path, spare) = (self.dir().join(RECORD), self.dir().join(SPARE));
        let bytes = serde_json::to_vec(record).map_err(|source| StateError::Content { path: path.clone(), source })?;
        replace(&path, &bytes)?;
        if let Err(error) = replace(&spare, &bytes) {
            let _ = fs::remove_file(&spare);
            return Err(error);
        }
        Ok(bytes.len() as u64)
    }

    /// What is on disk now, to be compared later.
    #[must_use]
    pub fn written(&self) -> Written {
        Written([RECORD, SPARE].map(|name| stamp(&self.dir().join(name))))
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
    let Some(mut value) = read_json::<Value>(path)? else { return Ok(None) };
    let path = || PathBuf::from(path);
    let found = value.get("version").and_then(Value::as_u64).unwrap_or_default();
    if !record::migrate(&mut value) {
        let found = u32::try_from(found).unwrap_or(u32::MAX);
        return Err(if found > RECORD_VERSION {
            StateError::Newer { path: path(), found }
        } else {
            StateError::Version { path: path(), found }
        });
    }
    serde_json::from_value(value).map(Some).map_err(|source| StateError::Content { path: path(), source })
}

/// What the mark of the steps that have begun says; `None` if it says nothing.
fn begun(path: &Path) -> io::Result<Option<usize>> {
    Ok(fs::read_to_string(path)?.trim().parse().ok())
}
