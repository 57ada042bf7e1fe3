//! Where the state of aggregates lives, so that anyone can find, adopt or undo them.
//!
//! ```text
//! /run/aggctl/bpf/                          a bpffs of our own
//! /run/aggctl/bpf/COOKIE/NAME/              pinned maps and links of one aggregate
//! /run/aggctl/bpf/COOKIE/NAME/record        a third copy of its record, in a map
//! /run/aggctl/COOKIE/NAME/record.json       its record: configuration and journal
//! /run/aggctl/COOKIE/NAME/record.spare.json a second copy of it, should the first become unreadable
//! /run/aggctl/COOKIE/NAME/begun             how many steps of the journal have begun
//! /run/aggctl/COOKIE/NAME/memory.json       what the next controller should know
//! /run/aggctl/COOKIE/NAME/lock              held by the controller; holds its pid
//! /run/aggctl/COOKIE/NAME/control           the controller's socket
//! /run/aggctl/COOKIE/NAME/netns             its own network namespace, if the wiring has one: a bind mount
//! /run/aggctl/COOKIE/NAME/log               what a background controller has to say
//! ```
//!
//! COOKIE is the network namespace's (`SO_NETNS_COOKIE`), so equal names in two namespaces do not meet. The directory
//! is meant to be reached in the first process's mount namespace (see [`crate::netns`]): `ip netns exec` gives each
//! command a mount namespace of its own, whose mounts vanish with it.

mod error;
mod files;
mod kept;
mod lock;
mod record;
mod rename;
mod root;

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io,
    os::fd::AsRawFd,
    path::{Path, PathBuf},
};

use serde::{Serialize, de::DeserializeOwned};

pub use self::{
    error::StateError,
    lock::Lock,
    record::{Found, Written},
};
use self::{
    error::failed,
    files::{read_json, write_json},
    lock::same_file,
};
use crate::netns::PrivateNamespace;

/// The root of all state.
const ROOT: &str = "/run/aggctl";
/// Our bpffs, below [`ROOT`].
const BPF: &str = "bpf";
/// Octets that a log may have.
const LARGEST_LOG: u64 = 1024 * 1024;

/// The state of one aggregate.
#[derive(Clone, Debug)]
pub struct Store {
    cookie: u64,
    name: String,
}

impl Store {
    /// The state of the aggregate `name` in the network namespace with this cookie. Touches nothing.
    #[must_use]
    pub fn new(cookie: u64, name: impl Into<String>) -> Self {
        Self { cookie, name: name.into() }
    }

    /// The aggregate's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The cookie of its network namespace.
    #[must_use]
    pub fn cookie(&self) -> u64 {
        self.cookie
    }

    /// Names of all aggregates of a network namespace that have a record, sorted.
    ///
    /// # Errors
    /// If the directory is there but cannot be read.
    pub fn names(cookie: u64) -> Result<Vec<String>, StateError> {
        let dir = Path::new(ROOT).join(cookie.to_string());
        let kept = kept::names(cookie)?;
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(kept),
            Err(error) => return Err(failed("list", &dir)(error)),
        };
        let mut names = BTreeSet::from_iter(kept);
        for entry in entries {
            let entry = entry.map_err(failed("list", &dir))?;
            if record::is_in(&entry.path()) {
                names.extend(entry.file_name().into_string().ok());
            }
        }
        Ok(names.into_iter().collect())
    }

    /// Directory of the record, the lock and the socket.
    #[must_use]
    pub fn dir(&self) -> PathBuf {
        Path::new(ROOT).join(self.cookie.to_string()).join(&self.name)
    }

    /// Directory of the pins.
    #[must_use]
    pub fn pins(&self) -> PathBuf {
        Path::new(ROOT).join(BPF).join(self.cookie.to_string()).join(kept::pins_of_name(&self.name))
    }

    /// The aggregate's own network namespace.
    #[must_use]
    pub fn namespace(&self) -> PrivateNamespace {
        PrivateNamespace::at(self.dir().join("netns"))
    }

    /// The controller's socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.dir().join("control")
    }

    /// The log of a background controller.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.dir().join("log")
    }

    /// Empties the log when it has grown too large: a link that flaps for months must not fill the memory that /run is
    /// in.
    ///
    /// # Errors
    /// If it is there but cannot be emptied.
    pub fn trim_log(&self) -> Result<(), StateError> {
        let path = self.log();
        match fs::metadata(&path) {
            // Whoever writes it appends.
            Ok(log) if log.len() > LARGEST_LOG => fs::write(&path, "").map_err(failed("empty", &path)),
            _ => Ok(()),
        }
    }

    /// The state whose directory this is now, wherever a rename has moved it; `None` once it was removed.
    #[must_use]
    pub fn at(cookie: u64, dir: &File) -> Option<Self> {
        let path = fs::read_link(format!("/proc/self/fd/{}", dir.as_raw_fd())).ok()?;
        let name = path.file_name()?.to_str()?;
        let store = Self::new(cookie, name);
        same_file(dir, &store.dir()).then_some(store)
    }

    /// The state whose directory was opened: wherever a rename has moved it; or in its place, if somebody removed it
    /// though the aggregate is there, and it was made again or is now. `None` once the aggregate is gone.
    ///
    /// # Errors
    /// If it cannot be made again.
    pub fn follow(&self, dir: &mut File) -> Result<Option<Self>, StateError> {
        let there = Self::at(self.cookie, dir);
        if there.is_some() || !self.has_record() {
            return Ok(there);
        }
        self.create()?;
        *dir = self.open_dir()?;
        Ok(Some(self.clone()))
    }

    /// Opens the directory, for [`Store::at`] and [`Store::follow`].
    ///
    /// # Errors
    /// If it is not there.
    pub fn open_dir(&self) -> Result<File, StateError> {
        let dir = self.dir();
        File::open(&dir).map_err(failed("open", &dir))
    }

    /// What the former controller left for the next, if anything.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn memory<T: DeserializeOwned>(&self) -> Result<Option<T>, StateError> {
        read_json(&self.dir().join("memory.json"))
    }

    /// Leaves something for the next controller.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn save_memory<T: Serialize>(&self, memory: &T) -> Result<(), StateError> {
        write_json(&self.dir().join("memory.json"), memory)
    }
}
