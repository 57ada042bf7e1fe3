//! The lock of an aggregate: one process at a time changes it.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt},
    path::Path,
    process,
    time::{Duration, Instant},
};

use rustix::fs::{FlockOperation, flock, major, minor};
use tracing::warn;

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
            let file = OpenOptions::new()
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
                    // The lock is ours, whether there is room to write so or not.
                    if let Err(error) = sign(&file) {
                        warn!(%error, path = %path.display(), "cannot write who holds the lock");
                    }
                    return Ok(Lock { file });
                }
                Ok(()) => {}
                Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < until => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(rustix::io::Errno::WOULDBLOCK) => {
                    return Err(StateError::Locked { name: self.name.clone(), pid: holder(&file) });
                }
                Err(error) => return Err(failed("lock", &path)(error.into())),
            }
        }
    }

    /// Whether there is anything to be locked. Where there is no room for it, there is not.
    #[must_use]
    pub fn has_lock(&self) -> bool {
        self.dir().join("lock").exists()
    }

    /// Whether this lock, which was taken here, still is the one that others find.
    #[must_use]
    pub fn is_locked_by(&self, lock: &Lock) -> bool {
        same_file(&lock.file, &self.dir().join("lock"))
    }

    /// The process that holds the lock: the running controller, as a rule.
    #[must_use]
    pub fn holder(&self) -> Option<u32> {
        let file = File::open(self.dir().join("lock")).ok()?;
        match flock(&file, FlockOperation::NonBlockingLockShared) {
            Err(rustix::io::Errno::WOULDBLOCK) => Some(holder(&file)),
            _ => None,
        }
    }
}

impl Store {
    /// Takes the lock under which interfaces become ports, or cease to be, in this network namespace. Who makes sure
    /// that an interface is no port of another aggregate holds it until its own record says that it is a port of this
    /// one.
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
                Ok(()) if same_file(&file, &dir) => return Ok(Lock { file }),
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
    file: File,
}

/// Writes our process into the file, over that of the former holder: this takes no further room.
fn sign(file: &File) -> io::Result<()> {
    let pid = process::id().to_string();
    file.write_all_at(pid.as_bytes(), 0)?;
    file.set_len(pid.len() as u64)
}

/// The process that holds the lock of this file: what it wrote there, if that is the process that the kernel knows of,
/// else that one; 0 if neither says.
fn holder(file: &File) -> u32 {
    let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
    let number = number(file).unwrap_or_default();
    let mut written = [0; 16];
    let octets = file.read_at(&mut written, 0).unwrap_or_default();
    let written = std::str::from_utf8(&written[..octets]).ok().and_then(|text| text.trim().parse().ok());
    let known: Vec<_> = locks.lines().filter_map(|line| locker(line, &number)).collect();
    match written {
        Some(written) if known.is_empty() || known.contains(&written) => written,
        _ => known.first().copied().unwrap_or_default(),
    }
}

/// How `/proc/locks` calls a file: device and inode.
fn number(file: &File) -> io::Result<String> {
    let file = file.metadata()?;
    Ok(format!("{:02x}:{:02x}:{}", major(file.dev()), minor(file.dev()), file.ino()))
}

/// The process in a line of `/proc/locks`, if it holds the lock of the file of this number:
/// `1: FLOCK  ADVISORY  WRITE 4711 00:19:1234 0 EOF`.
fn locker(line: &str, number: &str) -> Option<u32> {
    let mut words = line.split_whitespace().skip(1);
    if words.next() != Some("FLOCK") {
        return None;
    }
    let (pid, file) = (words.nth(2)?, words.next()?);
    pid.parse().ok().filter(|_| file == number)
}

pub(super) fn same_file(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(ours), Ok(theirs)) => ours.dev() == theirs.dev() && ours.ino() == theirs.ino(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock_in(place: &Path) -> File {
        let file =
            OpenOptions::new().create(true).truncate(false).read(true).write(true).open(place.join("lock")).unwrap();
        flock(&file, FlockOperation::NonBlockingLockExclusive).unwrap();
        file
    }

    #[test]
    fn a_line_of_the_kernel_tells_who_holds_which_file() {
        assert_eq!(locker("1: FLOCK  ADVISORY  WRITE 4711 00:19:1234 0 EOF", "00:19:1234"), Some(4711));
        assert_eq!(locker("1: FLOCK  ADVISORY  WRITE 4711 00:19:1234 0 EOF", "00:20:1234"), None);
        assert_eq!(locker("1: POSIX  ADVISORY  WRITE 4711 00:19:1234 0 EOF", "00:19:1234"), None);
        assert_eq!(locker("1: -> FLOCK  ADVISORY  WRITE 4711 00:19:1234 0 EOF", "00:19:1234"), None);
        assert_eq!(locker("", "00:19:1234"), None);
    }

    #[test]
    fn the_holder_is_known_although_it_could_not_write_its_name() {
        let place = tempfile::tempdir().unwrap();
        let file = lock_in(place.path());
        assert_eq!(holder(&file), process::id());
        sign(&file).unwrap();
        assert_eq!(fs::read_to_string(place.path().join("lock")).unwrap(), process::id().to_string());
        assert_eq!(holder(&file), process::id());
    }

    #[test]
    fn a_shorter_name_leaves_nothing_of_a_longer_one() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("lock"), "4294967295999").unwrap();
        let file = lock_in(place.path());
        sign(&file).unwrap();
        assert_eq!(fs::read_to_string(place.path().join("lock")).unwrap(), process::id().to_string());
    }
}
