//! A third copy of the record, in the kernel, beside the pins of the maps and programs that it is about: no disk can be
//! full there, and no cleaner of temporary files reaches it.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use aggctl_engine::record::{Layer3, Record};

use super::{BPF, ROOT, StateError, Store, error::failed, record};
use crate::dataplane::{RECORD, frozen};

/// Octets of memory that a copy may take. A record has some 50,000, and 300 for each route of the aggregate.
const LARGEST: usize = 1024 * 1024;

impl Store {
    /// Replaces the copy of the record in the kernel, in one step. One that is too large is kept without what the
    /// aggregate had when last seen, which is only asked for when its interface was deleted.
    ///
    /// # Errors
    /// If the kernel refuses. The former copy stays then.
    pub fn keep(&self, record: &Record) -> Result<(), StateError> {
        let path = self.kept();
        let encode = |record: &Record| {
            serde_json::to_vec(record).map_err(|source| StateError::Content { path: path.clone(), source })
        };
        let mut octets = encode(record)?;
        if octets.len() > LARGEST {
            octets = encode(&Record { last_seen: Layer3::default(), ..record.clone() })?;
        }
        Ok(frozen::replace(&path, &octets)?)
    }

    /// The copy of the record in the kernel, if there is one.
    pub(super) fn kept_record(&self) -> Result<Option<Record>, StateError> {
        let path = self.kept();
        frozen::read(&path)?.map(|octets| record::parse(&path, &octets)).transpose()
    }

    /// Where the copy of the record in the kernel is pinned.
    pub(super) fn kept(&self) -> PathBuf {
        self.pins().join(RECORD)
    }
}

/// Names of all aggregates of a network namespace whose record has a copy in the kernel.
pub(super) fn names(cookie: u64) -> Result<Vec<String>, StateError> {
    let dir = Path::new(ROOT).join(BPF).join(cookie.to_string());
    let entries = match fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed("list", &dir)(error)),
    };
    let pinned = entries.flatten().filter(|entry| entry.path().join(RECORD).exists());
    Ok(pinned.filter_map(|entry| entry.file_name().into_string().ok()).map(|name| name_of_pins(&name)).collect())
}

/// What the directory of the pins of this aggregate is called. bpffs reserves dots in names, so they are written as
/// `%2e`.
pub(super) fn pins_of_name(name: &str) -> String {
    name.replace('%', "%25").replace('.', "%2e")
}

/// The aggregate whose directory of pins is called so.
fn name_of_pins(dir: &str) -> String {
    dir.replace("%2e", ".").replace("%25", "%")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_by_their_pins() {
        for name in ["agg0", "agg0.5", "100%", "%2e", "a%25.b"] {
            assert_eq!(name_of_pins(&pins_of_name(name)), name);
        }
    }
}
