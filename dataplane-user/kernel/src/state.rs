//! Where the state of aggregates lives, so that anyone can find, adopt or undo them.
//!
//! ```text
//! /run/aggctl/bpf/                          a bpffs of our own
//! /run/aggctl/bpf/COOKIE/NAME/              pinned maps and links of one aggregate
//! /run/aggctl/COOKIE/NAME/record.json       its record: configuration and journal
//! /run/aggctl/COOKIE/NAME/begun             how many steps of the journal have begun
//! /run/aggctl/COOKIE/NAME/memory.json       what the next controller should know
//! /run/aggctl/COOKIE/NAME/lock              held by the controller; holds its pid
//! /run/aggctl/COOKIE/NAME/control           the controller's socket
//! /run/aggctl/COOKIE/NAME/log               what a background controller has to say
//! ```
//!
//! COOKIE is the network namespace's (`SO_NETNS_COOKIE`), so equal names in two namespaces do not meet. The directory
//! is meant to be reached in the first process's mount namespace (see [`crate::netns`]): `ip netns exec` gives each
//! command a mount namespace of its own, whose mounts vanish with it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::{
        fd::AsRawFd,
        unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use aggctl_engine::record::{RECORD_VERSION, Record};
use rustix::{
    fs::{FlockOperation, flock},
    mount::{MountFlags, UnmountFlags, mount, unmount},
};
use serde::{Serialize, de::DeserializeOwned};

/// The root of all state.
const ROOT: &str = "/run/aggctl";
/// Our bpffs, below [`ROOT`].
const BPF: &str = "bpf";
/// Octets that a log may have.
const LARGEST_LOG: u64 = 1024 * 1024;
/// `BPF_FS_MAGIC` of linux/magic.h.
const BPF_FS_MAGIC: u64 = 0xcafe_4a11;

/// What went wrong with the state directory.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// A file or directory could not be used.
    #[error("cannot {call} {path}: {source}", path = path.display())]
    File {
        /// What was tried.
        call: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// No bpffs to pin in.
    #[error("cannot mount a bpffs at {path}: {source}; mount one there by hand (mount -t bpf bpf {path})", path = path.display())]
    Mount {
        /// Where.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{path} cannot be read: {source}", path = path.display())]
    Content {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// A record of another version of aggctl.
    #[error("{path} was written by another version of aggctl (layout {found}, this one knows {RECORD_VERSION})", path = path.display())]
    Version {
        /// Which.
        path: PathBuf,
        /// Its layout.
        found: u32,
    },
    /// Somebody else works on the aggregate.
    #[error("another process (pid {pid}) holds the lock of {name}")]
    Locked {
        /// The aggregate.
        name: String,
        /// The holder, 0 if it did not say.
        pid: u32,
    },
}

fn failed(call: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StateError {
    let path = path.to_owned();
    move |source| StateError::File { call, path, source }
}

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
        let entries = match fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed("list", &dir)(error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed("list", &dir))?;
            if entry.path().join("record.json").exists() {
                names.extend(entry.file_name().into_string().ok());
            }
        }
        names.sort();
        Ok(names)
    }

    /// Directory of the record, the lock and the socket.
    #[must_use]
    pub fn dir(&self) -> PathBuf {
        Path::new(ROOT).join(self.cookie.to_string()).join(&self.name)
    }

    /// Directory of the pins. bpffs reserves dots in names, so they are written as `%2e`.
    #[must_use]
    pub fn pins(&self) -> PathBuf {
        let name = self.name.replace('%', "%25").replace('.', "%2e");
        Path::new(ROOT).join(BPF).join(self.cookie.to_string()).join(name)
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

    /// Empties the log when it has grown too large: a link that flaps for months must not fill the memory that /run is in.
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

    /// Makes the directories, and mounts the bpffs if it is not there yet.
    ///
    /// # Errors
    /// If a directory cannot be made or the bpffs not be mounted.
    pub fn create(&self) -> Result<(), StateError> {
        let _root = lock_root()?;
        mount_bpffs()?;
        make_dir(&self.dir())
    }

    /// Removes all that is kept of the aggregate, and what is not needed any more above it.
    ///
    /// # Errors
    /// If something is there but cannot be removed.
    pub fn remove(&self) -> Result<(), StateError> {
        let _root = lock_root()?;
        let pins = self.pins();
        remove_tree(&self.dir())?;
        remove_tree(&pins)?;
        // Parents go if they are empty; others may be using them.
        for dir in [self.dir(), pins].iter().filter_map(|dir| dir.parent()) {
            let _ = fs::remove_dir(dir);
        }
        let root = Path::new(ROOT);
        let others = fs::read_dir(root).map_err(failed("list", root))?.count() > 1;
        let bpf = root.join(BPF);
        if !others && fs::read_dir(&bpf).is_ok_and(|mut entries| entries.next().is_none()) {
            // Whoever still has it open keeps it; nothing is lost by leaving it mounted then.
            if unmount(&bpf, UnmountFlags::empty()).is_ok() || !is_bpffs(&bpf) {
                let _ = fs::remove_dir(&bpf);
                let _ = fs::remove_dir(root);
            }
        }
        Ok(())
    }

    /// Moves the state to a new name, after the interface was renamed.
    ///
    /// # Errors
    /// If a directory cannot be renamed.
    pub fn rename(&mut self, name: impl Into<String>) -> Result<(), StateError> {
        let new = Self::new(self.cookie, name);
        fs::rename(self.dir(), new.dir()).map_err(failed("rename", &self.dir()))?;
        fs::rename(self.pins(), new.pins()).map_err(failed("rename", &self.pins()))?;
        *self = new;
        Ok(())
    }

    /// The state whose directory this is now, wherever a rename has moved it; `None` once it was removed.
    #[must_use]
    pub fn at(cookie: u64, dir: &File) -> Option<Self> {
        let path = fs::read_link(format!("/proc/self/fd/{}", dir.as_raw_fd())).ok()?;
        let name = path.file_name()?.to_str()?;
        let store = Self::new(cookie, name);
        same_file(dir, &store.dir()).then_some(store)
    }

    /// Opens the directory, for [`Store::at`].
    ///
    /// # Errors
    /// If it is not there.
    pub fn open_dir(&self) -> Result<File, StateError> {
        let dir = self.dir();
        File::open(&dir).map_err(failed("open", &dir))
    }

    /// The record, if there is one.
    ///
    /// # Errors
    /// If it cannot be read, or another version of aggctl wrote it.
    pub fn record(&self) -> Result<Option<Record>, StateError> {
        let path = self.dir().join("record.json");
        let Some(value) = read_json::<serde_json::Value>(&path)? else { return Ok(None) };
        let found = value.get("version").and_then(serde_json::Value::as_u64).unwrap_or_default();
        if found != u64::from(RECORD_VERSION) {
            return Err(StateError::Version { path, found: u32::try_from(found).unwrap_or(u32::MAX) });
        }
        let mut record: Record =
            serde_json::from_value(value).map_err(|source| StateError::Content { path, source })?;
        let begun = self.begun()?;
        for entry in record.journal.iter_mut().take(begun) {
            entry.begun = true;
        }
        Ok(Some(record))
    }

    /// Replaces the record, in one step.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn save(&self, record: &Record) -> Result<(), StateError> {
        write_json(&self.dir().join("record.json"), record)
    }

    /// Notes that the first `count` steps of the journal have begun.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn set_begun(&self, count: usize) -> Result<(), StateError> {
        let path = self.dir().join("begun");
        fs::write(&path, count.to_string()).map_err(failed("write", &path))
    }

    fn begun(&self) -> Result<usize, StateError> {
        let path = self.dir().join("begun");
        match fs::read_to_string(&path) {
            Ok(text) => Ok(text.trim().parse().unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(error) => Err(failed("read", &path)(error)),
        }
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

    /// Takes the lock: only its holder changes the aggregate.
    ///
    /// # Errors
    /// [`StateError::Locked`] if another process still holds it after `patience`.
    pub fn lock(&self, patience: Duration) -> Result<Lock, StateError> {
        let path = self.dir().join("lock");
        let until = Instant::now() + patience;
        loop {
            let mut file = OpenOptions::new()
                .create(true)
                .truncate(false)
                .read(true)
                .write(true)
                .mode(0o600)
                .open(&path)
                .map_err(failed("open", &path))?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                // The directory may have been removed by the former holder between our opening and our locking.
                Ok(()) if same_file(&file, &path) => {
                    file.set_len(0)
                        .and_then(|()| file.write_all(std::process::id().to_string().as_bytes()))
                        .map_err(failed("write", &path))?;
                    return Ok(Lock { _file: file });
                }
                Ok(()) => {}
                Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < until => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(rustix::io::Errno::WOULDBLOCK) => {
                    return Err(StateError::Locked { name: self.name.clone(), pid: read_pid(&mut file) });
                }
                Err(error) => return Err(failed("lock", &path)(error.into())),
            }
        }
    }

    /// The process that holds the lock: the running controller, as a rule.
    #[must_use]
    pub fn holder(&self) -> Option<u32> {
        let mut file = File::open(self.dir().join("lock")).ok()?;
        match flock(&file, FlockOperation::NonBlockingLockShared) {
            Err(rustix::io::Errno::WOULDBLOCK) => Some(read_pid(&mut file)),
            _ => None,
        }
    }
}

