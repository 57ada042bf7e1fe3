//! The lock of an aggregate: one process at a time changes it.

use std::{
    fs::{self, File, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
    time::{Duration, Instant},
};

use rustix::fs::{FlockOperation, flock};

use super::{StateError, Store, error::failed};

impl Store {
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

impl Store {
    /// Takes the lock under which interfaces become ports, or cease to be, in this network namespace. Who makes sure that an
    /// interface is no port of another aggregate holds it until its own record says that it is a port of this one.
    ///
    /// # Errors
    /// [`StateError::PortsLocked`] if another process still holds it after `patience`.
    pub fn lock_ports(&self, patience: Duration) -> Result<Lock, StateError> {
        let dir = self.dir().parent().map(Path::to_owned).unwrap_or_default();
        let until = Instant::now() + patience;
        loop {
            // It goes with the last aggregate, and comes with the first.
            let file = File::open(&dir).map_err(failed("open", &dir))?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) if same_file(&file, &dir) => return Ok(Lock { _file: file }),
                Ok(()) => {}
                Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < until => {
                    std::thread::sleep(Duration::from_millis(2));
                }
                Err(rustix::io::Errno::WOULDBLOCK) => return Err(StateError::PortsLocked),
                Err(error) => return Err(failed("lock", &dir)(error.into())),
            }
        }
    }
}

/// The right to change an aggregate, or which interfaces are ports, until dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

fn read_pid(file: &mut File) -> u32 {
    let mut text = String::new();
    let read = file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_string(&mut text));
    read.ok().and_then(|_| text.trim().parse().ok()).unwrap_or_default()
}

pub(super) fn same_file(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(ours), Ok(theirs)) => ours.dev() == theirs.dev() && ours.ino() == theirs.ino(),
        _ => false,
    }
}