/// The right to change an aggregate, until dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

fn read_pid(file: &mut File) -> u32 {
    let mut text = String::new();
    let read = file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_string(&mut text));
    read.ok().and_then(|_| text.trim().parse().ok()).unwrap_or_default()
}

fn same_file(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(ours), Ok(theirs)) => ours.dev() == theirs.dev() && ours.ino() == theirs.ino(),
        _ => false,
    }
}

fn make_dir(path: &Path) -> Result<(), StateError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed("create", path))
}

/// Keeps others from mounting, unmounting and tidying up meanwhile.
fn lock_root() -> Result<File, StateError> {
    let root = Path::new(ROOT);
    loop {
        make_dir(root)?;
        let file = File::open(root).map_err(failed("open", root))?;
        flock(&file, FlockOperation::LockExclusive).map_err(|error| failed("lock", root)(error.into()))?;
        if same_file(&file, root) {
            return Ok(file);
        }
    }
}

fn is_bpffs(path: &Path) -> bool {
    rustix::fs::statfs(path).is_ok_and(|fs| u64::try_from(fs.f_type).is_ok_and(|kind| kind == BPF_FS_MAGIC))
}

fn mount_bpffs() -> Result<(), StateError> {
    let path = Path::new(ROOT).join(BPF);
    make_dir(&path)?;
    if is_bpffs(&path) {
        return Ok(());
    }
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("bpf", &path, "bpf", flags, Some(c"mode=0700"))
        .map_err(|error| StateError::Mount { path, source: error.into() })
}

fn remove_tree(path: &Path) -> Result<(), StateError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", path)(error)),
        _ => Ok(()),
    }
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, StateError> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|source| StateError::Content { path: path.to_owned(), source }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", path)(error)),
    }
}

/// Readers see either the old file or the new one.
fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), StateError> {
    let bytes = serde_json::to_vec(value).map_err(|source| StateError::Content { path: path.to_owned(), source })?;
    let new = path.with_extension("new");
    fs::write(&new, bytes).map_err(failed("write", &new))?;
    fs::rename(&new, path).map_err(failed("replace", path))
}
